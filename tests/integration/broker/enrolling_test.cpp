// Enrolment by file, as far as the broker is concerned: a request becomes a certificate that the
// broker takes, and the access list that the collector writes lets the device do its own work only.
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "collector/core/enrolling.h"
#include "tests/support/broker/loop.h"
#include "tests/support/broker/test_broker.h"
#include "tests/support/device/test_device.h"

namespace ledgerline::test {
namespace {

std::string content(const std::string& path) {
  std::ifstream in(path);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

}  // namespace

TEST_CASE(
    "broker: a device enrolled by file connects with its certificate and uses its own branch "
    "only") {
  TestBroker broker({.acl = "user nobody\n"});
  const auto collector_key = new_signer();
  const auto device_key = new_signer();
  const auto tls_key = *generate_private_key_pem(KeyAlgorithm::ecdsa_p256_sha256);
  EnrolmentRequest request;
  request.tenant = "demo";
  request.device = "host-1";
  request.algorithm = device_key->public_key().algorithm();
  request.public_key = device_key->public_key().der();
  request.certificate_request =
      *make_certificate_request(tls_key, "whoever");  // the collector decides the name
  request.classes = {StreamClass::billing};
  request.created_at = Timestamp(1);
  const auto opened = collector::open_enrolment_request(
      *sign(payload_type::kEnrolmentRequest, encode(request), *device_key));
  REQUIRE(opened);
  collector::EnrolmentContext context;
  context.new_streams = {StreamId({1})};
  context.now = Timestamp(static_cast<int64_t>(time(nullptr)) * 1000);
  context.authority_certificate_pem = content(broker.authority().certificate());
  context.authority_private_key_pem = content(broker.authority().private_key());
  context.authority_certificate_der = *pem_decode("CERTIFICATE", context.authority_certificate_pem);

  const auto plan = collector::plan_enrolment(*opened, context, *collector_key);

  REQUIRE(plan);
  const auto answer = open_signed(plan->enrolment, payload_type::kEnrolment);
  REQUIRE(answer);
  REQUIRE(verify(*answer, collector_key->public_key()));
  const auto enrolment = decode_enrolment(answer->body);
  REQUIRE(enrolment);
  REQUIRE(enrolment->grants.size() == 1);
  const auto grant = decode_grant(open_signed(enrolment->grants[0], payload_type::kGrant)->body);
  CHECK(grant->stream == StreamId({1}));
  CHECK(grant->key == device_key->public_key().id());

  std::ofstream(broker.folder() + "/demo.host-1.pem")
      << pem_encode("CERTIFICATE", enrolment->certificate);
  std::ofstream(broker.folder() + "/demo.host-1.key") << tls_key;
  const std::vector<collector::DeviceRow> devices = {
      {.tenant = "demo", .device = "host-1", .revision = 1, .keys = {plan->key}}};
  broker.set_acl(collector::access_list(devices, context.now));
  broker.start();
  io::Runtime runtime;
  bool connected = false;
  std::string failure;
  io::Mqtt mqtt(
      runtime, broker.client("demo.host-1"),
      {[&](bool) { connected = true; }, [&](const std::string& reason) { failure = reason; },
       [](const io::MqttMessage&) {}});
  mqtt.start();
  INFO(failure);
  REQUIRE(run_until(runtime, [&] { return connected || !failure.empty(); }));
  REQUIRE(connected);

  std::map<std::string, Status> sent;
  Topic own{"demo", grant->partition, "host-1", TopicLeaf::batch};
  Topic wrong_leaf = own;
  wrong_leaf.leaf = TopicLeaf::receipt;
  Topic foreign = own;
  foreign.device = "host-2";
  for (const Topic& topic : {own, wrong_leaf, foreign}) {
    mqtt.publish(topic.text(), Bytes{1}, false,
                 [&, text = topic.text()](const Status& status) { sent[text] = status; });
  }
  REQUIRE(run_until(runtime, [&] { return sent.size() == 3; }));
  CHECK(sent[own.text()]);
  CHECK_FALSE(sent[wrong_leaf.text()]);
  CHECK_FALSE(sent[foreign.text()]);
}

}  // namespace ledgerline::test
