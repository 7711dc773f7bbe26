#include "tests/unit/collector/store/store_backends.h"

namespace ledgerline::collector {

namespace {

SeriesKey series_key(const std::string& subject, const std::string& device = "d") {
  return {.tenant = "demo", .device = device, .subject = subject, .meter = "requests", .unit = "1"};
}

UsageDelta delta(SeriesId series, int32_t quarter, int64_t value, LeafNumber leaf) {
  UsageDelta out;
  out.series = series;
  out.quarter = {quarter};
  out.earliest = QuarterHour{quarter}.start();
  out.value.add(value,
                {.time_ms = out.earliest.unix_ms(), .stream = stream_id(1), .seq = leaf + 1});
  out.leaves = {leaf};
  return out;
}

/// Five leaves, none folded.
template <class Backend>
std::unique_ptr<Store> with_log(Backend& backend) {
  auto store = backend.open();
  enroll(*store, {1});
  for (BatchNumber n = 1; n <= 5; ++n) admit_links(*store, 1, {link(n, static_cast<uint8_t>(n))});
  return store;
}

FoldChanges first_fold() {
  FoldChanges changes;
  changes.cursor_after = 2;
  changes.new_series = {{1, series_key("a")}, {2, series_key("b")}};
  changes.usage = {delta(1, 10, 5, 0), delta(1, 11, 7, 1), delta(2, 10, 9, 1)};
  StreamFoldState state;
  state.folded_number = 2;
  state.next_seq = 21;
  state.totals = {{1, Int128(21)}};
  state.meters[1] = {.number = 1, .name = "requests", .unit = "1"};
  state.anchor = ClockAnchor{{5}, Timestamp(6), true};
  changes.streams = {{stream_id(1), state}};
  changes.clock_notes = {{1, *state.anchor}};
  return changes;
}

}  // namespace

TEMPLATE_TEST_CASE("a fold adds usage, series, states and the cursor in one transaction", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = with_log(backend);

  must(store->fold(first_fold()));
  FoldChanges second;
  second.cursor_before = 2;
  second.cursor_after = 3;
  second.usage = {delta(1, 10, -2, 2)};
  must(store->fold(second));

  auto other = backend.open();
  const auto cursor = must(other->fold_cursor());
  REQUIRE(cursor.cursor == 3);
  REQUIRE(cursor.log_size == 5);
  REQUIRE(cursor.next_series_id == 3);
  REQUIRE(must(other->find_series(series_key("b"))) == 2);
  REQUIRE(must(other->find_series(series_key("c"))) == 0);
  REQUIRE(must(other->series(1)).key == series_key("a"));
  REQUIRE(must(other->series_count("demo", "d")) == 2);
  const auto rows = must(other->usage(1, {10}, {12}));
  REQUIRE(rows.size() == 2);
  REQUIRE(rows[0].value.sum == 3);
  REQUIRE(rows[0].value.count == 2);
  REQUIRE(rows[0].value.min == -2);
  REQUIRE(rows[0].value.last == -2);
  REQUIRE(must(other->usage(1, {11}, {11})).empty());
  REQUIRE(must(other->evidence(1, {10}, {12})) == std::vector<LeafNumber>{0, 1, 2});
  REQUIRE(must(other->evidence(1, {10}, {11})) == std::vector<LeafNumber>{0, 2});
  REQUIRE(must(other->fold_state(stream_id(1))) == first_fold().streams[0].second);
  REQUIRE(must(other->clock_note(1)) == ClockAnchor{{5}, Timestamp(6), true});
  REQUIRE_FALSE(must(other->clock_note(0)).has_value());
  REQUIRE(must(other->touched_usage()).empty());
}

TEMPLATE_TEST_CASE("of two folds from one cursor the second is a conflict and adds nothing",
                   "[store]", MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = with_log(backend);
  auto other = backend.open();

  must(store->fold(first_fold()));
  REQUIRE(failed_with(other->fold(first_fold()), Errc::conflict));

  REQUIRE(must(other->usage(1, {10}, {11}))[0].value.count == 1);
}

TEMPLATE_TEST_CASE("series are listed by device and page by page", "[store]", MemoryBackend,
                   LmdbBackend) {
  TestType backend;
  auto store = with_log(backend);
  FoldChanges changes;
  changes.new_series = {
      {1, series_key("a", "x")}, {2, series_key("b", "y")}, {3, series_key("c", "x")}};
  must(store->fold(changes));

  const auto ids = [](const std::vector<SeriesRow>& rows) {
    std::vector<SeriesId> out;
    for (const auto& row : rows) out.push_back(row.id);
    return out;
  };
  REQUIRE(ids(must(store->list_series({.tenant = "demo"}))) == std::vector<SeriesId>{1, 2, 3});
  REQUIRE(ids(must(store->list_series({.tenant = "demo", .device = "x"}))) ==
          std::vector<SeriesId>{1, 3});
  REQUIRE(ids(must(store->list_series({.tenant = "demo", .after = 1, .limit = 1}))) ==
          std::vector<SeriesId>{2});
  REQUIRE(must(store->list_series({.tenant = "dem"})).empty());
}

TEST_CASE("all pages of the series together cost as much as the series", "[store]") {
  constexpr SeriesId kSeries = 200;
  const auto database = make_memory_database();
  const auto store = open_memory_store(database);
  FoldChanges changes;
  for (SeriesId id = 1; id <= kSeries; ++id) {
    changes.new_series.push_back({id, series_key("s" + std::to_string(id))});
  }
  must(store->fold(changes));

  for (const std::string device : {"", "d"}) {
    const uint64_t before = entries_read(*database);
    SeriesFilter filter{.tenant = "demo", .device = device, .limit = 10};
    size_t seen = 0;
    for (auto page = must(store->list_series(filter)); !page.empty();
         page = must(store->list_series(filter))) {
      seen += page.size();
      filter.after = page.back().id;
    }
    REQUIRE(seen == kSeries);
    REQUIRE(entries_read(*database) - before < 3 * kSeries);
  }
}

TEMPLATE_TEST_CASE("usage before the end of a closed period is noted until it is settled",
                   "[store]", MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = with_log(backend);
  must(store->fold(first_fold()));
  CommercialChanges close;
  PeriodRow period;
  period.tenant = "demo";
  period.contract = "c";
  period.from = QuarterHour{0}.start();
  period.to = QuarterHour{11}.start();
  period.revision = 1;
  period.closed = true;
  close.periods = {{period, 0}};
  must(store->put_documents(close));

  FoldChanges late;
  late.cursor_before = 2;
  late.cursor_after = 4;
  late.usage = {delta(1, 10, 100, 2), delta(1, 11, 7, 3), delta(2, 10, 1, 3)};
  must(store->fold(late));

  auto touched = must(store->touched_usage());
  REQUIRE(touched.size() == 2);
  REQUIRE(touched[0].series == 1);
  REQUIRE(touched[0].quarter == QuarterHour{10});
  REQUIRE(touched[0].added.sum == 100);
  REQUIRE(must(store->usage(1, {10}, {11}))[0].value.sum == 105);

  // More comes between reading the notes and settling them: that one stays.
  FoldChanges later;
  later.cursor_before = 4;
  later.cursor_after = 5;
  later.usage = {delta(1, 10, 1, 4)};
  must(store->fold(later));
  CommercialChanges settle;
  settle.settled_touches = touched;
  must(store->put_documents(settle));

  touched = must(store->touched_usage());
  REQUIRE(touched.size() == 1);
  REQUIRE(touched[0].first_leaf == 2);
  REQUIRE(touched[0].last_leaf == 4);
  REQUIRE(touched[0].added.sum == 101);
}

TEMPLATE_TEST_CASE("a period cannot close over usage that was added after it was read", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = with_log(backend);
  CommercialChanges close;
  close.expected_cursor = must(store->fold_cursor()).cursor;

  must(store->fold(first_fold()));

  REQUIRE(failed_with(store->put_documents(close), Errc::conflict));
  close.expected_cursor = 2;
  must(store->put_documents(close));
}

TEMPLATE_TEST_CASE("a heartbeat's promise counts once the readings before it are folded", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = with_log(backend);
  Heartbeat heartbeat;
  heartbeat.stream = stream_id(1);
  heartbeat.number = 1;
  heartbeat.next_seq = 21;
  heartbeat.complete_through = Timestamp(500);
  const auto put = [&](int64_t received_at) {
    const HeartbeatPut out{heartbeat, Timestamp(received_at), {}};
    return must(store->put_heartbeats(std::span(&out, 1)));
  };
  put(1001);
  heartbeat.number = 2;
  heartbeat.next_seq = 30;
  heartbeat.complete_through = Timestamp(900);
  put(1002);
  REQUIRE_FALSE(must(store->progress("demo", "d"))[0].complete_through.has_value());

  must(store->fold(first_fold()));

  const auto progress = must(store->progress("demo", "d"))[0];
  REQUIRE(progress.folded_seq == 20);
  REQUIRE(progress.folded_number == 2);
  REQUIRE(progress.head_number == 5);
  REQUIRE(progress.complete_through == Timestamp(500));
  REQUIRE(progress.heartbeat_received_at == Timestamp(1002));
}

}  // namespace ledgerline::collector
