#pragma once
// The webhook face of a fault server: a receiver of Standard Webhooks that keeps each body under
// its webhook-id. Operations: "receive" (POST), "read" (GET).

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/fault_erp/fault_server.h"

namespace ledgerline::testing {

class FaultReceiver final : public FaultServer {
 public:
  static constexpr const char* kSecret = "whsec_bGVkZ2VybGluZS10ZXN0cy1vbmx5LTAwMDE=";

  FaultReceiver() { start(); }
  ~FaultReceiver() override { stop(); }

  /// By webhook-id.
  [[nodiscard]] std::map<std::string, std::string> bodies() const;
  /// Of the newest accepted POST.
  [[nodiscard]] FaultRequest newest() const;
  /// What field service does.
  void close_orders();
  [[nodiscard]] size_t documents() const override;

 private:
  [[nodiscard]] std::string operation_of(const FaultRequest& request) const override;
  FaultReply answer(const FaultRequest& request, bool wrong_echo) override;
  [[nodiscard]] FaultReply refusal() const override;
  [[nodiscard]] bool is_look(const std::string& operation) const override;
  [[nodiscard]] std::string essential_field(const std::string& operation) const override;

  FaultReply receive(const FaultRequest& request, bool wrong_echo);
  [[nodiscard]] FaultReply read(const FaultRequest& request) const;
  [[nodiscard]] FaultReply kept(int status, const std::string& id) const;

  // Under lock_
  std::map<std::string, std::string> bodies_;
  FaultRequest newest_;
  bool closed_ = false;
};

}  // namespace ledgerline::testing
