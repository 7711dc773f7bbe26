#include "agent/core/series_labels.h"

#include <algorithm>

#include "agent/core/reading_text.h"

namespace ledgerline::agent {

namespace {

const std::string kNone;

/// Empty where its label is missing.
Result<const std::string*> text_of(const TextOrLabel& source, const Labels& labels) {
  if (!source.label) return &source.text;
  TRY(const std::string* found, find_label(labels, *source.label));
  if (found == nullptr) return &kNone;
  if (found->size() > RecordLimits::kTextMax)
    return fail(Errc::reject, in_quotes(*source.label) + " is longer than 1024 bytes");
  return found;
}

}  // namespace

Result<const std::string*> find_label(const Labels& labels, std::string_view name) {
  const auto named = [name](const auto& label) { return label.first == name; };
  const auto found = std::find_if(labels.begin(), labels.end(), named);
  if (found == labels.end()) return nullptr;
  if (std::any_of(found + 1, labels.end(), named))
    return fail(Errc::reject, in_quotes(name) + " stands twice");
  return &found->second;
}

Status fill_series(const SeriesRule& rule, const Labels& labels, RecordItem& item) {
  if (rule.subject) {
    TRY(const std::string* subject, text_of(*rule.subject, labels));
    if (subject->empty())
      return fail(Errc::reject, "there is no " + in_quotes(rule.subject->label.value_or("")) +
                                    " to take the subject from");
    TRY_VOID(check_subject(*subject));
    item.reading.subject = *subject;
  }
  item.reading.dimensions.clear();
  for (const auto& [name, source] : rule.dimensions) {
    TRY(const std::string* value, text_of(source, labels));
    if (value->empty()) continue;
    TRY_VOID(check_dimension(name, *value));
    item.reading.dimensions.emplace_back(name, *value);
  }
  std::sort(item.reading.dimensions.begin(), item.reading.dimensions.end());
  return check_text_size(item);
}

}  // namespace ledgerline::agent
