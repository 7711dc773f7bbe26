#pragma once
// An HTTP server that misbehaves on demand, over real sockets on loopback, so that a connector
// meets real resets, half replies and silence. Faults are queued per operation and used up one by
// one; afterwards it behaves. What it serves is its face's business: a class that derives from it,
// keeps the system's own truth and says how that system speaks (fault_erp.h, fault_receiver.h).
//
// A face calls start() at the end of its constructor and stop() at the beginning of its destructor:
// between them its functions below are called from other threads, one at a time, under lock_.

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
  wrong_echo,         // done, but what is kept is something else: another amount
  not_json,           // done, and the reply is garbage that says it is JSON
  user_error,         // refused for good, nothing is done
  field_missing,      // done, but the reply has lost a field: the system was upgraded
  field_renamed,
};

struct FaultRequest {
  std::string method;  // "POST"
  std::string target;  // "/erp/documents/bs-1"
  std::string head;    // with the request line
  std::string body;

  /// Name as it is written by our client; empty where there is none.
  [[nodiscard]] std::string header(const std::string& name) const;
};

struct FaultReply {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::string extra_header;
};

/// %41 becomes A; a % that no two hexadecimal digits follow stays.
std::string url_decoded(const std::string& text);

class FaultServer {
 public:
  FaultServer(const FaultServer&) = delete;
  FaultServer& operator=(const FaultServer&) = delete;
  virtual ~FaultServer();

  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(port_) + "/erp/";
  }

  /// The next request whose operation ends with `operation` meets the fault.
  void queue(const std::string& operation, Fault fault);
  /// How often an operation was asked for, faults included.
  [[nodiscard]] int calls(const std::string& operation) const;
  /// All of them, in order.
  [[nodiscard]] std::vector<std::string> operations() const;
  [[nodiscard]] size_t faults_left() const;
  /// Nobody is at home: the system refuses connections. listen() ends it.
  void hang_up();
  void listen();

  /// How many documents the system keeps.
  [[nodiscard]] virtual size_t documents() const = 0;

 protected:
  FaultServer();
  void start() { listen(); }
  void stop();

  // ---- The face, under lock_
  /// What faults are queued by.
  [[nodiscard]] virtual std::string operation_of(const FaultRequest& request) const = 0;
  /// `wrong_echo`: what is kept is to differ from what was asked.
  virtual FaultReply answer(const FaultRequest& request, bool wrong_echo) = 0;
  /// Its way to refuse a document for good.
  [[nodiscard]] virtual FaultReply refusal() const = 0;
  /// Whether the request asks for a document by our id.
  [[nodiscard]] virtual bool is_look(const std::string& operation) const = 0;
  /// The field of a reply that a connector cannot do without.
  [[nodiscard]] virtual std::string essential_field(const std::string& operation) const = 0;

  mutable std::mutex lock_;

 private:
  void bind();
  void accept_loop();
  void serve(int connection);
  Fault take_fault(const std::string& operation);
  FaultReply reply_to(const FaultRequest& request, const std::string& operation, Fault fault);
  void send_reply(int connection, const FaultReply& reply, Fault fault);

  int listener_ = -1;
  uint16_t port_ = 0;  // 0: any
  std::thread acceptor_;
  std::atomic<bool> stopping_{false};
  // Under lock_
  std::vector<std::thread> workers_;
  std::vector<int> connections_;
  std::map<std::string, std::deque<Fault>> faults_;
  std::vector<std::string> operations_;
  std::vector<FaultRequest> late_;  // wait for the next look
};

}  // namespace ledgerline::testing
