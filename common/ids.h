#pragma once
// The names of things as types, so that one cannot be passed for another.

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <string>

#include "common/bytes.h"

namespace ledgerline {

/// A fixed-size byte string with a meaning. Tag only tells the types apart.
template <class Tag, size_t Size>
class FixedId {
 public:
  static constexpr size_t kSize = Size;
  constexpr FixedId() = default;
  explicit constexpr FixedId(const std::array<uint8_t, Size>& bytes) : bytes_(bytes) {}

  /// Errc::corrupt where the length is not Size.
  static Result<FixedId> from(ByteView bytes) {
    if (bytes.size() != Size) return fail(Errc::corrupt, "an identifier has the wrong length");
    FixedId out;
    std::memcpy(out.bytes_.data(), bytes.data(), Size);
    return out;
  }
  static Result<FixedId> from(std::string_view bytes) { return from(bytes_of(bytes)); }

  [[nodiscard]] ByteView view() const { return bytes_; }
  [[nodiscard]] std::string str() const { return string_of(view()); }
  [[nodiscard]] std::string hex() const { return to_hex(view()); }
  [[nodiscard]] bool is_zero() const { return *this == FixedId(); }
  friend constexpr auto operator<=>(const FixedId&, const FixedId&) = default;

 private:
  std::array<uint8_t, Size> bytes_{};
};

/// SHA-256 of a domain label and a body; which label, its name says.
using Digest = FixedId<struct DigestTag, 32>;
/// SHA-256("ledgerline/batch/v1\0" || manifest), or of the grant before batch 1: the value that
/// chains batches.
using BatchId = FixedId<struct BatchIdTag, 32>;
/// SHA-256 of a public key's DER SubjectPublicKeyInfo.
using KeyId = FixedId<struct KeyIdTag, 32>;
/// 128 random bits, drawn by the collector in the grant.
using StreamId = FixedId<struct StreamIdTag, 16>;
/// First half of SHA-256("ledgerline/subject/v1\0" || stream || "\0" || subject): names a section's
/// subject in the manifest.
using SubjectTag = FixedId<struct SubjectTagTag, 16>;
/// 128 random bits, drawn by the agent at each of its starts.
using BootId = FixedId<struct BootIdTag, 16>;

/// 1, 2, 3 ... without holes inside a stream; 0 means none yet.
using Seq = uint64_t;
using BatchNumber = uint64_t;
/// Position in the evidence log, from 0.
using LeafNumber = uint64_t;

}  // namespace ledgerline
