#pragma once
// An ERP that misbehaves on demand and keeps its own truth. It speaks as much of Tryton's JSON-RPC
// as the profile needs, over real sockets on loopback, so that a connector meets real resets, half
// replies and silence. Faults are queued per method and used up one by one; afterwards it behaves.

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/json.h"

namespace ledgerline::testing {

enum class Fault {
  none,
  refuse_connection,  // reset before the request is read
  reset_before,       // the request is read, nothing is done, reset
  reset_after,        // done, then reset without a byte of reply
  half_reply_after,   // done, then half of the reply and a close
  silence_before,     // nothing is done and nothing is answered
  silence_after,      // done, but never answered: the timeout after commit
  error_500_before,
  error_500_after,
  too_many_requests,  // 429 with Retry-After: 7
  session_expired,    // 401, nothing is done
  slow,               // answered correctly, byte by byte
  late_commit,        // silence; done only after our id was looked for once more and not found
  wrong_echo,         // done, but the amount booked is another one
  not_json,           // done, and the reply is garbage that says it is JSON
  user_error,         // refused for good, nothing is done
};

class FaultErp {
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

  FaultErp();
  ~FaultErp();
  FaultErp(const FaultErp&) = delete;
  FaultErp& operator=(const FaultErp&) = delete;

  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(port_) + "/erp/";
  }

  /// The next call of a method whose name ends with `method` meets the fault.
  void queue(const std::string& method, Fault fault);
  [[nodiscard]] std::vector<Invoice> invoices() const;
  [[nodiscard]] std::vector<Work> works() const;
  /// What field service does. A closed work refuses writes.
  void close_works();
  /// How often a method was called, faults included.
  [[nodiscard]] int calls(const std::string& method) const;
  [[nodiscard]] size_t faults_left() const;

 private:
  struct Reply {
    int status = 200;
    std::string body;
    std::string content_type = "application/json";
    std::string extra_header;
  };
  void accept_loop();
  void serve(int connection);
  Fault take_fault(const std::string& method);
  Reply dispatch(const Json& request, const std::string& authorization, bool wrong_amount);
  Json search_read(const std::string& model, const Json& domain) const;
  Reply create(const Json& values, const Json& id, bool wrong_amount);
  [[nodiscard]] Json invoice_row(const Invoice& invoice) const;
  bool create_work(const Json& values);
  bool write_work(const Json& id, const Json& values);
  [[nodiscard]] Json work_row(const Work& work) const;

  int listener_ = -1;
  uint16_t port_ = 0;
  std::thread acceptor_;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;  // everything below
  std::vector<std::thread> workers_;
  std::vector<int> connections_;
  std::map<std::string, std::deque<Fault>> faults_;
  std::map<std::string, int> calls_;
  std::vector<Invoice> invoices_;
  std::vector<Work> works_;
  std::vector<Json> late_;  // creations that wait for the next look
};

}  // namespace ledgerline::testing
