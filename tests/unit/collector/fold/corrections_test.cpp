// Corrections: usage is a function of the set of readings and corrections, not of their order.

#include <random>

#include "collector/core/correction.h"
#include "collector/fold/asset_usage.h"
#include "collector/fold/contract_usage.h"
#include "collector/fold/evidence.h"
#include "tests/unit/collector/fold/commerce_catalog.h"
#include "tests/unit/collector/fold/commerce_world.h"
#include "tests/unit/collector/fold/fold_world.h"

namespace ledgerline::collector {
namespace {

constexpr Timestamp kStart{kNoon};
constexpr int64_t kHour = 3'600'000;

Correction correction(CorrectionAction action, const std::string& subject, Timestamp from) {
  Correction out;
  out.tenant = "demo";
  out.action = action;
  out.device = "d";
  out.subject = subject;
  out.meter = "requests";
  out.unit = "1";
  out.from = from;
  out.by = "ann";
  out.at = kStart + Duration(kHour);
  out.reason = "test";
  return out;
}

StatementPut signed_correction(const Correction& correction) {
  static const auto signer =
      signer_from_pem(generate_private_key_pem(KeyAlgorithm::ed25519).value()).value();
  auto made = sign_statement(LeafKind::correction, correction.json(), *signer).value();
  return {.kind = made.kind,
          .id = made.id,
          .sealed = std::move(made.bytes),
          .at = correction.at,
          .expected_count = std::nullopt};
}

void put(Store& store, const StatementPut& statement) {
  CommercialChanges changes;
  changes.statements = {statement};
  REQUIRE(store.put_documents(changes));
}

/// Streams of the one device "d".
void enroll_streams(Store& store, const std::vector<FoldDevice>& streams) {
  DeviceEnrolment enrolment;
  enrolment.tenant = "demo";
  enrolment.device = "d";
  for (const FoldDevice& one : streams) {
    NewStream stream;
    stream.grant.tenant = "demo";
    stream.grant.device = "d";
    stream.grant.stream = one.stream();
    stream.grant_id = one.first_previous();
    enrolment.streams.push_back(stream);
  }
  value_of(store.put_device(enrolment));
}

std::vector<FoldDevice> one_stream(Store& store) {
  std::vector<FoldDevice> out;
  out.emplace_back(uint8_t{1});
  enroll_streams(store, out);
  return out;
}

/// "sum x 10^-3, readings" of the subject's series in the span.
std::pair<Int128, uint64_t> used(Store& store, const std::string& subject, Period span) {
  std::vector<SeriesRow> series;
  REQUIRE(for_each_series(store, "demo", "d", [&](const SeriesRow& row) -> Status {
    if (row.key.subject == subject) series.push_back(row);
    return {};
  }));
  std::vector<SeriesId> ids;
  for (const SeriesRow& row : series) ids.push_back(row.id);
  const auto values = value_of(exact_usage(store, ids, span.from, span.until));
  std::pair<Int128, uint64_t> out{0, 0};
  for (const SeriesRow& row : series) {
    const auto found = values.find(row.id);
    if (found == values.end()) continue;
    Int128 sum = found->second.sum;
    for (int scale = row.key.scale; scale < 3; ++scale) sum *= 10;
    out.first += sum;
    out.second += found->second.count;
  }
  return out;
}

/// A random history and what it must come to.
class History {
 public:
  explicit History(uint32_t seed) : random_(seed) {
    for (uint8_t n = 1; n <= 4; ++n) {
      streams.emplace_back(n);
      std::vector<Reading> readings;
      for (int i = 0; i < 12; ++i) {
        readings.push_back(FoldDevice::reading(pick(1, 50), time().unix_ms(), subject()));
        readings_.push_back(readings.back());
      }
      batches.push_back(streams.back().seal(readings));
    }
    for (int i = 0; i < 4; ++i) {
      Correction one = correction(CorrectionAction::add, subject(), time());
      one.value = Decimal(pick(1, 9999), static_cast<int>(pick(0, 3)));
      say(one);
    }
    for (int i = 0; i < 5; ++i) {
      Correction one = correction(CorrectionAction::void_usage, subject(), time());
      one.until = one.from + Duration(pick(1, kHour / 2));
      say(one);
    }
    for (int i = 0; i < 4; ++i) {
      const auto& [ended, statement] = said_[static_cast<size_t>(pick(0, 8))];
      Correction one = ended;
      one.action = CorrectionAction::withdraw;
      one.value.reset();
      one.withdraws = statement.id;
      one.reason = "withdraw " + std::to_string(i);
      withdrawn_.insert(statement.id);
      statements.push_back(signed_correction(one));
    }
  }

  Period span() {
    const Timestamp from = time();
    return {from, from + Duration(pick(1, kHour))};
  }

