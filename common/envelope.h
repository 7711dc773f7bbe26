#pragma once
// The signed envelope: columns -> zstd -> manifest -> signature, and back (PROTOCOL.md "Batch").
// Bytes that leave here are never serialised again: what is verified is what was received. Pure.

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/columns.h"
#include "common/crypto.h"
#include "common/decimal.h"
#include "common/ids.h"
#include "common/sections.h"

namespace ledgerline {

/// Meter number and running sum, ascending by number.
using Totals = std::vector<std::pair<uint32_t, Int128>>;

struct ManifestSection {
  Digest hash;
  size_t compressed_size = 0;
  size_t plain_size = 0;
  uint32_t dictionary = 0;
  std::optional<SubjectTag> tag;  // nothing: the batch's only section, with every subject
};

struct Manifest {
  static constexpr uint32_t kFormat = 1;
  StreamId stream;
  BatchNumber number = 0;
  Seq first_seq = 0;
  Seq last_seq = 0;
  BatchId previous;
  std::vector<ManifestSection> sections;
  Totals totals;
  uint32_t meter_table = 0;
};

struct SealOptions {
  StreamId stream;
  BatchNumber number = 0;
  BatchId previous;
  Totals totals;
  uint32_t meter_table = 0;
  Sections sections = Sections::one;
};

struct SealedBatch {
  BatchId id;
  Bytes bytes;
};

inline constexpr size_t kSaltSize = 16;
/// Enough salt for any batch of this form.
constexpr size_t salt_size(Sections sections) {
  return sections == Sections::one ? kSaltSize : kSectionsMax * kSaltSize;
}

/// The salts come from `random`: salt_size() bytes that are used for nothing else. Errc::full where
/// the batch would pass a limit: 64 KiB sealed, 1 MiB plain in all sections, kSectionsMax.
Result<SealedBatch> seal(const Columns& columns, const MeterRows& meters,
                         const SealOptions& options, ByteView random, Signer& signer);

struct OpenSection {
  Bytes salt;
  Bytes compressed;
  /// Left out of a bundle: only the manifest's entry is there.
  [[nodiscard]] bool withheld() const { return salt.empty(); }
};

/// A batch as received: parsed within limits, nothing believed yet.
struct OpenBatch {
  static constexpr size_t kSealedSizeMax = 64 * 1024;

  Manifest manifest;
  Bytes manifest_bytes;
  BatchId id;
  KeyId key;
  Bytes signature;
  std::vector<OpenSection> sections;
};

enum class EnvelopeFormat { known, unknown };

/// The fields that even an unknown format keeps: enough to find the stream and to park the batch.
struct EnvelopePeek {
  EnvelopeFormat format = EnvelopeFormat::known;
  StreamId stream;
  BatchNumber number = 0;
};
/// Errc::corrupt for anything that is no envelope, Errc::reject for one beyond the size limit.
Result<EnvelopePeek> peek_envelope(ByteView sealed);
/// Sections may be withheld in an evidence bundle only: custody is of whole batches.
enum class Withheld { refused, allowed };
Result<OpenBatch> open_envelope(ByteView sealed, Withheld withheld = Withheld::refused);

/// Signature over the manifest, then the hash of each section that is there over the received
/// bytes. Errc::corrupt says which failed.
Status verify_envelope(const OpenBatch& batch, const PublicKey& key);

/// The readings of a verified batch. Errc::corrupt where a section does not decompress within its
/// size, does not parse, is withheld, holds another subject's readings than its tag says, or where
/// the readings are not those the manifest names.
Result<Columns> open_columns(const OpenBatch& batch, const MeterRows& meters);

/// What a batch with sections withheld still shows.
struct Disclosed {
  Columns columns;                   // the readings that are there, and all records
  std::vector<SubjectTag> withheld;  // in the order of the manifest
  std::vector<Seq> withheld_seqs;    // of all of them together, ascending
};
/// The same for a batch that was opened with Withheld::allowed. That none of a subject's own
/// readings is missing is the caller's to check: subject_tag() of none of its subjects is withheld.
Result<Disclosed> open_disclosed(const OpenBatch& batch, const MeterRows& meters);

/// The batch as it is but for the sections whose tag is not in `own`: those are withheld. The first
/// section and a section for every subject stay. Errc::corrupt where it does not parse.
Result<Bytes> withhold_others(ByteView sealed, const std::set<SubjectTag>& own);

/// The tag of a section with this subject's readings; "": the device itself.
SubjectTag subject_tag(const StreamId& stream, std::string_view subject);

/// SHA-256("ledgerline/batch/v1\0" || manifest)
BatchId batch_id(ByteView manifest);
/// SHA-256("ledgerline/grant/v1\0" || grant): what batch 1 names as its previous batch.
BatchId grant_id(ByteView grant);

}  // namespace ledgerline
