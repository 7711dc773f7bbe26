#pragma once
// An evidence bundle: everything that is needed to check one line of a document with public keys
// alone (PROTOCOL.md "Evidence bundle"). One encoding: the same content gives the same bytes.
//
//   bundle := "LEDGERLINE BUNDLE 1\n" u32 count (u8 type u32 length)*count hash part*count
//   hash   := SHA-256 of everything before it, so that damage to the table is told from damage to
//             a part
//
// Integers are big-endian. Parts stand in the order of their types, within one type as said below;
// the last one is the collector's seal over all others. What a part says is believed only after
// verify.h has checked it. Pure.

#include <optional>
#include <string>
#include <vector>

#include "collector/core/statement.h"
#include "common/sealed_version.h"

namespace ledgerline::collector {

enum class BundlePart : uint8_t {
  question = 1,    // JSON, what is to be proven; one
  document = 2,    // the document's body; one, and for an adjustment those before it
  checkpoint = 3,  // signed note; one
  statement = 4,   // ascending by leaf
  entry = 5,       // of a catalog or mapping version; ascending by version, index
  grant = 6,       // Signed StreamGrant; ascending by stream
  batch = 7,       // ascending by stream, batch number
  heartbeat = 8,   // Signed Heartbeat; ascending by stream
  seal = 9,        // one
};
/// "batch", "catalog or mapping entry", ...: what a person is told is damaged.
std::string_view part_name(BundlePart part);

/// The way from a leaf to the checkpoint's root, or from an entry to its version's root.
struct InclusionPath {
  static constexpr size_t kHashesMax = 64;
  uint64_t index = 0;
  std::vector<Digest> hashes;
  friend bool operator==(const InclusionPath&, const InclusionPath&) = default;
};

struct BundleQuestion {
  std::string document;
  uint32_t revision = 1;
  uint32_t line = 0;  // 0: every line
  friend bool operator==(const BundleQuestion&, const BundleQuestion&) = default;
};

struct BundleStatement {
  LeafKind kind = LeafKind::close;
  InclusionPath path;  // in the log
  Bytes signed_bytes;
};

struct BundleEntry {
  Digest version;      // id of the statement
  InclusionPath path;  // in the version's tree
  VersionEntry entry;
};

struct BundleBatch {
  StreamId stream;
  BatchNumber number = 0;
  Timestamp received_at;              // the collector's word
  std::optional<InclusionPath> path;  // in the log: of the stream's newest batch, and of others
                                      // that are not linked to it by the batches between
  Bytes sealed;                       // SealedBatch; sections may be withheld
};

struct BundleHeartbeat {
  StreamId stream;
  Bytes signed_bytes;
};

struct Bundle {
  static constexpr size_t kSizeMax = size_t{1} << 30;
  static constexpr size_t kPartsMax = 1 << 20;

  BundleQuestion question;
  std::vector<std::string> documents;  // bodies
  std::string checkpoint;
  std::vector<BundleStatement> statements;
  std::vector<BundleEntry> entries;
  std::vector<Bytes> grants;
  std::vector<BundleBatch> batches;
  std::vector<BundleHeartbeat> heartbeats;
};

/// Puts the parts in order and seals them with the collector's key. Errc::reject where it would be
/// too large, or a part is there twice.
Result<Bytes> write_bundle(Bundle bundle, Timestamp at, Signer& collector);

/// Takes a bundle apart whose seal is by one of `keys`. Errc::corrupt names the part that is not
/// what was sealed, "the table of parts" or "the seal". What the parts say is not checked yet.
Result<Bundle> open_bundle(ByteView bytes, const std::vector<PublicKey>& keys);

}  // namespace ledgerline::collector
