#include "agent/inputs/metric_options.h"

#include "agent/core/reading_text.h"

namespace ledgerline::agent {

namespace {

constexpr size_t kLabelMax = 256;

Result<TextOrLabel> text_or_label(TomlTable& table, const std::string& key,
                                  const std::string& label_key) {
  TextOrLabel out;
  if (table.has_table(key)) {
    TRY(auto inner, table.table(key));
    TRY(out.label, inner.string(label_key));
    if (out.label->empty() || out.label->size() > kLabelMax)
      return fail(inner.error_at(label_key, "a " + label_key + " has a name"));
    TRY_VOID(inner.finish());
    return out;
  }
  TRY(out.text, table.string(key));
  if (out.text.empty() || has_control(out.text))
    return fail(table.error_at(key, key + " is not empty and has no control characters"));
  return out;
}

}  // namespace

Result<const MeterRow*> read_meter_of(TomlTable& table, const MeterIndex& meters,
                                      const std::string& what) {
  TRY(const std::string name, table.string("meter"));
  const MeterRow* meter = meters.find(name);
  if (meter == nullptr)
    return fail(
        table.error_at("meter", "there is no [[meter]] \"" + name + "\"" + meters.hint(name)));
  if (meter->forward_ids)
    return fail(table.error_at(
        "meter", "the meter \"" + name + "\" forwards ids, and " + what + " has none"));
  return meter;
}

Result<SeriesRule> read_series_rule(TomlTable& table, const std::string& label_key) {
  SeriesRule out;
  if (table.has("subject")) {
    TRY(out.subject, text_or_label(table, "subject", label_key));
  }
  if (table.has("dimensions")) {
    TRY(auto dimensions, table.table("dimensions"));
    for (const std::string& name : dimensions.keys()) {
      TRY(auto source, text_or_label(dimensions, name, label_key));
      out.dimensions.emplace_back(name, std::move(source));
    }
    if (out.dimensions.size() > kDimensionsMax)
      return fail(table.error_at("dimensions", "a reading has at most 16 dimensions"));
  }
  return out;
}

}  // namespace ledgerline::agent
