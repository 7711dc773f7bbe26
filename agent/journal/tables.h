#pragma once
// Checked values over LMDB: a checksum is put behind every value and looked at before a value is
// believed.

#include <optional>

#include "common/crc32c.h"
#include "common/io/lmdb.h"

namespace ledgerline::agent {

/// The value without its checksum, a view with the lifetime of LmdbTxn::get's. Errc::corrupt.
inline Result<std::optional<ByteView>> get_checked(const io::LmdbTxn& txn, ByteView key) {
  TRY(const auto stored, txn.get(key));
  if (!stored) return std::nullopt;
  TRY(const ByteView value, checked(key, *stored));
  return value;
}

/// The same for a value that must be there. Errc::corrupt where it is not.
inline Result<ByteView> require_checked(const io::LmdbTxn& txn, ByteView key) {
  TRY(const auto value, get_checked(txn, key));
  if (!value) {
    return fail(Error(Errc::corrupt, "the journal lacks a value").with("key", to_hex(key)));
  }
  return *value;
}

inline Status put_checked(io::LmdbTxn& txn, ByteView key, ByteView value) {
  return txn.put(key, with_checksum(key, value));
}

}  // namespace ledgerline::agent
