#pragma once
// A document on its way to one external system (reliability.md 1.7). Decides what a worker does
// with a claimed delivery and what becomes of it afterwards; collector/dispatch performs it. The
// rule above all others: where the outcome is not known, nothing is sent until the external system
// was asked for our id. Pure: time and chance are passed in.
//
//   PENDING --claim--> IN_FLIGHT --confirmed--> CONFIRMED
//                        | --retry-----------> RETRY     --claim when due--> IN_FLIGHT
//                        | --rejected--------> REJECTED  a person mends the cause and releases it
//                        | --conflict--------> CONFLICT  a person compares
//                        | --unapproved------> HELD      nothing was sent; a person approves
//                        | --unknown, crash--> UNKNOWN   --claim when due--> look-up
//   look-up: found -> CONFIRMED or CONFLICT; absent twice -> RETRY where the id is unique there (a
//   few times), else HELD

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "collector/core/records.h"
#include "common/backoff.h"

namespace ledgerline::collector {

/// What a connector promises about its external system.
struct DeliveryRules {
  bool unique_ref = false;    // it refuses a second document with our id
  Duration commit_lag{1000};  // a document may become visible this long after its request ended
  Backoff backoff{Duration(2'000), Duration(300'000)};
  Duration retry_after_max{3'600'000};  // a longer Retry-After is not believed
  /// Since a person released it last; then a person looks: about a week of the longest delay.
  uint32_t attempts_max = 2000;
  /// A system that never answers in time and never keeps the document will not do so the next time.
  uint32_t resends_max = 8;
};

/// How often a document must be missed before it counts as absent.
inline constexpr uint32_t kLookupsNeeded = 2;

/// What came of one attempt or look-up.
struct AttemptConfirmed {
  std::string reference;  // the external system's own id
  std::string state;      // its word, e.g. "draft"
  std::string amount;
};
struct AttemptRejected {
  std::string reason;
};
struct AttemptRetry {
  std::optional<Duration> after;
  std::string reason;
  bool system_at_fault = true;  // the external system as a whole, not this document
};
struct AttemptUnknown {
  std::string reason;
};
/// Nothing was sent: nobody whose signature counts approved the document.
struct AttemptUnapproved {
  std::string reason;
};
struct AttemptConflict {
  std::string reference;
  std::string differences;
};
/// Only of a look-up.
struct AttemptAbsent {};
using AttemptOutcome = std::variant<AttemptConfirmed, AttemptRejected, AttemptRetry, AttemptUnknown,
                                    AttemptUnapproved, AttemptConflict, AttemptAbsent>;

enum class DeliveryStep {
  deliver,  // find, and where there is nothing create, then read back
  look_up,  // find, and where there is something read back: nothing is created
};
DeliveryStep next_step(const DeliveryRow& claimed);

struct DeliveryDecision {
  DeliveryState state = DeliveryState::confirmed;
  bool lookup_first = false;
  uint32_t lookups = 0;
  uint32_t resends = 0;
  Timestamp next_attempt_at;
  std::string external_id;
  std::string reply;
  std::optional<DocumentState> document_state;
  std::vector<ExceptionUpsert> exceptions;
};
/// `random` is any 32 random bits.
DeliveryDecision on_outcome(const DeliveryRow& claimed, const AttemptOutcome& outcome,
                            const DeliveryRules& rules, Timestamp now, uint32_t random);

/// The id under which the external system knows a revision: the document's own, with the revision
/// from the second on.
std::string external_reference(const std::string& document, uint32_t revision);

}  // namespace ledgerline::collector
