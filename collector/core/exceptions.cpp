#include "collector/core/exceptions.h"

#include <algorithm>

#include "common/crypto.h"

namespace ledgerline::collector {

namespace {

constexpr Duration kHours4 = std::chrono::hours(4);
constexpr Duration kDay = std::chrono::hours(24);

using Action = ExceptionActionKind;
const std::vector<Action> kByHand = {Action::assign, Action::ignore};
const std::vector<Action> kDelivery = {Action::assign, Action::requeue, Action::ignore};

std::vector<ExceptionPolicy> policies() {
  namespace kind = exception_kind;
  return {
      {kind::kUndecodableBatch, "operator", kDay, kByHand,
       "compare the agent's and the collector's versions"},
      {kind::kTotalsMismatch, "operator", 2 * kDay, kByHand,
       "examine the device: readings and totals disagree"},
      {kind::kSeqMismatch, "operator", 2 * kDay, kByHand,
       "examine the device: its readings are not numbered in turn"},
      {kind::kImplausibleTime, "operator", 2 * kDay, kByHand, "set the device's clock right"},
      {kind::kUnplacedTime, "operator", 2 * kDay, kByHand,
       "find out when the device ran without a clock"},
      {kind::kCoarsened, "operator", 7 * kDay, kByHand,
       "bring the device online sooner or give its journal a larger quota"},
      {kind::kDiagnosticsDropped, "operator", 7 * kDay, kByHand,
       "bring the device online sooner or give its diagnostic journal a larger quota"},
      {kind::kSeriesLimit, "operator", 2 * kDay, kByHand,
       "find out why the device reports so many subjects"},
      {kind::kReservedDimension, "operator", 2 * kDay, kByHand,
       "give the dimension another name on the device"},
      {kind::kBadCorrection, "finance", 2 * kDay, kByHand,
       "look at it with correct list, and make it anew"},
      {kind::kFork, "operator", kHours4, kByHand,
       "which of the two is the real device? Revoke the key, enroll the real one with another, and "
       "compare both branches: what only one of them has is billed by a correction, if at all"},
      {kind::kRollback, "operator", kHours4, kByHand,
       "was the device put back to an older image, or is this a copy of it? Its stream has ended "
       "either way: enroll the real one anew; what it records until then stays with its apps"},
      {kind::kStreamReplaced, "finance", 7 * kDay, kByHand,
       "is the tail that never came to be billed? If so, by a correction of the quantity named"},
      {kind::kRecovery,
       "operator",
       kHours4,
       {Action::assign},
       "bring the device online, so that it sends again what this collector lost. If it never "
       "comes back, enroll what replaces it: that ends the wait and names what is lost"},
      // Not to be ignored: it would look solved while nobody is billed.
      {kind::kNewEpoch,
       "operator",
       kHours4,
       {Action::assign},
       "nothing is rated meanwhile. Make again what people decided between the copy and now: "
       "catalog "
       "diff and load, correct, gaps accept, operator add and revoke, revoke of devices; compare "
       "the "
       "documents since the copy with the ERP; then recover --resume --reason TEXT"},
      {kind::kLostBatches, "finance", 7 * kDay, kByHand,
       "neither the collector nor the device has these readings any more, but they may be billed "
       "already: look at the documents of their period in the ERP, and bill by a correction only "
       "what those lack"},
      {kind::kUnknownStream, "operator", kHours4, kByHand,
       "is this the right store? If it was lost or put back from an older copy, let the devices "
       "in with recover; if the device does not belong here, revoke or remove it"},
      {kind::kIntroduced, "operator", 2 * kDay, kByHand,
       "was this device's key ever revoked or replaced? The store that knew is lost: revoke it "
       "again if so, else ignore this with the reason"},
      {kind::kUnmappedSubject,
       "customer success",
       2 * kDay,
       {Action::assign, Action::map, Action::ignore},
       "add a [[link]] that names device and subject"},
      {kind::kUnknownMeter, "product", 2 * kDay, kByHand,
       "add the [[meter]] to the catalog, or stop recording it"},
      {kind::kWrongUnit, "product", 2 * kDay, kByHand,
       "make the agent's definition and the catalog's agree"},
      // Not to be ignored: it is money that only what is signed can change.
      {kind::kLate,
       "finance",
       7 * kDay,
       {Action::assign},
       "wait: an adjustment books it once the contract's adjust_after is over; what is to be "
       "granted "
       "to the customer is a correction"},
      {kind::kSilentDevice, "operator", kDay, kByHand,
       "bring the device back, accept the gap (gaps accept), or end its [[link]]"},
      // Not to be ignored: it would look solved while nobody is billed.
      {kind::kNotRated,
       "finance",
       kDay,
       {Action::assign},
       "mend the rate card or the quantity; until it can be rated the period stays open, or what "
       "came late to it is not booked"},
      {kind::kDeliveryRejected, "finance", kDay, kDelivery,
       "mend the master data, then release the delivery"},
      {kind::kDeliveryConflict, "finance", kDay, kDelivery,
       "compare the document with the external system's"},
      {kind::kDeliveryHeld, "operator", kHours4, kDelivery,
       "look in the external system, then release the delivery"},
      {kind::kDeliveryUnapproved, "finance", kHours4, kDelivery,
       "find out who changed the store; approve the document anew, then release the delivery"},
  };
}

}  // namespace

std::string exception_id(std::string_view kind, std::initializer_list<std::string_view> about) {
  std::string tuple("ledgerline/exception/v1\0", 24);
  const auto append = [&](std::string_view part) {
    tuple += std::to_string(part.size()) + ":" + std::string(part);
  };
  append(kind);
  for (const std::string_view part : about) append(part);
  return "ex-" + sha256(bytes_of(tuple)).hex().substr(0, 32);
}

const std::vector<ExceptionPolicy>& exception_policies() {
  static const std::vector<ExceptionPolicy> all = policies();
  return all;
}

const ExceptionPolicy* exception_policy(std::string_view kind) {
  for (const ExceptionPolicy& policy : exception_policies()) {
    if (policy.kind == kind) return &policy;
  }
  return nullptr;
}

std::optional<Timestamp> deadline_of(std::string_view kind, Timestamp since) {
  const ExceptionPolicy* policy = exception_policy(kind);
  if (policy == nullptr) return std::nullopt;
  return since + policy->within;
}

std::string_view to_string(ExceptionActionKind action) {
  switch (action) {
    case Action::assign:
      return "assign";
    case Action::map:
      return "map";
    case Action::requeue:
      return "requeue";
    case Action::ignore:
      return "ignore";
  }
  return "unknown";
}

Status allowed(std::string_view kind, ExceptionActionKind action) {
  const ExceptionPolicy* policy = exception_policy(kind);
  const std::vector<Action>& actions = policy == nullptr ? kByHand : policy->actions;
  if (std::find(actions.begin(), actions.end(), action) != actions.end()) return {};
  std::string names;
  for (const Action one : actions)
    names += (names.empty() ? "" : ", ") + std::string(to_string(one));
  std::string text = "an exception " + std::string(kind) + " has no action " +
                     std::string(to_string(action)) + "; it has: " + names;
  if (policy != nullptr) text += ". What solves it: " + std::string(policy->remedy);
  return fail(Errc::reject, std::move(text));
}

ExceptionRow new_exception(std::string_view kind, std::initializer_list<std::string_view> about,
                           const std::string& tenant, Timestamp now) {
  ExceptionRow row;
  row.id = exception_id(kind, about);
  row.kind = std::string(kind);
  row.tenant = tenant;
  row.first_seen = now;
  row.last_seen = now;
  if (const ExceptionPolicy* policy = exception_policy(kind))
    row.owner = std::string(policy->owner);
  return row;
}

}  // namespace ledgerline::collector
