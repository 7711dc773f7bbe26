// The same readings sealed in one section and by subject mean the same; what is shown of a batch
// means what it meant within it; and wrong sections cost an exception, never custody.

#include <random>

#include "collector/core/exceptions.h"
#include "tests/support/batch/crafted_batch.h"
#include "tests/unit/collector/fold/fold_world.h"

namespace ledgerline::collector {

namespace {

bool same(const SeriesUsage& a, const SeriesUsage& b) {
  return a.key == b.key && a.quarter == b.quarter && a.value == b.value && a.earliest == b.earliest;
}

bool same(const ExceptionUpsert& a, const ExceptionUpsert& b) {
  return a.mode == b.mode && a.row.id == b.row.id && a.row.kind == b.row.kind &&
         a.row.meter == b.row.meter && a.row.count == b.row.count &&
         a.row.value.text() == b.row.value.text() && a.row.detail == b.row.detail;
}

template <class T>
bool all_same(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const T& x, const T& y) { return same(x, y); });
}

class Readings {
 public:
  explicit Readings(uint32_t seed) : random_(seed) {}

  int64_t upto(int64_t most) { return std::uniform_int_distribution<int64_t>(0, most)(random_); }
  bool one_in(int64_t n) { return upto(n - 1) == 0; }

  /// Everything that a reading's meaning may hang on: boots, anchors, both clocks, times that
  /// cannot be true, levels, dimensions, readings of the device itself.
  Columns batch(ColumnsBuilder builder, int64_t subjects) {
    const auto count = upto(120);
    for (int64_t i = 0; i < count; ++i) {
      if (one_in(40))
        builder.add(BootRecord{.boot_id = {}, .software = "t", .configuration_hash = {}});
      if (one_in(30)) {
        builder.add(
            ClockAnchor{.monotonic = {upto(5000)}, .wall = Timestamp(kNoon + upto(100'000))});
      }
      if (one_in(60)) {
        builder.add(Coarsened{.readings = 1,
                              .measurements = 3,
                              .from = Timestamp(kNoon),
                              .to = Timestamp(kNoon + 1),
                              .step = Duration(900'000)});
      }
      builder.add(reading(subjects));
    }
    return builder.take();
  }

 private:
  Reading reading(int64_t subjects) {
    const int64_t subject = upto(subjects);
    Reading out =
        FoldDevice::reading(upto(1000) - 300, kNoon + upto(4'000'000),
                            subject == 0 ? "" : "s" + std::to_string(subject), one_in(4) ? 2 : 1);
    if (one_in(5)) {
      out.monotonic_time = true;
      out.time_ms = upto(9000);
    } else if (one_in(20)) {
      out.time_ms = one_in(2) ? 5 : kNoon * 2;
    }
    out.late = one_in(9);
    if (one_in(3)) out.dimensions = {{"region", one_in(2) ? "eu" : "us"}};
    return out;
  }

  std::mt19937 random_;
};

}  // namespace

TEST_CASE("sealed in one section or by subject, readings fold to the same", "[sections]") {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    Readings readings(seed);
    const int64_t subjects = std::vector<int64_t>{0, 1, 5, 63}[seed % 4];
    FoldDevice one(1, "d", Sections::one);
    FoldDevice by_subject(1, "d", Sections::by_subject);
    StreamFoldState state_one;
    StreamFoldState state_by_subject;
    for (LeafNumber leaf = 0; leaf < 4; ++leaf) {
      const Columns columns = readings.batch(one.begin(), subjects);
      const std::vector<std::pair<uint32_t, int64_t>> lies =
          readings.one_in(4) ? std::vector<std::pair<uint32_t, int64_t>>{{1, 7}}
                             : std::vector<std::pair<uint32_t, int64_t>>{};
      const StreamFoldState before = state_one;
      const auto sealed_one = one.seal(columns, lies);
      const auto sealed_by_subject = by_subject.seal(columns, lies);

      const auto a = fold_batch(state_one, one.context(leaf), sealed_one.bytes);
      const auto b =
          fold_batch(state_by_subject, by_subject.context(leaf), sealed_by_subject.bytes);

      REQUIRE(a.readings == columns.size());
      REQUIRE(b.readings == a.readings);
      REQUIRE(all_same(a.usage, b.usage));
      REQUIRE(all_same(a.exceptions, b.exceptions));
      REQUIRE(a.clock_note == b.clock_note);
      REQUIRE(state_one == state_by_subject);
      const auto from = Timestamp(kNoon + 10);
      const auto to = Timestamp(kNoon + 1'000'000);
      const auto back_one = value_of(
          read_back(one.context(leaf), sealed_one.bytes, before.meters, a.clock_note, from, to));
      const auto back_by_subject =
          value_of(read_back(by_subject.context(leaf), sealed_by_subject.bytes, before.meters,
                             b.clock_note, from, to));
      REQUIRE(all_same(back_one, back_by_subject));
    }
  }
}

TEST_CASE("what a batch shows of a subject is the usage that the whole batch has of it",
          "[sections]") {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    Readings readings(seed);
    FoldDevice device(1, "d", Sections::by_subject);
    StreamFoldState state;
    const Columns columns = readings.batch(device.begin(), 4);
    const auto sealed = device.seal(columns);
    const auto fold = fold_batch(state, device.context(), sealed.bytes);
    const std::set<SubjectTag> own{subject_tag(device.stream(), "s2")};

    const auto shown = value_of(withhold_others(sealed.bytes, own));
    const auto open = value_of(open_envelope(shown, Withheld::allowed));
    REQUIRE(verify_envelope(open, device.signer().public_key()));
    const auto disclosed = value_of(open_disclosed(open, {}));
    const auto usage = value_of(read_back(device.context(), disclosed.columns, {}, fold.clock_note,
                                          Timestamp(0), Timestamp(kNoon * 3)));

    std::vector<SeriesUsage> expected;
    for (const SeriesUsage& one : fold.usage) {
      if (one.key.subject.empty() || one.key.subject == "s2") expected.push_back(one);
    }
    REQUIRE(all_same(usage, expected));
    const auto whole =
        read_back(device.context(), shown, {}, fold.clock_note, Timestamp(0), Timestamp(kNoon * 3));
    CHECK(whole.has_value() == disclosed.withheld.empty());
  }
}

TEST_CASE("sections that are not what their tags say are an exception with all their readings",
          "[sections]") {
  const FoldDevice device(1);
  for (const auto& wrong : test::wrong_sections()) {
    INFO(wrong.name);
    test::SubjectBatch batch(device.stream());
    wrong.change(batch);
    StreamFoldState state;

    const auto fold = fold_batch(state, device.context(), craft(batch.crafted(), device.signer()));

    CHECK(fold.usage.empty());
    REQUIRE(fold.exceptions.size() == 1);
    CHECK(fold.exceptions.front().row.kind == exception_kind::kUndecodableBatch);
    CHECK(fold.exceptions.front().row.count == batch.last_seq);
    CHECK_THAT(fold.exceptions.front().row.detail, Catch::Contains(wrong.says));
    CHECK(state.next_seq == batch.last_seq + 1);
  }
}

}  // namespace ledgerline::collector
