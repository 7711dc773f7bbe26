#pragma once
// Whom a metric is about: the tags of a statsd line and the labels of a Prometheus sample become a
// reading's subject and dimensions. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/core/recorder.h"

namespace ledgerline::agent {

/// Names and values, in the order in which they came; a name may stand twice.
using Labels = std::vector<std::pair<std::string, std::string>>;

/// A label's value, or a text that is always the same.
struct TextOrLabel {
  std::optional<std::string> label;
  std::string text;
};

struct SeriesRule {
  std::optional<TextOrLabel> subject;  // absent: the device itself
  std::vector<std::pair<std::string, TextOrLabel>> dimensions;
};

/// nullptr where there is none. Errc::reject where it stands twice.
Result<const std::string*> find_label(const Labels& labels, std::string_view name);

/// Sets subject and dimensions of the reading. A dimension whose label is missing or empty is left
/// out; Errc::reject where the subject's is, and for texts that a reading does not take.
Status fill_series(const SeriesRule& rule, const Labels& labels, RecordItem& item);

}  // namespace ledgerline::agent
