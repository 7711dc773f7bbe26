#pragma once
// The third face of a fault server: Kontor, a small ERP whose manual is small_erp.md. Operations:
// "session", "customers", "vouchers.create", "vouchers.search" (the first page), "vouchers.page"
// (any further one), "vouchers.read", "jobs.create", "jobs.read" (the search by ref, the only way
// to read a job), "jobs.amend".
//
// Kontor's bookkeepers have vouchers of their own, with memos like ours: a search for a memo finds
// theirs first, and ours on the second page.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/support/fault_erp/fault_server.h"

namespace ledgerline::testing {

class SmallErp final : public FaultServer {
 public:
  static constexpr const char* kUser = "collector";
  static constexpr const char* kPassword = "right";

  SmallErp();
  ~SmallErp() override { stop(); }

  /// What field service does. A job that is done refuses amendments.
  void finish_jobs();
  /// Vouchers and jobs, without the bookkeepers' own.
  [[nodiscard]] size_t documents() const override;

 private:
  /// Of a target without its query; `query` by name, decoded.
  struct Place {
    std::string path;
    std::map<std::string, std::string> query;
  };

  [[nodiscard]] std::string operation_of(const FaultRequest& request) const override;
  FaultReply answer(const FaultRequest& request, bool wrong_echo) override;
  [[nodiscard]] FaultReply refusal() const override;
  [[nodiscard]] bool is_look(const std::string& operation) const override;
  [[nodiscard]] std::string essential_field(const std::string& operation) const override;

  static Place place_of(const FaultRequest& request);
  FaultReply open_session(const Json& body);
  [[nodiscard]] bool has_session(const FaultRequest& request) const;
  FaultReply read(const std::string& operation, const Place& place) const;
  FaultReply write(const std::string& operation, const Place& place, const Json& body,
                   bool wrong_echo);
  [[nodiscard]] FaultReply find_customer(const Place& place) const;
  FaultReply create_voucher(const Json& body, bool wrong_amount);
  [[nodiscard]] FaultReply search_vouchers(const Place& place) const;
  [[nodiscard]] FaultReply read_voucher(const Place& place) const;
  FaultReply create_job(const Json& body, bool wrong_asset);
  FaultReply amend_job(const Place& place, const Json& body);
  [[nodiscard]] FaultReply read_jobs(const Place& place) const;
  void add_voucher(Json values);

  // Under lock_
  int sessions_ = 0;
  std::vector<Json> vouchers_;  // as they are read
  std::vector<Json> jobs_;
};

}  // namespace ledgerline::testing
