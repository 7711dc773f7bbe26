#include "agent/core/prometheus_text.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "agent/core/reading_text.h"

namespace ledgerline::agent {

namespace {

constexpr std::string_view kBlanks = " \t";
constexpr int kExponentMax = 400;
constexpr size_t kDigitsMax = 400;

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }

void skip_blanks(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
}

std::string_view take_word(std::string_view& text) {
  const std::string_view word = text.substr(0, text.find_first_of(kBlanks));
  text.remove_prefix(word.size());
  skip_blanks(text);
  return word;
}

Result<std::string_view> take_name(std::string_view& text) {
  size_t size = 0;
  while (size < text.size() && (is_name_start(text[size]) || (size > 0 && is_digit(text[size]))))
    ++size;
  if (size == 0 || size > PrometheusLimits::kNameMax)
    return fail(Errc::reject, "a name has 1 to 256 letters, digits, _ or :");
  const std::string_view name = text.substr(0, size);
  text.remove_prefix(size);
  return name;
}

/// Behind the opening quote, up to and with the closing one.
Result<std::string> take_quoted(std::string_view& text) {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '"') {
      text.remove_prefix(at + 1);
      return out;
    }
    if (out.size() == PrometheusLimits::kLabelValueMax)
      return fail(Errc::reject, "a label's value is longer than 4096 bytes");
    if (text[at] != '\\') {
      out += text[at];
      continue;
    }
    ++at;
    if (at == text.size()) break;
    if (text[at] != '\\' && text[at] != '"' && text[at] != 'n')
      return fail(Errc::reject, "a label's value has an escape that is not \\\\, \\\" or \\n");
    out += text[at] == 'n' ? '\n' : text[at];
  }
  return fail(Errc::reject, "a label's value has no closing quote");
}

/// Behind the opening brace, up to and with the closing one.
Result<Labels> take_labels(std::string_view& text) {
  Labels out;
  for (;;) {
    skip_blanks(text);
    if (text.starts_with('}')) break;
    if (out.size() == PrometheusLimits::kLabelsMax)
      return fail(Errc::reject, "it has more than 64 labels");
    TRY(const std::string_view name, take_name(text));
    skip_blanks(text);
    if (!text.starts_with('=')) return fail(Errc::reject, "a label has no \"=\"");
    text.remove_prefix(1);
    skip_blanks(text);
    if (!text.starts_with('"')) return fail(Errc::reject, "a label's value has no quotes");
    text.remove_prefix(1);
    TRY(std::string value, take_quoted(text));
    out.emplace_back(name, std::move(value));
    skip_blanks(text);
    if (text.starts_with(',')) {
      text.remove_prefix(1);
    } else if (!text.starts_with('}')) {
      return fail(Errc::reject, "its labels have no closing brace");
    }
  }
  text.remove_prefix(1);
  return out;
}

Status check_timestamp(std::string_view text) {
  int64_t ms = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), ms);
  if (fault == std::errc() && end == text.data() + text.size()) return {};
  return fail(Errc::reject, "its timestamp " + in_quotes(text) + " is no number of milliseconds");
}

/// digits x 10^exponent
struct Scientific {
  bool negative = false;
  std::string digits;  // without zeros in front
  int exponent = 0;
};

Result<int> parse_exponent(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  int out = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (fault != std::errc() || end != text.data() + text.size() || std::abs(out) > kExponentMax)
    return fail(Errc::reject, "its exponent is no whole number between -400 and 400");
  return out;
}

Result<Scientific> parse_scientific(std::string_view text) {
  Scientific out;
  if (text.starts_with('+') || text.starts_with('-')) {
    out.negative = text[0] == '-';
    text.remove_prefix(1);
  }
  const size_t mark = text.find_first_of("eE");
  std::string_view mantissa = text.substr(0, mark);
  if (mark != std::string_view::npos) {
    TRY(out.exponent, parse_exponent(text.substr(mark + 1)));
  }
  const size_t point = mantissa.find('.');
  bool digit = false;
  for (size_t i = 0; i < mantissa.size(); ++i) {
    if (i == point) continue;
    if (!is_digit(mantissa[i])) return fail(Errc::reject, "it is not a number");
    digit = true;
    if (point != std::string_view::npos && i > point) --out.exponent;
    if (!out.digits.empty() || mantissa[i] != '0') out.digits += mantissa[i];
  }
  if (!digit || mantissa.size() > kDigitsMax) return fail(Errc::reject, "it is not a number");
  return out;
}

