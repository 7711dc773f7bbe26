// SealedBatch := manifest, key id, signature, sections (PROTOCOL.md "Batch").
// Signature   := over "DSSEv1 " LEN(type) " " type " " LEN(manifest) " " manifest
// Batch id    := SHA-256("ledgerline/batch/v1" NUL manifest)
// Section hash := SHA-256("ledgerline/section/v1" NUL salt[16] compressed)
// Subject tag  := first 16 bytes of SHA-256("ledgerline/subject/v1" NUL stream[16] NUL subject)

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

Result<ManifestSection> read_section(const v1::ManifestSection& in) {
  ManifestSection out;
  TRY(out.hash, Digest::from(in.hash()));
  out.compressed_size = in.compressed_size();
  out.plain_size = in.plain_size();
  out.dictionary = in.dictionary();
  if (in.subject_tag().empty()) return out;
  TRY(out.tag, SubjectTag::from(in.subject_tag()));
  return out;
}

Result<std::vector<ManifestSection>> read_sections(const v1::Manifest& in) {
  std::vector<ManifestSection> sections;
  if (in.sections_size() == 0 || static_cast<size_t>(in.sections_size()) > kSectionsMax)
    return corrupt("sections are none or too many");
  size_t plain_size = 0;
  for (const auto& section : in.sections()) {
    TRY(ManifestSection read, read_section(section));
    plain_size += read.plain_size;
    if (plain_size > Columns::kPlainSizeMax) return corrupt("sections are larger than 1 MiB");
    sections.push_back(read);
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

// ---- Sealing
// -------------------------------------------------------------------------------------------------------

struct PackedSection {
  v1::ManifestSection entry;
  v1::SealedSection sealed;
};

PackedSection pack(ByteView plain, ByteView salt) {
  const Bytes compressed = compress(plain);
  PackedSection out;
  out.entry.set_hash(section_hash(salt, compressed).str());
  out.entry.set_compressed_size(static_cast<uint32_t>(compressed.size()));
  out.entry.set_plain_size(static_cast<uint32_t>(plain.size()));
  out.sealed.set_salt(salt.data(), salt.size());
  out.sealed.set_compressed(compressed.data(), compressed.size());
  return out;
}

Result<std::vector<PackedSection>> pack_sections(const Columns& columns, const MeterRows& meters,
                                                 const SealOptions& options, ByteView random) {
  const bool by_subject = options.sections == Sections::by_subject;
  if (by_subject && readings_within(columns, kBatchSubjectsMax) < columns.size())
    return fail(Errc::full, "a batch has readings of more than 63 subjects");
  MeterRows rows = meters;
  const auto applied = apply_meter_tables(columns.records, rows);
  CHECK_INVARIANT(applied.has_value());

  std::vector<PackedSection> out;
  size_t plain_size = 0;
  const auto parts = by_subject ? split_by_subject(columns) : std::vector<Columns>{columns};
  for (const Columns& part : parts) {
    const Bytes plain = encode_section(part, rows);
    plain_size += plain.size();
    if (plain_size > Columns::kPlainSizeMax)
      return fail(Errc::full, "a batch's plain bytes are more than 1 MiB");
    out.push_back(pack(plain, random.subspan(out.size() * kSaltSize, kSaltSize)));
    if (!by_subject) continue;
    const std::string_view subject = out.size() == 1 ? std::string_view() : part.subject(0);
    out.back().entry.set_subject_tag(subject_tag(options.stream, subject).str());
  }
  return out;
}

v1::Manifest manifest_of(const Columns& columns, const SealOptions& options,
                         const std::vector<PackedSection>& sections) {
  v1::Manifest manifest;
  manifest.set_format(Manifest::kFormat);
  manifest.set_stream(options.stream.str());
  manifest.set_batch_number(options.number);
  manifest.set_first_seq(columns.first_seq);
  manifest.set_last_seq(columns.next_seq() - 1);
  manifest.set_previous_batch_id(options.previous.str());
  for (const PackedSection& section : sections) *manifest.add_sections() = section.entry;
  for (const auto& [meter, sum] : options.totals) {
    auto& total = *manifest.add_totals();
    total.set_meter(meter);
    total.set_sum(int128_to_bytes(sum));
  }
  manifest.set_meter_table(options.meter_table);
  return manifest;
}

// ---- Opening
// -------------------------------------------------------------------------------------------------------

/// Tags on all sections or on none, on none only where there is one; each once, the device's first;
/// nothing withheld but a subject's section.
Status check_tags(const OpenBatch& batch) {
  const auto& sections = batch.manifest.sections;
  if (!sections.front().tag) {
    if (sections.size() != 1) return corrupt("sections are several and one has no subject tag");
    if (batch.sections.front().withheld()) return corrupt("only section is withheld");
    return {};
  }
  if (sections.front().tag != subject_tag(batch.manifest.stream, {}))
    return corrupt("first section is not the device's");
  if (batch.sections.front().withheld()) return corrupt("first section is withheld");
  std::set<SubjectTag> seen;
  for (const ManifestSection& section : sections) {
    if (!section.tag) return corrupt("sections are several and one has no subject tag");
    if (!seen.insert(*section.tag).second) return corrupt("sections have one subject tag twice");
  }
  return {};
}

Result<Bytes> plain_section(const OpenBatch& batch, size_t i) {
  const ManifestSection& entry = batch.manifest.sections[i];
  if (entry.dictionary != 0) return corrupt("section needs a dictionary that is not known");
  return decompress(batch.sections[i].compressed, entry.plain_size);
}

/// A further section: readings of the one subject that its tag says, and no records.
Status check_subject_section(const Columns& section, const SubjectTag& tag,
                             const StreamId& stream) {
  if (!section.records.empty()) return corrupt("records stand behind its first section");
  if (section.size() == 0 || section.subjects.size() != 1 ||
      std::any_of(section.subject_indexes.begin(), section.subject_indexes.end(),
                  [](uint32_t index) { return index != 1; })) {
    return corrupt("section is not of exactly one subject");
  }
  if (subject_tag(stream, section.subjects.front()) != tag)
    return corrupt("section has readings of another subject than its tag says");
  return {};
}

/// The sections that are there of a batch by subject. `meters` gets those of its tables.
Result<std::vector<Columns>> subject_sections(const OpenBatch& batch, MeterRows meters) {
  const Manifest& manifest = batch.manifest;
  std::vector<Columns> out;
  for (size_t i = 0; i < batch.sections.size(); ++i) {
    if (batch.sections[i].withheld()) continue;
    TRY(const Bytes plain, plain_section(batch, i));
    TRY(Columns section,
        decode_subject_section(plain, manifest.first_seq, manifest.last_seq, meters));
    if (i == 0) {
      if (!section.subjects.empty()) return corrupt("first section has readings of a subject");
      TRY_VOID(apply_meter_tables(section.records, meters));
    } else {
      TRY_VOID(check_subject_section(section, *manifest.sections[i].tag, manifest.stream));
      if (out.size() > 1 && section.seq(0) < out.back().seq(0))
        return corrupt("sections are not in the order of their first readings");
    }
    out.push_back(std::move(section));
  }
  return out;
}

std::vector<Seq> seqs_left_out(const Columns& columns, Seq last_seq) {
  std::vector<Seq> out;
  size_t i = 0;
  for (Seq seq = columns.first_seq; seq <= last_seq; ++seq) {
    if (i < columns.size() && columns.seq(i) == seq) {
      ++i;
    } else {
      out.push_back(seq);
    }
  }
  return out;
}

Result<Columns> open_only_section(const OpenBatch& batch, const MeterRows& meters) {
  TRY(const Bytes plain, plain_section(batch, 0));
  TRY(Columns columns, decode_section(plain, batch.manifest.first_seq, meters));
  if (columns.next_seq() != batch.manifest.last_seq + 1)
    return corrupt("readings are not those of its manifest");
  return columns;
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

SubjectTag subject_tag(const StreamId& stream, std::string_view subject) {
  const Digest digest = sha256(
      {bytes_of("ledgerline/subject/v1\0"sv), stream.view(), bytes_of("\0"sv), bytes_of(subject)});
  return *SubjectTag::from(digest.view().first(SubjectTag::kSize));
}

Result<SealedBatch> seal(const Columns& columns, const MeterRows& meters,
                         const SealOptions& options, ByteView random, Signer& signer) {
  CHECK_INVARIANT(random.size() == salt_size(options.sections));
  TRY(const auto sections, pack_sections(columns, meters, options, random));
  const Bytes manifest_bytes = serialised(manifest_of(columns, options, sections));
  TRY(const Bytes signature,
      signer.sign(pre_authentication_encoding(payload_type::kManifest, manifest_bytes)));

  v1::SealedBatch sealed;
  sealed.set_manifest(manifest_bytes.data(), manifest_bytes.size());
  sealed.set_key_id(signer.public_key().id().str());
  sealed.set_signature(signature.data(), signature.size());
  for (const PackedSection& section : sections) *sealed.add_sections() = section.sealed;
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

Result<OpenBatch> open_envelope(ByteView sealed, Withheld withheld) {
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
    const bool nothing = section.salt().empty() && section.compressed().empty();
    if (section.salt().size() != kSaltSize && !(nothing && withheld == Withheld::allowed))
      return corrupt("section has no salt");
    out.sections.push_back({.salt = copy_of(bytes_of(section.salt())),
                            .compressed = copy_of(bytes_of(section.compressed()))});
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
    if (batch.sections[i].withheld()) continue;
    const auto& entry = batch.manifest.sections[i];
    if (compressed.size() != entry.compressed_size ||
        section_hash(salt, compressed) != entry.hash) {
      return corrupt("section does not match its hash");
    }
  }
  return {};
}

Result<Columns> open_columns(const OpenBatch& batch, const MeterRows& meters) {
  TRY(Disclosed all, open_disclosed(batch, meters));
  if (!all.withheld.empty()) return corrupt("sections are withheld");
  return std::move(all.columns);
}

Result<Disclosed> open_disclosed(const OpenBatch& batch, const MeterRows& meters) {
  TRY_VOID(check_tags(batch));
  Disclosed out;
  if (!batch.manifest.sections.front().tag) {
    TRY(out.columns, open_only_section(batch, meters));
    return out;
  }
  TRY(const auto sections, subject_sections(batch, meters));
  TRY(out.columns, join_sections(sections, batch.manifest.first_seq, batch.manifest.last_seq));
  for (size_t i = 0; i < batch.sections.size(); ++i) {
    if (batch.sections[i].withheld()) out.withheld.push_back(*batch.manifest.sections[i].tag);
  }
  out.withheld_seqs = seqs_left_out(out.columns, batch.manifest.last_seq);
  // Each of them holds at least one reading.
  if (out.withheld_seqs.size() < out.withheld.size() ||
      (out.withheld.empty() && !out.withheld_seqs.empty())) {
    return corrupt("readings are not those of its manifest");
  }
  return out;
}

Result<Bytes> withhold_others(ByteView sealed, const std::set<SubjectTag>& own) {
  TRY(const OpenBatch open, open_envelope(sealed, Withheld::allowed));
  v1::SealedBatch batch;
  if (!batch.ParseFromArray(sealed.data(), static_cast<int>(sealed.size())))
    return corrupt("bytes do not parse");
  for (size_t i = 1; i < open.sections.size(); ++i) {
    const auto& tag = open.manifest.sections[i].tag;
    if (tag && !own.contains(*tag)) batch.mutable_sections(static_cast<int>(i))->Clear();
  }
  return serialised(batch);
}

}  // namespace ledgerline
