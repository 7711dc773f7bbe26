#include "collector/core/exceptions.h"

#include <array>

#include "common/crypto.h"

namespace ledgerline::collector {

namespace {

constexpr std::array kPolicies = {
    ExceptionPolicy{exception_kind::kUndecodableBatch, "operator",
                    "compare the agent's and the collector's versions"},
    ExceptionPolicy{exception_kind::kTotalsMismatch, "operator",
                    "examine the device: readings and totals disagree"},
    ExceptionPolicy{exception_kind::kSeqMismatch, "operator",
                    "examine the device: its readings are not numbered in turn"},
    ExceptionPolicy{exception_kind::kImplausibleTime, "operator", "set the device's clock right"},
    ExceptionPolicy{exception_kind::kUnplacedTime, "operator",
                    "find out when the device ran without a clock"},
    ExceptionPolicy{exception_kind::kCoarsened, "operator",
                    "bring the device online sooner or give its journal a larger quota"},
    ExceptionPolicy{exception_kind::kSeriesLimit, "operator",
                    "find out why the device reports so many subjects"},
    ExceptionPolicy{exception_kind::kFork, "operator",
                    "find the clone or restored image, revoke its key, enroll the real one"},
    ExceptionPolicy{exception_kind::kUnmappedSubject, "customer success",
                    "add a [[link]] that names device and subject"},
    ExceptionPolicy{exception_kind::kUnknownMeter, "product",
                    "add the [[meter]] to the catalog, or stop recording it"},
    ExceptionPolicy{exception_kind::kWrongUnit, "product",
                    "make the agent's definition and the catalog's agree"},
    ExceptionPolicy{exception_kind::kLate, "finance",
                    "decide about the usage that came after its period was closed"},
    ExceptionPolicy{exception_kind::kSilentDevice, "operator",
                    "bring the device back, or end its [[link]]"},
    ExceptionPolicy{exception_kind::kNotRated, "finance",
                    "mend the rate card; the period stays open until it can be rated"},
    ExceptionPolicy{exception_kind::kDeliveryRejected, "finance",
                    "mend the master data, then release the delivery"},
    ExceptionPolicy{exception_kind::kDeliveryConflict, "finance",
                    "compare the document with the external system's"},
    ExceptionPolicy{exception_kind::kDeliveryHeld, "operator",
                    "look in the external system, then release the delivery"},
};

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

const ExceptionPolicy* exception_policy(std::string_view kind) {
  for (const ExceptionPolicy& policy : kPolicies) {
    if (policy.kind == kind) return &policy;
  }
  return nullptr;
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
