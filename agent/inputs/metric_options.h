#pragma once
// What the tables of inputs that map metrics to meters have in common.

#include "agent/core/cloud_event.h"
#include "agent/core/series_labels.h"
#include "common/toml.h"

namespace ledgerline::agent {

/// The meter that the table's key "meter" names. `what` has no id of its own: "a line of a file".
/// Errc::config.
Result<const MeterRow*> read_meter_of(TomlTable& table, const MeterIndex& meters,
                                      const std::string& what);
/// Keys "subject" and "dimensions": texts, or { LABEL_KEY = "name" }. Errc::config.
Result<SeriesRule> read_series_rule(TomlTable& table, const std::string& label_key);

}  // namespace ledgerline::agent