/// True where what is cut off `digits` behind `kept` of them makes the last kept digit go up.
bool rounds_up(const std::string& digits, size_t kept) {
  if (kept >= digits.size() || digits[kept] < '5') return false;
  const bool above_half =
      digits[kept] > '5' || digits.find_first_not_of('0', kept + 1) != std::string::npos;
  const bool odd = kept > 0 && (digits[kept - 1] - '0') % 2 != 0;
  return above_half || odd;
}

Result<int64_t> whole_steps(std::string_view text, int scale, bool half_even) {
  TRY(const Scientific number, parse_scientific(text));
  if (number.digits.empty()) return 0;
  const int64_t places =
      static_cast<int64_t>(number.digits.size()) + number.exponent + scale;  // before the cut
  if (places > 19) return fail(Errc::reject, "it does not fit 64 bits at the meter's scale");
  if (places < 0) return 0;
  const auto size = static_cast<size_t>(places);
  std::string kept = number.digits.substr(0, size);
  kept.append(size - kept.size(), '0');
  uint64_t out = 0;
  std::from_chars(kept.data(), kept.data() + kept.size(), out);
  if (half_even && rounds_up(number.digits, size)) ++out;
  if (out > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
    return fail(Errc::reject, "it does not fit 64 bits at the meter's scale");
  return number.negative ? -static_cast<int64_t>(out) : static_cast<int64_t>(out);
}

}  // namespace

std::string_view to_string(PrometheusType type) {
  switch (type) {
    case PrometheusType::untyped:
      return "untyped";
    case PrometheusType::counter:
      return "counter";
    case PrometheusType::gauge:
      return "gauge";
    case PrometheusType::histogram:
      return "histogram";
    case PrometheusType::summary:
      return "summary";
  }
  return "";
}

Result<PrometheusSample> parse_prometheus_sample(std::string_view line) {
  if (line.size() > PrometheusLimits::kLineMax)
    return fail(Errc::reject, "it is longer than 64 KiB");
  if (!is_utf8(line)) return fail(Errc::reject, "it is not UTF-8");
  PrometheusSample out;
  std::string_view rest = line;
  skip_blanks(rest);
  TRY(out.name, take_name(rest));
  skip_blanks(rest);
  if (rest.starts_with('{')) {
    rest.remove_prefix(1);
    TRY(out.labels, take_labels(rest));
    skip_blanks(rest);
  }
  out.value = take_word(rest);
  if (out.value.empty()) return fail(Errc::reject, "it has no value");
  if (const std::string_view timestamp = take_word(rest); !timestamp.empty())
    TRY_VOID(check_timestamp(timestamp));
  if (!rest.empty()) return fail(Errc::reject, "there is more behind its timestamp");
  return out;
}

Status PrometheusTypes::read(std::string_view comment) {
  std::string_view rest = comment.substr(std::min<size_t>(1, comment.size()));
  skip_blanks(rest);
  if (take_word(rest) != "TYPE") return {};
  const std::string_view name = take_word(rest);
  const std::string_view type = take_word(rest);
  for (const PrometheusType each :
       {PrometheusType::untyped, PrometheusType::counter, PrometheusType::gauge,
        PrometheusType::histogram, PrometheusType::summary}) {
    if (type != to_string(each) || name.empty() || name.size() > PrometheusLimits::kNameMax)
      continue;
    if (types_.size() >= PrometheusLimits::kTypesMax)
      return fail(Errc::reject, "there are more than 20000 TYPE lines");
    types_.insert_or_assign(std::string(name), each);
    return {};
  }
  return fail(Errc::reject,
              "a TYPE line names a metric and one of counter, gauge, histogram, "
              "summary and untyped");
}

PrometheusType PrometheusTypes::of(std::string_view sample_name) const {
  if (const auto own = types_.find(sample_name); own != types_.end())
    return own->second == PrometheusType::summary ? PrometheusType::gauge : own->second;
  for (const std::string_view suffix : {"_bucket", "_count", "_sum"}) {
    if (!sample_name.ends_with(suffix)) continue;
    const auto family = types_.find(sample_name.substr(0, sample_name.size() - suffix.size()));
    if (family == types_.end()) continue;
    const bool of_it = family->second == PrometheusType::histogram ||
                       (family->second == PrometheusType::summary && suffix != "_bucket");
    if (of_it) return PrometheusType::counter;
  }
  return PrometheusType::untyped;
}

Result<int64_t> cut_value(std::string_view text, int scale) {
  return whole_steps(text, scale, false);
}

Result<int64_t> rounded_value(std::string_view text, int scale) {
  return whole_steps(text, scale, true);
}

}  // namespace ledgerline::agent
