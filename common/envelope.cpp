// SealedBatch := manifest, key id, signature, sections (PROTOCOL.md "Batch").
// Signature   := over "DSSEv1 " LEN(type) " " type " " LEN(manifest) " " manifest
// Batch id    := SHA-256("ledgerline/batch/v1" NUL manifest)
// Section hash := SHA-256("ledgerline/section/v1" NUL salt[16] compressed)

#include "common/envelope.h"

#include <algorithm>

#include "common/check.h"
#include "common/compress.h"
#include "common/messages.h"
#include "common/protobuf_log.h"
#include "proto/ledgerline.pb.h"

namespace ledgerline {

namespace {

using namespace std::string_view_literals;

constexpr size_t kSaltSize = 16;
constexpr int kSectionsMax = 16;
constexpr int kTotalsMax = 4096;
constexpr uint32_t kCriticalKnownMax = 9;  // manifest fields 1 to 9 are understood

tl::unexpected<Error> corrupt(const char* what) {
  return fail(Errc::corrupt, std::string("a batch's ") + what);
}

Digest section_hash(ByteView salt, ByteView compressed) {
  return sha256({bytes_of("ledgerline/section/v1\0"sv), salt, compressed});
}

template <class Message>
Bytes serialised(const Message& message) {
  Bytes out(message.ByteSizeLong());
  CHECK_INVARIANT(message.SerializeToArray(out.data(), static_cast<int>(out.size())));
  return out;
}

bool understood(const v1::Manifest& manifest) {
  const auto& critical = manifest.critical();
  return manifest.format() == Manifest::kFormat &&
         std::all_of(critical.begin(), critical.end(),
                     [](uint32_t field) { return field <= kCriticalKnownMax; });
}

Status parse(ByteView sealed, v1::SealedBatch& batch, v1::Manifest& manifest) {
  if (sealed.size() > OpenBatch::kSealedSizeMax) {
    return fail(Error(Errc::reject, "a batch is larger than 64 KiB")
                    .with("size", std::to_string(sealed.size())));
  }
  if (!batch.ParseFromArray(sealed.data(), static_cast<int>(sealed.size())))
    return corrupt("bytes do not parse");
  if (batch.manifest().empty() || !manifest.ParseFromString(batch.manifest()))
    return corrupt("manifest does not parse");
  return {};
}

Result<Totals> read_totals(const v1::Manifest& in) {
  Totals totals;
  if (in.totals_size() > kTotalsMax) return corrupt("totals are too many");
  for (const auto& total : in.totals()) {
    if (!totals.empty() && total.meter() <= totals.back().first)
      return corrupt("totals are not ascending");
    TRY(auto sum, int128_from_bytes(total.sum()));
    totals.emplace_back(total.meter(), sum);
  }
  return totals;
}

Result<std::vector<ManifestSection>> read_sections(const v1::Manifest& in) {
  std::vector<ManifestSection> sections;
  if (in.sections_size() == 0 || in.sections_size() > kSectionsMax)
    return corrupt("sections are none or too many");
  for (const auto& section : in.sections()) {
    TRY(const Digest hash, Digest::from(section.hash()));
    if (section.plain_size() > Columns::kPlainSizeMax)
      return corrupt("section is larger than 1 MiB");
    sections.push_back({.hash = hash,
                        .compressed_size = section.compressed_size(),
                        .plain_size = section.plain_size(),
                        .dictionary = section.dictionary()});
  }
  return sections;
}

Result<Manifest> read_manifest(const v1::Manifest& in) {
  if (!understood(in)) {
    return fail(Error(Errc::reject, "a batch is of a format this version does not understand")
                    .with("format", std::to_string(in.format())));
  }
  Manifest out;
  TRY(out.stream, StreamId::from(in.stream()));
  TRY(out.previous, BatchId::from(in.previous_batch_id()));
  out.number = in.batch_number();
  out.first_seq = in.first_seq();
  out.last_seq = in.last_seq();
  // last_seq + 1 >= first_seq, written so that no sum overflows.
  const bool seqs_ok = out.first_seq >= 1 && out.last_seq >= out.first_seq - 1 &&
                       out.last_seq - (out.first_seq - 1) <= Columns::kReadingsMax &&
                       out.last_seq < UINT64_MAX;
  if (out.number == 0 || !seqs_ok) return corrupt("numbers are off");
  out.meter_table = in.meter_table();
  TRY(out.sections, read_sections(in));
  TRY(out.totals, read_totals(in));
  return out;
}

}  // namespace

BatchId batch_id(ByteView manifest) {
  const Digest digest = sha256({bytes_of("ledgerline/batch/v1\0"sv), manifest});
  return *BatchId::from(digest.view());
}

BatchId grant_id(ByteView grant) {
  const Digest digest = sha256({bytes_of("ledgerline/grant/v1\0"sv), grant});
  return *BatchId::from(digest.view());
}

Result<SealedBatch> seal(const Columns& columns, const MeterRows& meters,
                         const SealOptions& options, ByteView random16, Signer& signer) {
  CHECK_INVARIANT(random16.size() == kSaltSize);
  const Bytes plain = encode_section(columns, meters);
  if (plain.size() > Columns::kPlainSizeMax)
    return fail(Errc::full, "a batch's plain bytes are more than 1 MiB");
  const Bytes packed = compress(plain);

  v1::Manifest manifest;
  manifest.set_format(Manifest::kFormat);
  manifest.set_stream(options.stream.str());
  manifest.set_batch_number(options.number);
  manifest.set_first_seq(columns.first_seq);
  manifest.set_last_seq(columns.next_seq() - 1);
  manifest.set_previous_batch_id(options.previous.str());
  auto& entry = *manifest.add_sections();
  entry.set_hash(section_hash(random16, packed).str());
  entry.set_compressed_size(static_cast<uint32_t>(packed.size()));
  entry.set_plain_size(static_cast<uint32_t>(plain.size()));
  for (const auto& [meter, sum] : options.totals) {
    auto& total = *manifest.add_totals();
    total.set_meter(meter);
    total.set_sum(int128_to_bytes(sum));
  }
  manifest.set_meter_table(options.meter_table);
  const Bytes manifest_bytes = serialised(manifest);
  TRY(const Bytes signature,
      signer.sign(pre_authentication_encoding(payload_type::kManifest, manifest_bytes)));

  v1::SealedBatch sealed;
  sealed.set_manifest(manifest_bytes.data(), manifest_bytes.size());
  sealed.set_key_id(signer.public_key().id().str());
  sealed.set_signature(signature.data(), signature.size());
  auto& section = *sealed.add_sections();
  section.set_salt(random16.data(), random16.size());
  section.set_compressed(packed.data(), packed.size());
  SealedBatch out{.id = batch_id(manifest_bytes), .bytes = serialised(sealed)};
  if (out.bytes.size() > OpenBatch::kSealedSizeMax)
    return fail(Errc::full, "a sealed batch is larger than 64 KiB");
  return out;
}

Result<EnvelopePeek> peek_envelope(ByteView sealed) {
  v1::SealedBatch batch;
  v1::Manifest manifest;
  TRY_VOID(parse(sealed, batch, manifest));
  TRY(const StreamId stream, StreamId::from(manifest.stream()));
  return EnvelopePeek{
      .format = understood(manifest) ? EnvelopeFormat::known : EnvelopeFormat::unknown,
      .stream = stream,
      .number = manifest.batch_number()};
}

Result<OpenBatch> open_envelope(ByteView sealed) {
  v1::SealedBatch batch;
  v1::Manifest manifest;
  TRY_VOID(parse(sealed, batch, manifest));
  OpenBatch out;
  TRY(out.manifest, read_manifest(manifest));
  out.manifest_bytes = copy_of(bytes_of(batch.manifest()));
  out.id = batch_id(out.manifest_bytes);
  TRY(out.key, KeyId::from(batch.key_id()));
  out.signature = copy_of(bytes_of(batch.signature()));
  if (static_cast<size_t>(batch.sections_size()) != out.manifest.sections.size()) {
    return corrupt("sections are not those of its manifest");
  }
  for (const auto& section : batch.sections()) {
    if (section.salt().size() != kSaltSize) return corrupt("section has no salt");
    out.sections.emplace_back(copy_of(bytes_of(section.salt())),
                              copy_of(bytes_of(section.compressed())));
  }
  return out;
}

Status verify_envelope(const OpenBatch& batch, const PublicKey& key) {
  if (batch.key != key.id()) return corrupt("key is not the one of its stream");
  if (!key.verify(pre_authentication_encoding(payload_type::kManifest, batch.manifest_bytes),
                  batch.signature)) {
    return corrupt("signature is wrong");
  }
  for (size_t i = 0; i < batch.sections.size(); ++i) {
    const auto& [salt, compressed] = batch.sections[i];
    const auto& entry = batch.manifest.sections[i];
    if (compressed.size() != entry.compressed_size ||
        section_hash(salt, compressed) != entry.hash) {
      return corrupt("section does not match its hash");
    }
  }
  return {};
}

Result<Columns> open_columns(const OpenBatch& batch, const MeterRows& meters) {
  if (batch.sections.size() != 1) return corrupt("readings stand in more than one section");
  const auto& entry = batch.manifest.sections.front();
  if (entry.dictionary != 0) return corrupt("section needs a dictionary that is not known");
  TRY(const Bytes plain, decompress(batch.sections.front().second, entry.plain_size));
  TRY(Columns columns, decode_section(plain, batch.manifest.first_seq, meters));
  if (columns.next_seq() != batch.manifest.last_seq + 1)
    return corrupt("readings are not those of its manifest");
  return columns;
}

}  // namespace ledgerline
