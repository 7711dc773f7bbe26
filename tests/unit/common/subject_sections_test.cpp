// Batches by subject: sealed, opened, shown in part; and what a reader refuses.

#include <catch2/catch.hpp>

#include "common/compress.h"
#include "tests/support/batch/crafted_batch.h"

using namespace ledgerline;
using test::CraftedBatch;

namespace {

const StreamId kStream = *StreamId::from(Bytes(16, 0x11));

Columns sample(Seq first_seq, size_t count, size_t subjects) {
  ColumnsBuilder builder(first_seq);
  builder.add(BootRecord{.boot_id = {}, .software = "test 1", .configuration_hash = {}});
  builder.add(MeterTable{
      .number = 1,
      .rows = {{.number = 1, .name = "api.requests", .unit = "1", .kind = MeterKind::delta},
               {.number = 2, .name = "cpu", .unit = "s", .scale = 2, .kind = MeterKind::register_},
               {.number = 3,
                .name = "job",
                .unit = "1",
                .kind = MeterKind::event,
                .forward_ids = true}}});
  for (size_t i = 0; i < count; ++i) {
    const auto n = static_cast<int64_t>(i);
    const size_t subject = i * 7 % (subjects + 1);
    Reading reading{.meter = static_cast<uint32_t>(1 + i % 3),
                    .subject = subject == 0 ? "" : "customer-" + std::to_string(subject),
                    .time_ms = 1'800'000'000'000 + n * 37 - (n % 5) * 1000,
                    .monotonic_time = i % 7 == 0,
                    .late = i % 11 == 0,
                    .value = n * n - 50};
    if (i % 2 == 0) reading.dimensions = {{"region", "eu"}, {"tier", std::to_string(i % 3)}};
    if (reading.meter == 2) reading.register_value = 1000 + n;
    if (reading.meter == 3) reading.id = "id-" + std::to_string(i);
    if (i == count / 2) builder.add(ClockAnchor{.monotonic = {5}, .wall = Timestamp(n)});
    builder.add(reading);
  }
  return builder.take();
}

struct Sealer {
  std::unique_ptr<Signer> signer =
      *signer_from_pem(*generate_private_key_pem(KeyAlgorithm::ed25519));

  [[nodiscard]] Result<SealedBatch> seal(const Columns& columns,
                                         Sections sections = Sections::by_subject) const {
    Bytes random(salt_size(sections));
    for (size_t i = 0; i < random.size(); ++i) random[i] = static_cast<uint8_t>(i / kSaltSize + 1);
    const SealOptions options{.stream = kStream,
                              .number = 3,
                              .previous = {},
                              .totals = {},
                              .meter_table = 1,
                              .sections = sections};
    return ledgerline::seal(columns, {}, options, random, *signer);
  }
  [[nodiscard]] Result<OpenBatch> verified(ByteView sealed, Withheld withheld) const {
    TRY(auto open, open_envelope(sealed, withheld));
    TRY_VOID(verify_envelope(open, signer->public_key()));
    return open;
  }
};

std::set<std::string> subjects_of(const Columns& columns) {
  std::set<std::string> out;
  for (size_t i = 0; i < columns.size(); ++i) out.emplace(columns.subject(i));
  return out;
}

}  // namespace

TEST_CASE("a batch by subject opens to what was sealed, as one with one section does") {
  const Sealer sealer;
  for (const auto& [count, subjects] : std::vector<std::pair<size_t, size_t>>{
           {0, 0}, {1, 0}, {1, 1}, {100, 0}, {100, 5}, {500, 63}, {4096, 20}}) {
    INFO(count << " readings of " << subjects);
    const Columns columns = sample(7, count, subjects);
    for (const Sections form : {Sections::one, Sections::by_subject}) {
      const auto sealed = sealer.seal(columns, form);
      REQUIRE(sealed);
      const auto open = sealer.verified(sealed->bytes, Withheld::refused);
      REQUIRE(open);
      CHECK(*open_columns(*open, {}) == columns);
      const auto disclosed = open_disclosed(*open, {});
      REQUIRE(disclosed);
      CHECK(disclosed->columns == columns);
      CHECK(disclosed->withheld_seqs.empty());
    }
  }
}

TEST_CASE("the device's section comes first, then the subjects by their first readings") {
  const Sealer sealer;
  ColumnsBuilder builder(1);
  builder.add(MeterTable{.number = 1, .rows = {{.number = 1, .name = "m", .unit = "1"}}});
  for (const char* subject : {"z", "a", "z", "m", "a"})
    builder.add({.meter = 1, .subject = subject, .value = 1});

  const auto open = *open_envelope(sealer.seal(builder.columns())->bytes);

  REQUIRE(open.manifest.sections.size() == 4);
  const char* const expected[] = {"", "z", "a", "m"};
  for (size_t i = 0; i < 4; ++i)
    CHECK(open.manifest.sections[i].tag == subject_tag(kStream, expected[i]));
  // Salts are not shared: two sections of equal content have unequal hashes.
  for (size_t i = 1; i < 4; ++i) CHECK(open.sections[i].salt != open.sections[i - 1].salt);
  CHECK_FALSE(open_envelope(sealer.seal(builder.columns(), Sections::one)->bytes)
                  ->manifest.sections.front()
                  .tag);
}

