#include "collector/core/mapping.h"

#include <algorithm>

namespace ledgerline::collector {

namespace {

bool holds(const Link& link, Timestamp t) {
  return link.from <= t && (!link.until || t < *link.until);
}

const Link* holding(const std::vector<const Link*>* links, Timestamp t) {
  if (links == nullptr) return nullptr;
  // The last one that began: links of one (device, subject) do not overlap.
  const auto after =
      std::upper_bound(links->begin(), links->end(), t,
                       [](Timestamp at, const Link* link) { return at < link->from; });
  if (after == links->begin()) return nullptr;
  const Link* link = *std::prev(after);
  return holds(*link, t) ? link : nullptr;
}

}  // namespace

Mapping::Mapping(const Catalog& catalog) {
  for (const Link& link : catalog.links()) by_device_[link.device][link.subject].push_back(&link);
}

const std::vector<const Link*>* Mapping::links_of(const std::string& device,
                                                  std::string_view subject) const {
  const auto subjects = by_device_.find(device);
  if (subjects == by_device_.end()) return nullptr;
  const auto links = subjects->second.find(std::string(subject));
  return links == subjects->second.end() ? nullptr : &links->second;
}

const Link* Mapping::resolve(const std::string& device, const std::string& subject,
                             Timestamp t) const {
  const Link* own = holding(links_of(device, subject), t);
  return own != nullptr ? own : holding(links_of(device, kEverySubject), t);
}

std::vector<MappedSpan> Mapping::spans(const std::string& device, const std::string& subject,
                                       Period period) const {
  std::set<Timestamp> cuts{period.from};
  for (const auto* links : {links_of(device, subject), links_of(device, kEverySubject)}) {
    if (links == nullptr) continue;
    for (const Link* link : *links) {
      cuts.insert(link->from);
      if (link->until) cuts.insert(*link->until);
    }
  }
  std::vector<MappedSpan> out;
  for (auto cut = cuts.lower_bound(period.from); cut != cuts.end() && *cut < period.until; ++cut) {
    const Link* link = resolve(device, subject, *cut);
    const auto next = std::next(cut);
    const Timestamp until = next == cuts.end() ? period.until : std::min(*next, period.until);
    if (!out.empty() && out.back().link == link) {
      out.back().until = until;
    } else {
      out.push_back({*cut, until, link});
    }
  }
  return out;
}

std::vector<DeviceNeed> Mapping::devices_of(const Contract& contract, Period period) const {
  std::vector<DeviceNeed> out;
  for (const auto& [device, subjects] : by_device_) {
    std::optional<Timestamp> last;  // where the device's last link to the contract ends; open ones
                                    // count as the end of time
    Timestamp first(INT64_MAX);
    for (const auto& [subject, links] : subjects) {
      for (const Link* link : links) {
        const bool ours =
            std::any_of(contract.subscriptions.begin(), contract.subscriptions.end(),
                        [&](const Subscription& one) { return one.name == link->subscription; });
        if (!ours || link->from >= period.until || (link->until && *link->until <= period.from))
          continue;
        last = std::max(last.value_or(Timestamp(INT64_MIN)),
                        link->until.value_or(Timestamp(INT64_MAX)));
        first = std::min(first, link->from);
      }
    }
    if (last) {
      out.push_back({.device = device,
                     .required = std::min(*last, period.until),
                     .link_ended = *last <= period.until,
                     .streams = {},
                     .from = std::max(first, period.from)});
    }
  }
  return out;
}

}  // namespace ledgerline::collector