  [[nodiscard]] std::pair<Int128, uint64_t> expected(const std::string& subject,
                                                     Period span) const {
    const auto within = [](Timestamp t, Timestamp from, Timestamp until) {
      return t >= from && t < until;
    };
    std::pair<Int128, uint64_t> out{0, 0};
    for (const Reading& reading : readings_) {
      const Timestamp t(reading.time_ms);
      bool counts = reading.subject == subject && within(t, span.from, span.until);
      for (const auto& [one, statement] : said_) {
        if (one.action == CorrectionAction::void_usage && one.subject == subject &&
            !withdrawn_.contains(statement.id) && within(t, one.from, *one.until))
          counts = false;
      }
      if (!counts) continue;
      out.first += Int128(reading.value) * 1000;
      ++out.second;
    }
    for (const auto& [one, statement] : said_) {
      if (one.action != CorrectionAction::add || one.subject != subject ||
          withdrawn_.contains(statement.id) || !within(one.from, span.from, span.until))
        continue;
      out.first += one.value->rounded(3, Rounding::down).value().coefficient();
      ++out.second;
    }
    return out;
  }

  /// Batches and statements in a random order, folded in random pieces.
  std::unique_ptr<Store> arrived() {
    auto store = open_memory_store(make_memory_database());
    enroll_streams(*store, streams);
    Folder folder(*store);
    std::vector<size_t> order(batches.size() + statements.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random_);
    for (const size_t i : order) {
      if (i < batches.size()) {
        admit(*store, streams[i], batches[i]);
      } else {
        put(*store, statements[i - batches.size()]);
      }
      if (pick(0, 3) == 0) REQUIRE(folder.run_to_end());
    }
    REQUIRE(folder.run_to_end());
    return store;
  }

  std::vector<FoldDevice> streams;
  std::vector<SealedBatch> batches;
  std::vector<StatementPut> statements;

 private:
  int64_t pick(int64_t least, int64_t most) {
    return std::uniform_int_distribution<int64_t>(least, most)(random_);
  }
  Timestamp time() { return kStart + Duration(pick(0, kHour)); }
  std::string subject() { return pick(0, 1) == 0 ? "a" : "b"; }
  void say(const Correction& one) {
    said_.emplace_back(one, signed_correction(one));
    statements.push_back(said_.back().second);
  }

  std::mt19937 random_;
  std::vector<Reading> readings_;
  std::vector<std::pair<Correction, StatementPut>> said_;
  std::set<Digest> withdrawn_;
};

TEST_CASE("readings, adds, voids and withdraws give the same usage in any order") {
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    INFO("seed " << seed);
    History history(seed);
    for (int order = 0; order < 4; ++order) {
      const auto store = history.arrived();
      CHECK(store->list_exceptions({}).value().empty());
      for (int i = 0; i < 8; ++i) {
        const Period span = history.span();
        for (const char* subject : {"a", "b"}) {
          INFO(subject << " " << to_rfc3339(span.from) << " " << to_rfc3339(span.until));
          const auto is = used(*store, subject, span);
          const auto expected = history.expected(subject, span);
          CHECK(is.first == expected.first);
          CHECK(is.second == expected.second);
        }
      }
    }
  }
}

TEST_CASE("a correction that stands in the log twice counts once") {
  const auto store = open_memory_store(make_memory_database());
  std::vector<FoldDevice> streams = one_stream(*store);
  Correction add = correction(CorrectionAction::add, "a", kStart);
  add.value = *Decimal::parse("5");
  const StatementPut said = signed_correction(add);
  put(*store, said);
  put(*store, said);

  REQUIRE(Folder(*store).run_to_end());

  CHECK(used(*store, "a", {kStart, kStart + Duration(1)}).first == 5000);
}

TEST_CASE("a device that may have no more series can still be corrected") {
  const auto store = open_memory_store(make_memory_database());
  std::vector<FoldDevice> streams = one_stream(*store);
  admit(*store, streams[0], streams[0].seal({FoldDevice::reading(1)}));
  Correction add = correction(CorrectionAction::add, "a", kStart);
  add.value = *Decimal::parse("5");
  put(*store, signed_correction(add));
  admit(*store, streams[0], streams[0].seal({FoldDevice::reading(2, kNoon, "b")}));

  REQUIRE(Folder(*store, {.series_per_device_max = 2}).run_to_end());

  CHECK(used(*store, "a", {kStart, kStart + Duration(1)}).first == 6000);
  CHECK(used(*store, "b", {kStart, kStart + Duration(1)}).first == 2000);
  CHECK(store->list_exceptions({}).value().empty());
}

TEST_CASE("readings with our own dimensions are no usage and an exception") {
  const auto store = open_memory_store(make_memory_database());
  std::vector<FoldDevice> streams = one_stream(*store);
  Correction add = correction(CorrectionAction::add, "a", kStart);
  add.value = *Decimal::parse("5");
  const StatementPut said = signed_correction(add);
  put(*store, said);
  Reading forged = FoldDevice::reading(70);
  forged.dimensions = {{"ledgerline.correction", said.id.hex()}};
  admit(*store, streams[0], streams[0].seal({forged, FoldDevice::reading(1)}));

  REQUIRE(Folder(*store).run_to_end());

  // Also where the batch is read back: the span is cut.
  CHECK(used(*store, "a", {kStart, kStart + Duration(1)}).first == 6000);
  const auto rows = store->list_exceptions({}).value();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].kind == exception_kind::kReservedDimension);
  CHECK(rows[0].count == 1);
  CHECK(rows[0].value.text() == "70");
}

