#pragma once
// Batches that no agent seals: the envelope written field by field, signed with the device's key,
// so that only what a test changes is wrong with it.

#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/compress.h"
#include "common/envelope.h"
#include "common/messages.h"

namespace ledgerline::test {

struct CraftedSection {
  Bytes plain;
  std::string tag;  // bytes; empty: none
  std::optional<uint64_t> plain_size;
};

struct CraftedBatch {
  StreamId stream;
  BatchNumber number = 1;
  Seq first_seq = 1;
  Seq last_seq = 0;
  BatchId previous;
  std::vector<CraftedSection> sections;
};

/// Protobuf's wire format, as far as these messages need it.
class ProtobufWriter {
 public:
  ProtobufWriter& number(uint32_t field, uint64_t value) {
    varint(field << 3);
    varint(value);
    return *this;
  }
  ProtobufWriter& bytes(uint32_t field, ByteView value) {
    varint(field << 3 | 2);
    varint(value.size());
    out_.insert(out_.end(), value.begin(), value.end());
    return *this;
  }
  [[nodiscard]] const Bytes& out() const { return out_; }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<uint8_t>(value | 0x80));
    out_.push_back(static_cast<uint8_t>(value));
  }
  Bytes out_;
};

inline Bytes craft(const CraftedBatch& batch, Signer& signer) {
  const Bytes salt(kSaltSize, 5);
  ProtobufWriter manifest;
  manifest.number(1, Manifest::kFormat)
      .bytes(2, batch.stream.view())
      .number(3, batch.number)
      .number(4, batch.first_seq)
      .number(5, batch.last_seq)
      .bytes(6, batch.previous.view());
  std::vector<Bytes> sealed_sections;
  for (const CraftedSection& section : batch.sections) {
    const Bytes compressed = compress(section.plain);
    const Digest hash =
        sha256({bytes_of(std::string_view("ledgerline/section/v1\0", 22)), salt, compressed});
    ProtobufWriter entry;
    entry.bytes(1, hash.view())
        .number(2, compressed.size())
        .number(3, section.plain_size.value_or(section.plain.size()));
    if (!section.tag.empty()) entry.bytes(5, bytes_of(section.tag));
    manifest.bytes(7, entry.out());
    sealed_sections.push_back(ProtobufWriter().bytes(1, salt).bytes(2, compressed).out());
  }
  manifest.number(9, 1);
  const auto signature =
      signer.sign(pre_authentication_encoding(payload_type::kManifest, manifest.out()));
  REQUIRE(signature);

  ProtobufWriter out;
  out.bytes(1, manifest.out()).bytes(2, signer.public_key().id().view()).bytes(3, *signature);
  for (const Bytes& section : sealed_sections) out.bytes(4, section);
  return out.out();
}

/// Readings 1 (the device's), 2 to 4 (of "a" and "b") in sections as they should be, for a case to
/// change. The first section has the meter table.
struct SubjectBatch {
  explicit SubjectBatch(const StreamId& stream_in) : stream(stream_in) {
    ColumnsBuilder builder(1);
    builder.add(MeterTable{.number = 1, .rows = {{.number = 1, .name = "requests", .unit = "1"}}});
    for (const char* subject : {"", "a", "b", "a"})
      builder.add({.meter = 1, .subject = subject, .time_ms = 1'767'268'800'000, .value = 7});
    parts = split_by_subject(builder.columns());
    tags = {tag(""), tag("a"), tag("b")};
  }

  [[nodiscard]] std::string tag(std::string_view subject) const {
    return subject_tag(stream, subject).str();
  }
  [[nodiscard]] CraftedBatch crafted() const {
    MeterRows meters;
    REQUIRE(apply_meter_tables(parts.front().records, meters));
    CraftedBatch out{.stream = stream, .last_seq = last_seq, .previous = {}, .sections = {}};
    for (size_t i = 0; i < parts.size(); ++i)
      out.sections.push_back(
          {.plain = encode_section(parts[i], meters), .tag = tags[i], .plain_size = {}});
    return out;
  }

