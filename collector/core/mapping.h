#pragma once
// Whose usage it is: (device, subject) at an instant -> subscription and asset. A link that names
// the subject beats the device's link for every subject ("*"). Pure; holds what the catalog says,
// and dies before it.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "collector/core/catalog.h"

namespace ledgerline::collector {

/// Every instant that a reading can have: 1970 to 9999.
inline constexpr Period kAlways{Timestamp(0), Timestamp(253'402'300'800'000)};

/// A span in which one link decides; nullptr: none does.
struct MappedSpan {
  Timestamp from;
  Timestamp until;
  const Link* link = nullptr;
  friend bool operator==(const MappedSpan&, const MappedSpan&) = default;
};

class Mapping {
 public:
  explicit Mapping(const Catalog& catalog);

  /// Nullptr where the subject is unmapped at that instant.
  [[nodiscard]] const Link* resolve(const std::string& device, const std::string& subject,
                                    Timestamp t) const;

  /// The period cut where the deciding link changes, in order and without holes.
  [[nodiscard]] std::vector<MappedSpan> spans(const std::string& device, const std::string& subject,
                                              Period period) const;

  /// Devices with a link to one of the contract's subscriptions that overlaps the period, and for
  /// each how far its readings are needed (DeviceNeed without streams).
  [[nodiscard]] std::vector<DeviceNeed> devices_of(const Contract& contract, Period period) const;

 private:
  using BySubject = std::map<std::string, std::vector<const Link*>>;  // each ascending by from
  [[nodiscard]] const std::vector<const Link*>* links_of(const std::string& device,
                                                         std::string_view subject) const;

  std::map<std::string, BySubject> by_device_;
};

}  // namespace ledgerline::collector
