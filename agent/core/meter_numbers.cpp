#include "agent/core/meter_numbers.h"

#include <algorithm>
#include <set>

namespace ledgerline::agent {

namespace {

bool same_definition(const MeterRow& a, MeterRow b) {
  b.number = a.number;
  return a == b;
}

Status check(const std::vector<MeterRow>& declared) {
  std::set<std::string_view> names;
  for (const auto& row : declared) {
    if (row.name.empty() || !is_utf8(row.name) || !is_utf8(row.unit)) {
      return fail(Error(Errc::config, "a meter has no readable name").with("meter", row.name));
    }
    if (!names.insert(row.name).second) {
      return fail(Error(Errc::config, "a meter is declared twice").with("meter", row.name));
    }
  }
  return {};
}

Status check(const MeterTable& table) {
  size_t text = 0;
  for (const auto& row : table.rows) text += row.name.size() + row.unit.size();
  if (table.rows.size() <= MeterLimits::kRowsMax && text <= MeterLimits::kTextMax) return {};
  return fail(Error(Errc::config,
                    "the stream has had too many meter definitions; the limit is 512 rows and "
                    "24 KiB of names and units")
                  .with("rows", std::to_string(table.rows.size()))
                  .with("text_bytes", std::to_string(text)));
}

}  // namespace

Result<NumberedMeters> number_meters(const MeterTable& current,
                                     const std::vector<MeterRow>& declared) {
  TRY_VOID(check(declared));
  NumberedMeters out{.table = current, .changed = false, .declared = {}};
  for (const auto& row : declared) {
    const auto known =
        std::find_if(out.table.rows.begin(), out.table.rows.end(),
                     [&](const MeterRow& other) { return same_definition(other, row); });
    if (known != out.table.rows.end()) {
      out.declared.push_back(*known);
      continue;
    }
    MeterRow added = row;
    added.number = out.table.rows.empty() ? 1 : out.table.rows.back().number + 1;
    out.table.rows.push_back(added);
    out.declared.push_back(std::move(added));
    out.changed = true;
  }
  TRY_VOID(check(out.table));
  if (out.changed) ++out.table.number;
  return out;
}

}  // namespace ledgerline::agent