TEST_CASE("a subject's tag is the first half of a labelled hash, and differs by stream") {
  const Digest digest =
      sha256(bytes_of(std::string("ledgerline/subject/v1") + '\0' + kStream.str() + '\0' + "aqua"));
  CHECK(subject_tag(kStream, "aqua").str() == digest.str().substr(0, 16));
  CHECK(subject_tag(kStream, "") != subject_tag(kStream, "aqua"));
  CHECK(subject_tag(StreamId(), "aqua") != subject_tag(kStream, "aqua"));
}

TEST_CASE("64 sections are a batch, 65 are not") {
  const Sealer sealer;
  CHECK(open_envelope(sealer.seal(sample(1, 200, 63))->bytes)->sections.size() == 64);
  CHECK(sealer.seal(sample(1, 200, 64)).error().code() == Errc::full);
  CHECK(sealer.seal(sample(1, 200, 64), Sections::one));
}

TEST_CASE("a batch shows one subject's readings and keeps its id and signature") {
  const Sealer sealer;
  const Columns columns = sample(7, 100, 5);
  const SealedBatch sealed = *sealer.seal(columns);
  const std::set<SubjectTag> own{subject_tag(kStream, "customer-2")};

  const auto shown = withhold_others(sealed.bytes, own);

  REQUIRE(shown);
  CHECK(shown->size() < sealed.bytes.size());
  const auto open = sealer.verified(*shown, Withheld::allowed);
  REQUIRE(open);
  CHECK(open->id == sealed.id);
  const auto disclosed = open_disclosed(*open, {});
  REQUIRE(disclosed);
  CHECK(subjects_of(disclosed->columns) == std::set<std::string>{"", "customer-2"});
  CHECK(disclosed->columns.records == columns.records);
  CHECK(disclosed->withheld.size() == 4);
  CHECK(std::count(disclosed->withheld.begin(), disclosed->withheld.end(), *own.begin()) == 0);
  CHECK(disclosed->columns.size() + disclosed->withheld_seqs.size() == columns.size());
  for (size_t i = 0; i < disclosed->columns.size(); ++i) {
    const Seq seq = disclosed->columns.seq(i);
    CHECK(disclosed->columns.reading(i) == columns.reading(seq - 7));
  }
  for (const Seq seq : disclosed->withheld_seqs)
    CHECK(columns.subject(seq - 7) != std::string_view("customer-2"));
  // Again changes nothing, and what is withheld does not come back.
  CHECK(*withhold_others(*shown, own) == *shown);
  CHECK(*withhold_others(sealed.bytes, {}) == *withhold_others(*shown, {}));
}

TEST_CASE("a batch with one section for every subject is shown whole") {
  const Sealer sealer;
  const SealedBatch sealed = *sealer.seal(sample(1, 20, 3), Sections::one);
  CHECK(*withhold_others(sealed.bytes, {}) == sealed.bytes);
}

TEST_CASE("custody takes no batch with a section withheld") {
  const Sealer sealer;
  const SealedBatch sealed = *sealer.seal(sample(1, 20, 3));
  const Bytes shown = *withhold_others(sealed.bytes, {});
  CHECK(open_envelope(shown).error().code() == Errc::corrupt);
  const auto open = open_envelope(shown, Withheld::allowed);
  REQUIRE(open);
  CHECK_FALSE(open_columns(*open, {}));
}

TEST_CASE("what stands for the first or the only section is never withheld") {
  const Sealer sealer;
  const Columns columns = sample(1, 20, 3);
  MeterRows meters;  // known already, so that the records are not missed for them
  REQUIRE(apply_meter_tables(columns.records, meters));
  for (const Sections form : {Sections::one, Sections::by_subject}) {
    auto open = *open_envelope(sealer.seal(columns, form)->bytes);
    open.sections.front() = {};
    const auto disclosed = open_disclosed(open, meters);
    REQUIRE_FALSE(disclosed);
    CHECK_THAT(disclosed.error().message(), Catch::Contains("section is withheld"));
  }
}

TEST_CASE("a shown batch with any byte changed is refused") {
  const Sealer sealer;
  const Bytes shown =
      *withhold_others(sealer.seal(sample(1, 8, 2))->bytes, {subject_tag(kStream, "customer-1")});
  for (const uint8_t mask : {uint8_t{0x01}, uint8_t{0x80}}) {
    for (size_t i = 0; i < shown.size(); ++i) {
      Bytes damaged = shown;
      damaged[i] ^= mask;
      const auto open = sealer.verified(damaged, Withheld::allowed);
      const bool accepted = open && open_disclosed(*open, {});
      INFO(i << " of " << shown.size());
      CHECK_FALSE(accepted);
    }
  }
}

