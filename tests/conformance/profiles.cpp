#include "tests/conformance/profiles.h"

#include "tests/support/fault_erp/fault_erp.h"
#include "tests/support/fault_erp/fault_receiver.h"
#include "tests/support/fault_erp/small_erp.h"
#include "tests/unit/collector/connectors/account_documents.h"
#include "tests/unit/collector/connectors/connector_world.h"

namespace ledgerline::conformance {

namespace {

using namespace collector::testing;  // NOLINT: the documents and options of the connectors' tests
using ledgerline::testing::FaultErp;
using ledgerline::testing::FaultReceiver;
using ledgerline::testing::SmallErp;

Json billing_summary(const std::string& id) { return example_document(id); }
Json adjustment(const std::string& id) { return example_adjustment(id); }
Json maintenance_order(const std::string& id) { return example_order(id); }

Json account_update(const std::string& id) { return example_update(id); }
Json opportunity(const std::string& id) { return example_opportunity(id); }

collector::EngineOptions webhook(const std::string& url) {
  return webhook_options(url, FaultReceiver::kSecret);
}

collector::EngineOptions webhook_without_look_ups(const std::string& url) {
  auto options = webhook(url);
  options.settings.pop_back();  // documents
  return options;
}

const std::string kKontorProfile =
    std::string(LEDGERLINE_SOURCE_DIR) + "/tests/support/fault_erp/small_erp.lua";

collector::EngineOptions kontor(const std::string& url) {
  return {.name = "kontor",
          .profile_file = "small_erp.lua",
          .profile = io::read_file(kKontorProfile).value(),
          .url = url,
          .ca_file = "",
          .user = SmallErp::kUser,
          .password = SmallErp::kPassword,
          .timeout = Duration(400),
          .settings = {}};
}

template <class System>
std::unique_ptr<ledgerline::testing::FaultServer> make() {
  return std::make_unique<System>();
}

}  // namespace

const std::vector<Profile>& profiles() {
  static const std::vector<Profile> list = {
      {"tryton",
       make<FaultErp>,
       tryton_options,
       {{"billing-summary", "account.invoice.create", "account.invoice.search_read",
         billing_summary},
        {"adjustment", "account.invoice.create", "account.invoice.search_read", adjustment},
        {"maintenance-order", "project.work.create", "project.work.search_read", maintenance_order,
         2},
        {"account-update", "ir.note.create", "ir.note.search_read", account_update},
        {"opportunity", "sale.opportunity.create", "sale.opportunity.search_read", opportunity}}},
      {"webhook",
       make<FaultReceiver>,
       webhook,
       {{"billing-summary", "receive", "read", billing_summary},
        {"adjustment", "receive", "read", adjustment},
        {"maintenance-order", "receive", "read", maintenance_order},
        {"account-update", "receive", "read", account_update},
        {"opportunity", "receive", "read", opportunity}}},
      {"webhook without look-ups",
       make<FaultReceiver>,
       webhook_without_look_ups,
       {{"billing-summary", "receive", "", billing_summary},
        {"maintenance-order", "receive", "", maintenance_order}}},
      // A voucher's memo is not unique there, so the profile cannot claim it for its jobs either.
      {"kontor",
       make<SmallErp>,
       kontor,
       {{"billing-summary", "vouchers.create", "vouchers.read", billing_summary, 0},
        {"maintenance-order", "jobs.create", "jobs.read", maintenance_order}},
       false},
  };
  return list;
}

}  // namespace ledgerline::conformance
