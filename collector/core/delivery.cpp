#include "collector/core/delivery.h"

#include <algorithm>

#include "collector/core/exceptions.h"

namespace ledgerline::collector {

namespace {

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

/// Look-ups are spaced by more than the commit lag: half as much again, and never closer than half
/// a second.
Timestamp next_lookup(Timestamp now, const DeliveryRules& rules) {
  return now + std::max(Duration(500), rules.commit_lag + rules.commit_lag / 2);
}

ExceptionRow exception_of(const DeliveryRow& delivery, std::string_view kind, std::string detail,
                          Timestamp now) {
  ExceptionRow row = new_exception(kind, {delivery.id}, delivery.tenant, now);
  row.document = delivery.document;
  row.count = 1;
  row.detail = std::move(detail);
  return row;
}

DeliveryDecision stopped(const DeliveryRow& delivery, DeliveryState state, std::string_view kind,
                         std::string detail, Timestamp now) {
  DeliveryDecision decision;
  decision.state = state;
  decision.next_attempt_at = now;
  decision.reply = detail;
  // Added, so that one which a person had resolved opens again.
  decision.exceptions.push_back(
      {UpsertMode::add, exception_of(delivery, kind, std::move(detail), now)});
  return decision;
}

/// lookup_first stays off: whoever releases it has looked, and a delivery begins with a find
/// anyway.
DeliveryDecision held(const DeliveryRow& delivery, std::string why, Timestamp now) {
  return stopped(delivery, DeliveryState::held, exception_kind::kDeliveryHeld, std::move(why), now);
}

/// The same work again later, in the state it is in: a look-up stays a look-up.
DeliveryDecision again(const DeliveryRow& delivery, const AttemptRetry& retry,
                       const DeliveryRules& rules, Timestamp now, uint32_t random) {
  const uint32_t attempts = delivery.attempt - delivery.released_at_attempt;
  if (attempts >= rules.attempts_max) {
    return held(delivery,
                "given up after " + std::to_string(attempts) + " attempts: " + retry.reason, now);
  }
  const Duration delay = retry.after ? std::clamp(*retry.after, Duration(0), rules.retry_after_max)
                                     : backoff_delay(rules.backoff, attempts, random);
  const bool looking = next_step(delivery) == DeliveryStep::look_up;
  DeliveryDecision decision;
  decision.state = looking ? DeliveryState::unknown : DeliveryState::retry;
  decision.lookup_first = looking;
  decision.lookups = looking ? delivery.lookups : 0;
  decision.resends = delivery.resends;
  decision.next_attempt_at = now + delay;
  decision.reply = retry.reason;
  return decision;
}

DeliveryDecision confirmed(const DeliveryRow& delivery, const AttemptConfirmed& found,
                           Timestamp now) {
  DeliveryDecision decision;
  decision.state = DeliveryState::confirmed;
  decision.next_attempt_at = now;
  decision.external_id = found.reference;
  decision.reply = "state " + found.state;
  if (!found.amount.empty()) decision.reply += ", amount " + found.amount;
  decision.document_state = DocumentState::confirmed;
  // Whatever stood in the way before is settled by the document being there.
  for (const auto kind : {exception_kind::kDeliveryRejected, exception_kind::kDeliveryConflict,
                          exception_kind::kDeliveryHeld, exception_kind::kDeliveryUnapproved}) {
    auto row = exception_of(delivery, kind,
                            "the external system holds the document as " + found.reference, now);
    decision.exceptions.push_back({UpsertMode::clear, std::move(row)});
  }
  return decision;
}

DeliveryDecision unknown(const DeliveryRow& delivery, const AttemptUnknown& outcome,
                         const DeliveryRules& rules, Timestamp now) {
  DeliveryDecision decision;
  decision.resends = delivery.resends;
  decision.state = DeliveryState::unknown;
  decision.lookup_first = true;
  decision.next_attempt_at = next_lookup(now, rules);
  decision.reply = outcome.reason;
  return decision;
}

DeliveryDecision absent(const DeliveryRow& delivery, const DeliveryRules& rules, Timestamp now,
                        uint32_t random) {
  DeliveryDecision decision;
  decision.resends = delivery.resends;
  decision.lookups = delivery.lookups + 1;
  if (decision.lookups < kLookupsNeeded) {
    decision.state = DeliveryState::unknown;
    decision.lookup_first = true;
    decision.next_attempt_at = next_lookup(now, rules);
    decision.reply = "looked up, not there";
    return decision;
  }
  if (!rules.unique_ref) {
    return held(
        delivery,
        "not found, and this system would accept the document twice: look there, then release it",
        now);
  }
  if (delivery.resends >= rules.resends_max) {
    return held(delivery,
                "sent " + std::to_string(delivery.resends + 1) +
                    " times with an unknown outcome, and never there afterwards: find out why the "
                    "system does not finish it, then release it",
                now);
  }
  decision.state = DeliveryState::retry;
  decision.lookups = 0;
  decision.resends = delivery.resends + 1;
  decision.next_attempt_at = now + backoff_delay(rules.backoff, decision.resends, random);
  decision.reply = "looked up twice, not there: sent again";
  return decision;
}

DeliveryDecision rejected(const DeliveryRow& delivery, const AttemptRejected& outcome,
                          Timestamp now) {
  // A look-up creates nothing, so a refusal there does not say that nothing was created before.
  if (next_step(delivery) == DeliveryStep::look_up)
    return held(delivery, "cannot be looked up: " + outcome.reason, now);
  return stopped(delivery, DeliveryState::rejected, exception_kind::kDeliveryRejected,
                 outcome.reason, now);
}

DeliveryDecision conflict(const DeliveryRow& delivery, const AttemptConflict& outcome,
                          Timestamp now) {
  auto decision = stopped(delivery, DeliveryState::conflict, exception_kind::kDeliveryConflict,
                          "the external system holds " + outcome.reference +
                              " under our id, but different: " + outcome.differences,
                          now);
  decision.external_id = outcome.reference;
  return decision;
}

}  // namespace

DeliveryStep next_step(const DeliveryRow& claimed) {
  return claimed.lookup_first ? DeliveryStep::look_up : DeliveryStep::deliver;
}

DeliveryDecision on_outcome(const DeliveryRow& claimed, const AttemptOutcome& outcome,
                            const DeliveryRules& rules, Timestamp now, uint32_t random) {
  auto decision = std::visit(
      Overloaded{
          [&](const AttemptConfirmed& found) { return confirmed(claimed, found, now); },
          [&](const AttemptRejected& reason) { return rejected(claimed, reason, now); },
          [&](const AttemptRetry& retry) { return again(claimed, retry, rules, now, random); },
          [&](const AttemptUnknown& reason) { return unknown(claimed, reason, rules, now); },
          [&](const AttemptUnapproved& unapproved) {
            return stopped(claimed, DeliveryState::held, exception_kind::kDeliveryUnapproved,
                           unapproved.reason, now);
          },
          [&](const AttemptConflict& found) { return conflict(claimed, found, now); },
          [&](const AttemptAbsent&) { return absent(claimed, rules, now, random); },
      },
      outcome);
  decision.reply.resize(std::min(decision.reply.size(), DeliveryRow::kReplySizeMax));
  return decision;
}

std::string external_reference(const std::string& document, uint32_t revision) {
  return revision <= 1 ? document : document + "/r" + std::to_string(revision);
}

}  // namespace ledgerline::collector