TEST_CASE("each section of a batch is checked against its own hash") {
  const Sealer sealer;
  const auto open = *open_envelope(sealer.seal(sample(1, 50, 3))->bytes);
  for (size_t i = 0; i < open.sections.size(); ++i) {
    auto damaged = open;
    damaged.sections[i].compressed.back() ^= 1;
    CHECK_FALSE(verify_envelope(damaged, sealer.signer->public_key()));
  }
  auto exchanged = open;
  std::swap(exchanged.sections[1], exchanged.sections[2]);
  CHECK_FALSE(verify_envelope(exchanged, sealer.signer->public_key()));
}

TEST_CASE("sections that are not the readings of their subjects are unreadable, not refused") {
  const Sealer sealer;
  const test::SubjectBatch good(kStream);
  const auto opened = [&](const test::SubjectBatch& batch) -> Result<Columns> {
    const auto open = sealer.verified(craft(batch.crafted(), *sealer.signer), Withheld::refused);
    REQUIRE(open);
    return open_columns(*open, {});
  };
  REQUIRE(opened(good));
  REQUIRE(opened(good)->size() == 4);
  for (const auto& [name, says, change] : test::wrong_sections()) {
    INFO(name);
    test::SubjectBatch wrong = good;
    change(wrong);
    const auto columns = opened(wrong);
    REQUIRE_FALSE(columns);
    CHECK(columns.error().code() == Errc::corrupt);
    CHECK_THAT(columns.error().message(), Catch::Contains(says));
  }
}

TEST_CASE("withheld sections cannot hide more readings than they may have, or none") {
  const Sealer sealer;
  test::SubjectBatch batch(kStream);
  auto open = *open_envelope(craft(batch.crafted(), *sealer.signer));
  open.sections[2] = {};
  CHECK(open_disclosed(open, {})->withheld_seqs == std::vector<Seq>{3});
  // Reading 3 stands in the first section as well: nothing is left for the withheld one.
  batch.parts[0].seqs = {3};
  batch.parts[1].seqs = {1, 2};
  batch.last_seq = 3;
  open = *open_envelope(craft(batch.crafted(), *sealer.signer));
  open.sections[2] = {};
  CHECK_FALSE(open_disclosed(open, {}));
}

TEST_CASE("sections larger than a batch may be are refused before memory is spent") {
  const Sealer sealer;
  const test::SubjectBatch good(kStream);
  const auto refused = [&](const CraftedBatch& batch) {
    return !open_envelope(craft(batch, *sealer.signer));
  };
  auto batch = good.crafted();
  REQUIRE_FALSE(refused(batch));
  batch.sections[1].plain_size = (1 << 20) + 1;
  CHECK(refused(batch));
  // Each within the limit, together beyond it.
  batch = good.crafted();
  for (auto& section : batch.sections) section.plain_size = 400 << 10;
  CHECK(refused(batch));
  batch.sections[0].plain_size = 100 << 10;
  CHECK_FALSE(refused(batch));
  // A frame that is more than its entry says.
  batch = good.crafted();
  batch.sections[1].plain = Bytes(64 << 20, 0);
  batch.sections[1].plain_size = 1000;
  const auto open = sealer.verified(craft(batch, *sealer.signer), Withheld::refused);
  REQUIRE(open);
  CHECK_FALSE(open_columns(*open, {}));
  // More sections than there may be, a tag that is too short.
  batch = good.crafted();
  while (batch.sections.size() < 65) batch.sections.push_back(batch.sections.front());
  CHECK(refused(batch));
  batch.sections.pop_back();
  CHECK_FALSE(refused(batch));
  batch = good.crafted();
  batch.sections[1].tag.pop_back();
  CHECK(refused(batch));
}

TEST_CASE("only a section by subject leaves seqs out") {
  test::SubjectBatch batch(kStream);
  MeterRows meters;
  REQUIRE(apply_meter_tables(batch.parts[0].records, meters));
  const Bytes plain = encode_section(batch.parts[1], meters);
  const auto part = decode_subject_section(plain, 1, 4, meters);
  REQUIRE(part);
  CHECK(part->seqs == std::vector<Seq>{2, 4});
  CHECK(part->next_seq() == 5);
  CHECK(part->index_of(1) == 0);
  CHECK(part->index_of(3) == 1);
  CHECK(part->index_of(4) == 1);
  CHECK(part->index_of(5) == 2);
  CHECK_FALSE(decode_subject_section(plain, 1, 3, meters));
  CHECK_FALSE(decode_section(plain, 1, meters));

  // Not even where it leaves none out.
  Bytes whole = encode_section(batch.parts[0], {});
  REQUIRE(decode_section(whole, 1, {}));
  const Bytes steps = {0x2a, 0x01, 0x01};  // field 5: 1
  whole.insert(whole.end(), steps.begin(), steps.end());
  CHECK(decode_subject_section(whole, 1, 4, {})->seqs.empty());
  CHECK_FALSE(decode_section(whole, 1, {}));
}
