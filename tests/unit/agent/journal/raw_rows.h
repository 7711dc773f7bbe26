#pragma once
// The rows of a closed journal, as a bad disk or an older agent left them.

#include "agent/journal/keys.h"
#include "agent/journal/tables.h"
#include "agent/journal/values.h"
#include "tests/unit/agent/journal/fixture.h"

namespace ledgerline::agent::test {

inline io::LmdbEnv open_raw(const Device& device) {
  auto env = io::LmdbEnv::open({.folder = device.options.folder, .map_size_bytes = 1 << 30});
  REQUIRE(env.has_value());
  return std::move(*env);
}

/// Changes one bit of the stored value, as a bad disk would.
inline void flip(const Device& device, ByteView key, size_t at) {
  auto env = open_raw(device);
  auto txn = env.begin_write();
  Bytes value = copy_of(**txn->get(key));
  value[at % value.size()] ^= 1;
  REQUIRE(txn->put(key, value).has_value());
  REQUIRE(txn->commit().has_value());
}

/// The first key at or behind this one.
inline Bytes first_key(const Device& device, ByteView from) {
  auto env = open_raw(device);
  const auto txn = env.begin_read();
  auto cursor = io::LmdbCursor::open(*txn);
  const auto entry = cursor->seek(from);
  REQUIRE(entry->has_value());
  return copy_of((*entry)->key);
}

inline KeyPacks stored_packs(const Device& device) {
  auto env = open_raw(device);
  const auto txn = env.begin_read();
  const auto row = get_checked(*txn, keys::stream(keys::StreamPart::key_packs));
  REQUIRE(row->has_value());
  return *values::decode_key_packs(**row);
}

inline size_t rows_from(const Device& device, ByteView from) {
  auto env = open_raw(device);
  const auto txn = env.begin_read();
  auto cursor = io::LmdbCursor::open(*txn);
  size_t out = 0;
  auto entry = cursor->seek(from);
  for (; entry && *entry && (*entry)->key[0] == from[0]; entry = cursor->next()) ++out;
  return out;
}

}  // namespace ledgerline::agent::test
