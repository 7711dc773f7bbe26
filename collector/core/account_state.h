#pragma once
// What an account update rule remembers of one contract. Pure.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "collector/core/commerce.h"

namespace ledgerline::collector {

/// The limits that each line has crossed, ascending.
using CrossedLimits = std::map<LineKey, std::vector<Decimal>>;

/// What was told of a period that has not closed yet.
struct ToldPeriod {
  uint32_t revision = 0;
  CrossedLimits crossed;
  friend bool operator==(const ToldPeriod&, const ToldPeriod&) = default;
};

struct AccountState {
  Timestamp next_closed;                   // closed periods that begin before it are told
  std::map<Timestamp, ToldPeriod> open;    // by start; only those with a revision
  std::set<LineKey> overage;               // an opportunity is open as long as they stay beyond
  std::optional<Timestamp> renewal_until;  // the end of the contract that is told
  friend bool operator==(const AccountState&, const AccountState&) = default;
};

/// For the store: canonical JSON.
std::string to_json(const AccountState& state);
/// Errc::corrupt.
Result<AccountState> parse_account_state(std::string_view json);

}  // namespace ledgerline::collector
