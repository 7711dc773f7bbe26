#include "collector/store/keys.h"

#include "common/check.h"

namespace ledgerline::collector {

namespace {
constexpr uint8_t kKeyVersion = 1;
constexpr uint32_t kQuarterBias = 0x80000000U;
constexpr uint64_t kTimeBias = 0x8000000000000000U;

tl::unexpected<Error> no_key() { return fail(Errc::corrupt, "a stored key is cut short"); }
}  // namespace

Key::Key(Table table) {
  bytes_.reserve(64);
  bytes_.push_back(static_cast<uint8_t>(table));
  bytes_.push_back(kKeyVersion);
}

Key& Key::text(std::string_view value) & {
  for (const char c : value) {
    bytes_.push_back(static_cast<uint8_t>(c));
    if (c == '\0') bytes_.push_back(0xff);
  }
  bytes_.push_back(0);
  bytes_.push_back(0);
  return *this;
}

Key& Key::u32(uint32_t value) & {
  append_big_endian32(bytes_, value);
  return *this;
}

Key& Key::u64(uint64_t value) & {
  append_big_endian64(bytes_, value);
  return *this;
}

Key& Key::time(Timestamp value) & {
  return u64(static_cast<uint64_t>(value.unix_ms()) ^ kTimeBias);
}

Key& Key::quarter(QuarterHour value) & {
  return u32(static_cast<uint32_t>(value.index) ^ kQuarterBias);
}

Key& Key::id(ByteView value) & {
  bytes_.insert(bytes_.end(), value.begin(), value.end());
  return *this;
}

Bytes Key::end() const {
  Bytes out = bytes_;
  while (out.back() == 0xff)
    out.pop_back();  // ends at the table byte at the latest, which is never 0xff
  ++out.back();
  return out;
}

Result<std::string> KeyReader::text() {
  std::string out;
  while (rest_.size() >= 2) {
    if (rest_[0] != 0) {
      out.push_back(static_cast<char>(rest_[0]));
      rest_ = rest_.subspan(1);
      continue;
    }
    const bool is_end = rest_[1] == 0;
    if (!is_end) out.push_back('\0');
    rest_ = rest_.subspan(2);
    if (is_end) return out;
  }
  return no_key();
}

Result<uint64_t> KeyReader::u64() {
  if (rest_.size() < 8) return no_key();
  const uint64_t out = big_endian64(rest_);
  rest_ = rest_.subspan(8);
  return out;
}

Result<QuarterHour> KeyReader::quarter() {
  if (rest_.size() < 4) return no_key();
  const uint32_t out = big_endian32(rest_) ^ kQuarterBias;
  rest_ = rest_.subspan(4);
  return QuarterHour{static_cast<int32_t>(out)};
}

}  // namespace ledgerline::collector
