#pragma once
// The bytes of a version's leaf in the evidence log (PROTOCOL.md "Statements"): the signed
// statement and what the version added and removed. Pure.

#include <string>
#include <vector>

#include "common/ids.h"
#include "common/result.h"

namespace ledgerline {

/// 128 random bits: an entry's hash tells nothing about a text that can be guessed.
using EntrySalt = FixedId<struct EntrySaltTag, 16>;

struct VersionEntry {
  EntrySalt salt;
  std::string text;  // canonical JSON
  friend bool operator==(const VersionEntry&, const VersionEntry&) = default;
};

struct SealedVersion {
  static constexpr size_t kSizeMax = 256 << 20;

  Bytes statement;  // Signed
  std::vector<VersionEntry> added;
  std::vector<Digest> removed;  // entry hashes
};

Bytes encode(const SealedVersion& value);
/// Errc::corrupt.
Result<SealedVersion> decode_sealed_version(ByteView bytes);

}  // namespace ledgerline
