#pragma once
// Which sealed batches are sent now and which again. Pure; the uplink performs what is answered
// here.
//
// The invariant: at most `batches_max` batches and `bytes_max` bytes are on their way, none beyond
// linked + 64 (what a collector parks), nothing at all before the collector answered a resume.
// PUBACK moves nothing here: a batch is on its way until a receipt covers it or names it as parked.
// A receipt that stays away makes us ask (resume) instead of sending everything again: the answer
// says what the collector has, and only the rest goes out again.

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "common/backoff.h"
#include "common/messages.h"

namespace ledgerline::agent {

struct SendLimits {
  size_t batches_max = 20;  // measured: the fastest, and what a broker lets be unacknowledged
  size_t bytes_max = 2'500'000;
  Backoff receipt{std::chrono::seconds(10), std::chrono::minutes(5)};  // patience with a receipt
  Backoff answer{std::chrono::seconds(5), std::chrono::minutes(1)};    // patience with an answer
  Backoff verdict{std::chrono::minutes(1),
                  std::chrono::minutes(15)};  // until a verdict that ends sending is asked about
  Backoff refusal{std::chrono::seconds(1),
                  std::chrono::minutes(1)};  // pause after the broker refused a batch
};

/// When something happened, and 32 random bits for a delay that may follow from it.
struct Moment {
  Monotonic now;
  uint32_t random = 0;
};

/// What a receipt or an answer says the collector has.
struct Custody {
  BatchNumber linked_upto = 0;
  std::vector<BatchNumber> parked;  // ascending
};

class SendWindow {
 public:
  struct Fetch {
    uint64_t id = 0;        // comes back with the batches
    BatchNumber after = 0;  // read what follows this number
    size_t batches_max = 0;
    size_t bytes_max = 0;
  };
  struct Fetched {
    BatchNumber number = 0;
    size_t size = 0;
    BatchNumber tombstone_from = 0;  // not 0: it stands for the batches from here to number
  };
  struct Actions {
    bool ask = false;                  // send a resume with a fresh nonce
    std::vector<BatchNumber> publish;  // of the batches just fetched
    std::optional<Fetch> fetch;
    /// Call on_time then, unless something happens before. Each call names it anew.
    std::optional<Monotonic> wake_at;
  };

  explicit SendWindow(SendLimits limits = {}) : limits_(limits) {}

  Actions on_connected(Moment at);
  Actions on_disconnected(Moment at);
  /// Verdict "continue", for the newest resume.
  Actions on_answer(Moment at, const Custody& custody, BatchNumber head);
  Actions on_receipt(Moment at, const Custody& custody);
  /// `head`: the newest sealed batch.
  Actions on_sealed(Moment at, BatchNumber head);
  Actions on_fetched(Moment at, uint64_t fetch, const std::vector<Fetched>& batches);
  /// The broker refused it, or it never left.
  Actions on_not_sent(Moment at, BatchNumber number);
  Actions on_time(Moment at);
  /// The collector says that this stream does not go on. It is asked again: it may have been
  /// started on another store, or an operator may have mended what was wrong.
  Actions on_verdict(Moment at);
  /// What the collector holds is not what it held: it is asked, and its answer counts.
  Actions ask_again(Moment at);
  /// Our own evidence says that nothing may be sent: for good.
  void stop();

  [[nodiscard]] bool open() const { return state_ == State::open; }
  [[nodiscard]] size_t in_flight() const { return in_flight_.size(); }
  [[nodiscard]] size_t bytes_in_flight() const { return bytes_; }
  [[nodiscard]] BatchNumber linked_upto() const { return linked_; }
  [[nodiscard]] uint64_t resent() const { return resent_; }

 private:
  enum class State { disconnected, asking, open, refused, stopped };
  struct Sent {
    size_t size = 0;
    Monotonic at;
    uint64_t order = 0;  // of sending: the broker keeps it, so what came later proves what was lost
  };

  Actions ask(Moment at);
  Actions proceed(Moment at);
  void plan_fetch(Moment at, Actions& actions);
  void plan_wake(Moment at, Actions& actions) const;
  void take(const Custody& custody);
  void forget(BatchNumber number);
  /// A tombstone goes out in the place of these: none of them is on its way or wanted any more.
  /// True where one of them had been sent and did not arrive.
  bool forget_between(BatchNumber first, BatchNumber last);
  [[nodiscard]] bool wanted(BatchNumber number) const;

  SendLimits limits_;
  State state_ = State::disconnected;
  BatchNumber linked_ = 0;
  BatchNumber head_ = 0;
  BatchNumber next_ = 1;         // never sent since the last answer
  std::set<BatchNumber> again_;  // sent once, known not to have arrived
  std::set<BatchNumber> parked_;
  std::map<BatchNumber, Sent> in_flight_;
  std::map<BatchNumber, uint64_t>
      orders_;  // of everything sent above linked_, to find what was overtaken
  size_t bytes_ = 0;
  uint64_t order_ = 0;
  uint64_t fetch_ = 0;  // id of the newest fetch
  bool fetching_ = false;
  Monotonic answer_due_;
  Monotonic ask_again_at_;  // while refused
  Duration receipt_patience_{};
  Monotonic pause_until_;
  unsigned unanswered_ = 0;   // asks in a row
  unsigned unreceipted_ = 0;  // timeouts without progress between them
  unsigned refusals_ = 0;     // in a row
  unsigned verdicts_ = 0;     // that end sending, in a row
  uint64_t resent_ = 0;
};

}  // namespace ledgerline::agent