TEST_CASE("usage is shown as it counts, to the quarter hour") {
  const auto store = open_memory_store(make_memory_database());
  std::vector<FoldDevice> streams = one_stream(*store);
  admit(*store, streams[0],
        streams[0].seal({FoldDevice::reading(1, kNoon), FoldDevice::reading(2, kNoon + 60'000),
                         FoldDevice::reading(4, kNoon + kHour)}));
  Correction voided = correction(CorrectionAction::void_usage, "a", kStart);
  voided.until = kStart + Duration(60'000);
  put(*store, signed_correction(voided));
  REQUIRE(Folder(*store).run_to_end());
  const SeriesRow series = value_of(store->series(1));
  const auto sums = [&](const Corrections& corrections) {
    std::vector<Int128> out;
    for (const UsageRow& row :
         value_of(counted_rows(*store, series, {0}, {10'000'000}, corrections)))
      out.push_back(row.value.sum);
    return out;
  };

  CHECK(sums(Corrections(value_of(store->corrections("demo", "d")))) == std::vector<Int128>{2, 4});
  CHECK(sums(Corrections({})) == std::vector<Int128>{3, 4});
  CHECK(value_of(store->usage(1, {0}, {10'000'000})).front().value.sum == 3);
}

Correction of_world(CorrectionAction action, std::string_view from, std::string_view until = "") {
  Correction out = correction(action, "aqua", at(from));
  out.device = "app-1";
  out.meter = "api.requests";
  if (!until.empty()) out.until = at(until);
  out.at = at("2026-01-06T00:00:00Z");
  return out;
}

TEST_CASE("an open period is billed as corrected") {
  CommerceWorld world(commercial("PT1H") + link("aqua", kFrom));
  world.record({{"aqua", "2026-01-05T10:10:00Z", 100}, {"aqua", "2026-01-05T10:20:00Z", 7}});
  world.log(signed_correction(
      of_world(CorrectionAction::void_usage, "2026-01-05T10:00:00Z", "2026-01-05T10:20:00Z")));
  Correction add = of_world(CorrectionAction::add, "2026-01-05T10:15:00Z");
  add.value = *Decimal::parse("30");
  world.log(signed_correction(add));
  world.heartbeat("2026-01-05T11:00:00Z");

  const auto documents = world.step("2026-01-05T11:00:20Z").documents;

  REQUIRE(documents.size() == 1);
  CHECK(documents[0].total.text() == "0.37");
}

TEST_CASE("corrections of a closed period are late, and a withdraw takes it back") {
  CommerceWorld world(commercial("PT1H") + link("aqua", kFrom));
  world.record({{"aqua", "2026-01-05T10:10:00Z", 100}, {"aqua", "2026-01-05T10:20:00Z", 7}});
  world.heartbeat("2026-01-05T11:00:00Z");
  REQUIRE(world.step("2026-01-05T11:00:20Z").documents.size() == 1);

  const StatementPut voided = signed_correction(
      of_world(CorrectionAction::void_usage, "2026-01-05T10:10:00Z", "2026-01-05T10:10:00.001Z"));
  world.log(voided);
  world.step("2026-01-05T11:01:00Z");
  CHECK(world.open_exceptions() == std::vector<std::string>{"late aqua 1 -100"});

  Correction add = of_world(CorrectionAction::add, "2026-01-05T10:59:00Z");
  add.value = *Decimal::parse("40");
  const StatementPut added = signed_correction(add);
  world.log(added);
  world.step("2026-01-05T11:02:00Z");
  CHECK(world.open_exceptions() == std::vector<std::string>{"late aqua 0 -60"});

  for (const StatementPut* ended : {&voided, &added}) {
    Correction withdraw = of_world(CorrectionAction::withdraw, "2026-01-05T10:10:00Z");
    withdraw.withdraws = ended->id;
    world.log(signed_correction(withdraw));
  }
  world.step("2026-01-05T11:03:00Z");
  CHECK(world.open_exceptions().empty());
  CHECK(world.store().touched_usage()->empty());
}

TEST_CASE("a correction of what nobody pays for is told like usage") {
  CommerceWorld world(commercial("PT1H") + link("aqua", kFrom));
  world.record({{"bolt", "2026-01-05T10:10:00Z", 100}});
  world.step("2026-01-05T10:30:00Z");
  REQUIRE(world.open_exceptions() == std::vector<std::string>{"unmapped_subject bolt 1 100"});

  Correction voided =
      of_world(CorrectionAction::void_usage, "2026-01-05T10:00:00Z", "2026-01-05T11:00:00Z");
  voided.subject = "bolt";
  world.log(signed_correction(voided));
  world.step("2026-01-05T10:31:00Z");

  CHECK(world.open_exceptions().empty());
}

}  // namespace
}  // namespace ledgerline::collector
