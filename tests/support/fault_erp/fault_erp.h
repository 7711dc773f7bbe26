#pragma once
// The Tryton face of a fault server: an ERP that speaks as much of Tryton's JSON-RPC as the profile
// needs. Operations are its methods: "model.account.invoice.create".

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/support/fault_erp/fault_server.h"

namespace ledgerline::testing {

class FaultErp final : public FaultServer {
 public:
  struct Invoice {
    int64_t id = 0;
    std::string external_id;
    std::string party;
    std::string currency;
    std::string untaxed_amount;
    Json body;  // as it was sent
  };
  struct Work {
    int64_t id = 0;
    Json values;  // as they were sent, amended by writes
    bool closed = false;
  };

  FaultErp() { start(); }
  ~FaultErp() override { stop(); }

  [[nodiscard]] std::vector<Invoice> invoices() const;
  [[nodiscard]] std::vector<Work> works() const;
  /// What field service does. A closed work refuses writes.
  void close_works();
  [[nodiscard]] size_t documents() const override;

 private:
  [[nodiscard]] std::string operation_of(const FaultRequest& request) const override;
  FaultReply answer(const FaultRequest& request, bool wrong_echo) override;
  [[nodiscard]] FaultReply refusal() const override;
  [[nodiscard]] bool is_look(const std::string& operation) const override;
  [[nodiscard]] std::string essential_field(const std::string& operation) const override;

  FaultReply dispatch(const Json& request, const std::string& authorization, bool wrong_echo);
  Json search_read(const std::string& model, const Json& domain) const;
  FaultReply create(const Json& values, const Json& id, bool wrong_amount);
  [[nodiscard]] Json invoice_row(const Invoice& invoice) const;
  bool create_record(const std::string& model, const Json& values, bool wrong_echo);
  [[nodiscard]] Json record_row(const std::string& model, const Json& values) const;
  bool create_work(const Json& values, bool wrong_asset);
  bool write_work(const Json& id, const Json& values);
  [[nodiscard]] Json work_row(const Work& work) const;

  // Under lock_
  std::vector<Invoice> invoices_;
  std::vector<Work> works_;
  std::map<std::string, std::vector<Json>> records_;  // by model: the values they were sent with
};

}  // namespace ledgerline::testing