  StreamId stream;
  Seq last_seq = 4;
  std::vector<Columns> parts;
  std::vector<std::string> tags;
};

/// A way to be wrong that custody cannot see: it is for whoever opens the readings.
struct WrongSections {
  const char* name;
  const char* says;  // part of the error
  void (*change)(SubjectBatch&);
};

inline const std::vector<WrongSections>& wrong_sections() {
  static const std::vector<WrongSections> kCases = {
      {"two sections with one tag", "one subject tag twice",
       [](SubjectBatch& b) { b.tags[2] = b.tags[1]; }},
      {"a tag that is not its subject's", "another subject",
       [](SubjectBatch& b) { b.tags[2] = b.tag("c"); }},
      {"two tags exchanged", "another subject",
       [](SubjectBatch& b) { std::swap(b.tags[1], b.tags[2]); }},
      {"another stream's tag", "another subject",
       [](SubjectBatch& b) {
         b.tags[1] = subject_tag(*StreamId::from(Bytes(16, 0xee)), "a").str();
       }},
      {"a section without a tag", "no subject tag", [](SubjectBatch& b) { b.tags[2].clear(); }},
      {"no tags at all", "no subject tag",
       [](SubjectBatch& b) {
         b.tags = {"", "", ""};
       }},
      {"a first section with a subject's tag", "not the device's",
       [](SubjectBatch& b) { b.tags[0] = b.tag("c"); }},
      {"no section of the device", "not the device's",
       [](SubjectBatch& b) {
         b.parts[1].records = b.parts[0].records;
         b.parts.erase(b.parts.begin());
         b.tags.erase(b.tags.begin());
       }},
      {"a subject's reading in the first section", "readings of a subject",
       [](SubjectBatch& b) {
         b.parts[0].subjects = {"c"};
         b.parts[0].subject_indexes = {1};
       }},
      {"a reading of the device in a subject's section", "exactly one subject",
       [](SubjectBatch& b) {
         b.parts[1].subject_indexes = {1, 0};
       }},
      {"a section of two subjects", "exactly one subject",
       [](SubjectBatch& b) {
         b.parts[1].subjects = {"a", "c"};
         b.parts[1].subject_indexes = {1, 2};
       }},
      {"a section that names another subject too", "exactly one subject",
       [](SubjectBatch& b) {
         b.parts[1].subjects = {"a", "c"};
       }},
      {"a section without readings", "exactly one subject",
       [](SubjectBatch& b) {
         b.parts.emplace_back();
         b.tags.push_back(b.tag("c"));
       }},
      {"a record in a subject's section", "records stand behind",
       [](SubjectBatch& b) {
         b.parts[1].records.push_back({1, ClockAnchor{.monotonic = {1}, .wall = Timestamp(1)}});
       }},
      {"a reading that no section has", "not those of its manifest",
       [](SubjectBatch& b) { b.last_seq = 5; }},
      {"a reading left out of a section", "not those of its manifest",
       [](SubjectBatch& b) {
         ColumnsBuilder builder(1);
         builder.add(b.parts[1].reading(0));
         b.parts[1] = builder.take();
         b.parts[1].seqs = {2};
       }},
      {"a reading in two sections", "same reading twice",
       [](SubjectBatch& b) { b.parts[2].seqs = {4}; }},
      {"a reading beyond the batch", "outside its batch",
       [](SubjectBatch& b) {
         b.parts[1].seqs = {2, 5};
       }},
      {"a seq twice in a section", "outside its batch",
       [](SubjectBatch& b) {
         b.parts[1].seqs = {2, 2};
       }},
      {"sections in another order", "not in the order",
       [](SubjectBatch& b) {
         std::swap(b.parts[1], b.parts[2]);
         std::swap(b.tags[1], b.tags[2]);
       }},
  };
  return kCases;
}

}  // namespace ledgerline::test
