#pragma once
// A collector's configuration and store in a folder of their own, as an operator's commands meet
// them.

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <sstream>

#include "collector/api/commands.h"
#include "collector/api/setup.h"
#include "collector/core/delivery.h"
#include "collector/core/documents.h"
#include "common/io/system.h"
#include "common/messages.h"

namespace ledgerline::collector {

namespace fs = std::filesystem;

class FixedClock final : public Clock {
 public:
  Timestamp now() override { return Timestamp(1'800'000'000'000); }
  Monotonic monotonic() override { return {1'000}; }
};

class Office {
 public:
  Office() {
    char folder[] = "/tmp/ledgerline-api-XXXXXX";
    REQUIRE(::mkdtemp(folder) != nullptr);
    folder_ = folder;
    config.file = folder_ + "/collector.toml";
    config.state = folder_ + "/state";
    config.acl_file = folder_ + "/acl";
    config.authority_certificate = folder_ + "/ca.pem";
    config.authority_private_key = folder_ + "/ca.key";
    config.map_size_bytes = 16 << 20;
  }
  Office(const Office&) = delete;
  Office& operator=(const Office&) = delete;
  ~Office() { fs::remove_all(folder_); }

  [[nodiscard]] const std::string& folder() const { return folder_; }

  void make_authority() const {
    const std::string command =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "
        "/CN=ca -keyout " +
        config.authority_private_key + " -out " + config.authority_certificate + " 2>/dev/null";
    REQUIRE(std::system(command.c_str()) == 0);  // NOLINT: a test's own fixed command
  }

  /// A device's request as the agent writes it.
  std::string request_file(const std::string& device, const std::string& reason = "") {
    EnrolmentRequest request;
    request.reason = reason;
    request.tenant = "demo";
    request.device = device;
    request.public_key = device_key->public_key().der();
    request.certificate_request =
        make_certificate_request(generate_private_key_pem(KeyAlgorithm::ecdsa_p256_sha256).value(),
                                 device)
            .value();
    request.classes = classes;
    request.created_at = clock.now();
    const Bytes bytes = sign(payload_type::kEnrolmentRequest, encode(request), *device_key).value();
    const std::string file = folder_ + "/" + device + ".pem";
    REQUIRE(io::write_file_durably(file, pem_encode("LEDGERLINE ENROLMENT REQUEST", bytes)));
    return file;
  }

  /// The file of the private key of an operator, who is registered where that is not so yet.
  std::string operator_key(const std::string& name) {
    CommandLine add;
    add.name = name;
    add.out = folder_ + "/" + name + ".key";
    std::ostringstream said;
    if (!fs::exists(add.out)) REQUIRE(add_operator(config, add, clock, said));
    return add.out;
  }

  void put_document(DocumentState state) {
    DocumentRow row;
    row.id = "bs-1";
    row.kind = "billing-summary";
    row.tenant = "demo";
    row.account = "aqua";
    row.contract = "aqua-2026";
    row.connector = "tryton";
    row.total = Decimal(1277, 2);
    row.currency = "EUR";
    row.state = state;
    row.body = body;
    CommercialChanges changes;
    changes.documents.push_back({row, 0});
    if (state == DocumentState::approved)
      changes.deliveries.push_back(new_delivery(row, clock.now()));
    REQUIRE(open_store(config).value()->put_documents(changes));
  }

  /// The ERP refuses document bs-1.
  void reject_delivery(const std::string& reply) { stop_delivery(AttemptRejected{reply}); }

  void stop_delivery(const AttemptOutcome& outcome) {
    const auto store = open_store(config).value();
    const Timestamp now = clock.now();
    const auto lease =
        store->acquire_lease({.name = "l", .holder = "h", .now = now, .lifetime = Duration(1000)})
            .value();
    const auto claimed =
        store
            ->claim_deliveries(
                {.connector = "tryton", .lease = "l", .lease_epoch = lease.epoch, .now = now})
            .value();
    REQUIRE(claimed.size() == 1);
    const DeliveryDecision decision = on_outcome(claimed.front(), outcome, {}, now, 0);
    REQUIRE(store->settle_delivery({.id = claimed.front().id,
                                    .attempt = claimed.front().attempt,
                                    .lease = "l",
                                    .lease_epoch = lease.epoch,
                                    .state = decision.state,
                                    .reply = decision.reply,
                                    .at = now,
                                    .exceptions = decision.exceptions}));
  }

  FixedClock clock;
  CollectorConfig config;
  CommandLine options;
  std::ostringstream out;
  std::string body = R"({"lines":[{"number":1,"product":"API-CALL","amount":"12.77"}]})";
  std::vector<StreamClass> classes{StreamClass::billing};  // that a request asks for
  std::unique_ptr<Signer> device_key =
      signer_from_pem(generate_private_key_pem(KeyAlgorithm::ed25519).value()).value();

 private:
  std::string folder_;
};

inline std::string text_of(const std::string& file) { return io::read_file(file).value(); }

}  // namespace ledgerline::collector
