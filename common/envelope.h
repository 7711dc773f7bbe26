#pragma once
// The signed envelope: columns -> zstd -> manifest -> signature, and back (PROTOCOL.md "Batch").
// Bytes that leave here are never serialised again: what is verified is what was received. Pure.

#include <string>
#include <utility>
#include <vector>

#include "common/columns.h"
#include "common/crypto.h"
#include "common/decimal.h"
#include "common/ids.h"

namespace ledgerline {

/// Meter number and running sum, ascending by number.
using Totals = std::vector<std::pair<uint32_t, Int128>>;

struct ManifestSection {
  Digest hash;
  size_t compressed_size = 0;
  size_t plain_size = 0;
  uint32_t dictionary = 0;
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
};

struct SealedBatch {
  BatchId id;
  Bytes bytes;
};

/// One section. The salt comes from `random16`, 16 bytes that are used for nothing else.
Result<SealedBatch> seal(const Columns& columns, const MeterRows& meters,
                         const SealOptions& options, ByteView random16, Signer& signer);

/// A batch as received: parsed within limits, nothing believed yet.
struct OpenBatch {
  static constexpr size_t kSealedSizeMax = 64 * 1024;

  Manifest manifest;
  Bytes manifest_bytes;
  BatchId id;
  KeyId key;
  Bytes signature;
  std::vector<std::pair<Bytes, Bytes>> sections;  // salt, compressed
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
Result<OpenBatch> open_envelope(ByteView sealed);

/// Signature over the manifest, then each section's hash over the received bytes. Errc::corrupt
/// says which failed.
Status verify_envelope(const OpenBatch& batch, const PublicKey& key);

/// The readings of a verified batch. Errc::corrupt where a section does not decompress within its
/// size, does not parse, or its readings are not those the manifest names.
Result<Columns> open_columns(const OpenBatch& batch, const MeterRows& meters);

/// SHA-256("ledgerline/batch/v1\0" || manifest)
BatchId batch_id(ByteView manifest);
/// SHA-256("ledgerline/grant/v1\0" || grant): what batch 1 names as its previous batch.
BatchId grant_id(ByteView grant);

}  // namespace ledgerline
