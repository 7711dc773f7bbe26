#include "agent/journal/keys.h"

#include <algorithm>

namespace ledgerline::agent::keys {

namespace {

enum class Table : uint8_t {
  meta = 0x00,
  stream = 0x10,
  run = 0x20,
  batch = 0x30,
  skeleton = 0x31,
  series = 0x40,
  seen = 0x50,
  seen_by_hour = 0x51,
  fresh_keys = 0x52,
  key_block = 0x53,
  bookmark = 0x60,
};

constexpr uint8_t kVersion = 1;
constexpr uint8_t kStream = 1;
constexpr size_t kStreamPrefix = 2 + 1;

Bytes of_stream(Table table) { return {static_cast<uint8_t>(table), kVersion, kStream}; }

Bytes numbered(Table table, uint64_t number) {
  Bytes out = of_stream(table);
  append_big_endian64(out, number);
  return out;
}

Bytes hashed(Table table, const KeyHash& hash) {
  Bytes out = of_stream(table);
  out.insert(out.end(), hash.view().begin(), hash.view().end());
  return out;
}

/// What follows the prefix in a key of that table, where it is of that size.
std::optional<ByteView> rest_of(Table table, ByteView key, size_t size) {
  const Bytes prefix = of_stream(table);
  const bool ours =
      key.size() == kStreamPrefix + size && std::equal(prefix.begin(), prefix.end(), key.begin());
  if (!ours) return std::nullopt;
  return key.subspan(kStreamPrefix);
}

}  // namespace

Bytes format() {
  Bytes out = {static_cast<uint8_t>(Table::meta), kVersion};
  for (const char c : std::string_view("format")) out.push_back(static_cast<uint8_t>(c));
  return out;
}

Bytes stream(StreamPart part) {
  Bytes out = of_stream(Table::stream);
  out.push_back(static_cast<uint8_t>(part));
  return out;
}

Bytes run(uint64_t number) { return numbered(Table::run, number); }
Bytes batch(BatchNumber number) { return numbered(Table::batch, number); }
Bytes skeleton(BatchNumber number) { return numbered(Table::skeleton, number); }
Bytes series(const KeyHash& hash) { return hashed(Table::series, hash); }
Bytes seen(const KeyHash& hash) { return hashed(Table::seen, hash); }

Bytes seen_by_hour(Hour hour, uint64_t list, uint16_t part) {
  Bytes out = of_stream(Table::seen_by_hour);
  append_big_endian32(out, hour);
  append_big_endian64(out, list);
  append_big_endian16(out, part);
  return out;
}

Bytes bookmark(std::string_view name) {
  Bytes out;
  out.reserve(2 + name.size());  // g++ 12 warns of the growing insert in an optimised build
  out.push_back(static_cast<uint8_t>(Table::bookmark));
  out.push_back(kVersion);
  out.insert(out.end(), name.begin(), name.end());
  return out;
}

std::optional<std::string> name_of_bookmark(ByteView key) {
  const Bytes prefix = bookmark("");
  const bool ours =
      key.size() > prefix.size() && std::equal(prefix.begin(), prefix.end(), key.begin());
  if (!ours) return std::nullopt;
  return string_of(key.subspan(prefix.size()));
}

std::optional<BatchNumber> number_of_skeleton(ByteView key) {
  const auto rest = rest_of(Table::skeleton, key, 8);
  if (!rest) return std::nullopt;
  return big_endian64(*rest);
}

Bytes fresh_keys(uint64_t number) { return numbered(Table::fresh_keys, number); }

std::optional<uint64_t> number_of_fresh_keys(ByteView key) {
  const auto rest = rest_of(Table::fresh_keys, key, 8);
  if (!rest) return std::nullopt;
  return big_endian64(*rest);
}

Bytes key_block(uint64_t pack, const KeyHash& last) {
  Bytes out = numbered(Table::key_block, pack);
  out.insert(out.end(), last.view().begin(), last.view().end());
  return out;
}

std::optional<BlockKey> block_of_key(ByteView key) {
  const auto rest = rest_of(Table::key_block, key, 8 + KeyHash::kSize);
  if (!rest) return std::nullopt;
  return BlockKey{.pack = big_endian64(*rest), .last = *KeyHash::from(rest->subspan(8))};
}

std::optional<KeyHash> hash_of_seen(ByteView key) {
  const auto rest = rest_of(Table::seen, key, KeyHash::kSize);
  if (!rest) return std::nullopt;
  return *KeyHash::from(*rest);
}

std::optional<Hour> hour_of_key(ByteView key) {
  const auto rest = rest_of(Table::seen_by_hour, key, 4 + 8 + 2);
  if (!rest) return std::nullopt;
  return big_endian32(*rest);
}

}  // namespace ledgerline::agent::keys
