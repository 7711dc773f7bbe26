#include "collector/core/enrolling.h"

#include <catch2/catch.hpp>

namespace ledgerline::collector {
namespace {

std::unique_ptr<Signer> new_key() {
  return std::move(*signer_from_pem(*generate_private_key_pem(KeyAlgorithm::ed25519)));
}

EnrolmentRequest request_for(const std::string& tenant, const std::string& device,
                             const Signer& signer) {
  EnrolmentRequest out;
  out.tenant = tenant;
  out.device = device;
  out.algorithm = signer.public_key().algorithm();
  out.public_key = signer.public_key().der();
  out.certificate_request = Bytes{1};
  out.classes = {StreamClass::billing};
  out.created_at = Timestamp(1);
  return out;
}

Bytes signed_by(const EnrolmentRequest& request, Signer& signer) {
  return *sign(payload_type::kEnrolmentRequest, encode(request), signer);
}

}  // namespace

TEST_CASE("enrolling: a request must be signed by the key it asks for") {
  const auto key = new_key();
  const auto other = new_key();
  const auto request = request_for("demo", "host-1", *key);

  const auto opened = open_enrolment_request(signed_by(request, *key));
  REQUIRE(opened);
  CHECK(opened->device == "host-1");
  CHECK_FALSE(open_enrolment_request(signed_by(request, *other)));
}

TEST_CASE("enrolling: names that could pass for another device's are refused") {
  const auto key = new_key();
  const auto refused = [&](const std::string& tenant, const std::string& device) {
    return !open_enrolment_request(signed_by(request_for(tenant, device, *key), *key));
  };
  CHECK_FALSE(refused("demo", "host.1"));
  CHECK(refused("de.mo", "host"));  // "de.mo.host" would also be device "mo.host" of tenant "de"
  CHECK(refused("demo", "host/1"));
  CHECK(refused("demo", "+"));
  CHECK(refused("demo", ""));
  CHECK(refused("demo", std::string(60, 'h')));  // the certificate's common name has 64 characters
}

TEST_CASE("enrolling: an enrolled device needs a reason, a revoked key is not taken again") {
  const auto key = new_key();
  const auto collector = new_key();
  const auto request = request_for("demo", "host-1", *key);
  EnrolmentContext context;
  context.new_streams = {StreamId()};
  context.streams.resize(1);
  context.streams[0].grant.key = key->public_key().id();

  auto plan = plan_enrolment(request, context, *collector);
  REQUIRE_FALSE(plan);
  CHECK_THAT(plan.error().message(), Catch::Contains("needs a reason"));

  context.streams.clear();
  const auto& public_key = key->public_key();
  context.device = DeviceRow{.tenant = "demo", .device = "host-1", .revision = 1};
  context.device->keys = {{public_key.algorithm(), public_key.id(), public_key.der(), Timestamp(1),
                           Timestamp(2), "stolen"}};
  plan = plan_enrolment(request, context, *collector);
  REQUIRE_FALSE(plan);
  CHECK_THAT(plan.error().message(), Catch::Contains("revoked"));
}

TEST_CASE("enrolling: another key for an enrolled device is the operator's decision") {
  const auto collector = new_key();
  const auto old_key = new_key();
  const auto other_key = new_key();
  EnrolmentContext context;
  context.new_streams = {StreamId()};
  context.streams.resize(1);
  context.streams[0].grant.key = old_key->public_key().id();
  context.device = DeviceRow{.tenant = "demo", .device = "host-1", .revision = 1};
  auto request = request_for("demo", "host-1", *other_key);
  request.reason = "a new disk";  // whoever holds the other key may write any reason

  const auto plan = plan_enrolment(request, context, *collector);

  REQUIRE_FALSE(plan);
  CHECK(plan.error().code() == Errc::conflict);
  CHECK_THAT(plan.error().text(), Catch::Contains("--replace") &&
                                      Catch::Contains(old_key->public_key().id().hex()) &&
                                      Catch::Contains(other_key->public_key().id().hex()));
}

TEST_CASE("enrolling: the access list gives each active device its own branch and nothing else") {
  const DeviceKey active{KeyAlgorithm::ed25519, {}, {}, Timestamp(1), std::nullopt, {}};
  const DeviceKey revoked{KeyAlgorithm::ed25519, {}, {}, Timestamp(1), Timestamp(5), "stolen"};
  std::vector<DeviceRow> devices(2);
  devices[0] = {.tenant = "demo", .device = "a", .keys = {revoked, active}};
  devices[1] = {.tenant = "demo", .device = "b", .keys = {revoked}};

  const auto text = access_list(devices, Timestamp(9));

  const std::string branch =
      "ledgerline/v1/demo/" + to_hex(Bytes{partition_of("demo", "a")}) + "/a/";
  CHECK_THAT(text,
             Catch::Contains("user demo.a\ntopic write " + branch + "batch\ntopic write " + branch +
                             "heartbeat\ntopic write " + branch + "resume\ntopic read " + branch +
                             "receipt\ntopic read " + branch + "answer\n"));
  CHECK_THAT(text, !Catch::Contains("demo.b"));
  CHECK_THAT(text,
             Catch::Contains("user ledgerline-collector\ntopic read ledgerline/v1/+/+/+/batch\n"));
  CHECK_THAT(access_list(devices, Timestamp(4)), Catch::Contains("user demo.b"));
}

TEST_CASE("enrolling: a list keeps the entries of devices that the store does not know (yet)") {
  std::vector<DeviceRow> devices(3);
  for (size_t i = 0; i < devices.size(); ++i) {
    devices[i].tenant = "demo";
    devices[i].device = std::string(1, static_cast<char>('a' + i));
    devices[i].keys.emplace_back();
  }
  const std::string before = access_list(devices, Timestamp(1));
  const std::vector<DeviceRow> back{devices[1]};

  const std::string kept = kept_entries(before, back);

  const std::string now = access_list(back, Timestamp(1)) + kept;
  for (const auto* user : {"user demo.a\n", "user demo.b\n", "user demo.c\n"})
    CHECK_THAT(now, Catch::Contains(user));
  CHECK_THAT(kept, !Catch::Contains("user demo.b\n"));  // it is in the list by its own row
  CHECK_THAT(kept, !Catch::Contains("user " + std::string(kCollectorIdentity)));
  CHECK(kept.size() ==
        before.size() - access_list(back, Timestamp(1)).size());  // entries whole, nothing twice
  CHECK(kept_entries(before, devices).empty());
  CHECK(kept_entries("", devices).empty());
  CHECK(kept_entries(now, back) == kept);
}

}  // namespace ledgerline::collector
