#include "agent/core/reading_text.h"

#include <algorithm>

namespace ledgerline::agent {

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::string in_quotes(std::string_view text) {
  return "\"" + std::string(text.substr(0, 80)) + "\"";
}

Status check_subject(std::string_view text) {
  if (text.empty() || has_control(text))
    return fail(Errc::reject, "the subject is empty or holds a control character");
  return {};
}

Status check_dimension(std::string_view name, std::string_view value) {
  if (has_control(value))
    return fail(Errc::reject, "the dimension " + in_quotes(name) + " holds a control character");
  return {};
}

Status check_text_size(const RecordItem& item) {
  if (text_bytes(item) > RecordLimits::kReadingTextMax)
    return fail(Errc::reject, "subject and dimensions are longer than 4 KiB");
  return {};
}

}  // namespace ledgerline::agent
