#include "agent/core/recorder.h"

#include <catch2/catch.hpp>
#include <limits>
#include <map>

using namespace ledgerline;
using namespace ledgerline::agent;

namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

/// What a journal would hold: the plans applied so far.
class Memory final : public RecordLookups {
 public:
  Result<std::optional<Seq>> id(const KeyHash& key) override {
    const auto found = ids_.find(key);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }
  Result<std::vector<SeqRange>> request(const KeyHash& key) override {
    const auto found = requests_.find(key);
    return found == requests_.end() ? std::vector<SeqRange>() : found->second;
  }
  Result<std::optional<int64_t>> last_raw(const KeyHash& series) override {
    const auto found = raws_.find(series);
    return found == raws_.end() ? std::nullopt : std::optional(found->second);
  }

  RecordPlan record(const std::vector<RecordRequest>& requests) {
    auto plan = plan_record(state, meters, requests, *this);
    REQUIRE(plan.has_value());
    for (const auto& [key, seq] : plan->ids) ids_.emplace(key, seq);
    for (const auto& [key, ranges] : plan->requests) requests_.emplace(key, ranges);
    for (const auto& [key, raw] : plan->last_raws) raws_[key] = raw;
    state.next_seq = plan->run.next_seq();
    state.totals = plan->totals;
    state.series_count += plan->new_series;
    return std::move(*plan);
  }

  RecorderState state;
  MeterRows meters = {
      {1, {.number = 1, .name = "calls", .unit = "1"}},
      {2, {.number = 2, .name = "bytes", .unit = "By", .kind = MeterKind::register_}},
      {3, {.number = 3, .name = "load", .unit = "1", .scale = 2, .kind = MeterKind::gauge}},
      {4, {.number = 4, .name = "orders", .unit = "1", .forward_ids = true}}};

 private:
  std::map<KeyHash, Seq> ids_;
  std::map<KeyHash, std::vector<SeqRange>> requests_;
  std::map<KeyHash, int64_t> raws_;
};

RecordItem calls(int64_t value, std::string key = "") {
  return {.reading = {.meter = 1, .time_ms = 1'000, .value = value}, .key = std::move(key)};
}

RecordItem bytes(int64_t raw, std::string subject = "") {
  return {.reading = {.meter = 2,
                      .subject = std::move(subject),
                      .time_ms = 1'000,
                      .register_value = raw},
          .key = ""};
}

RecordRequest request(std::vector<RecordItem> items, std::string key = "") {
  return {.items = std::move(items), .request_key = std::move(key)};
}

std::vector<int64_t> values(const RecordPlan& plan) { return plan.run.values; }

}  // namespace

TEST_CASE("readings get the next seqs in their order, across the requests of a group") {
  Memory memory;
  memory.state.next_seq = 7;

  const auto plan = memory.record({request({calls(1), calls(2)}), request({calls(3)})});

  REQUIRE(plan.answers[0]->seqs == std::vector<Seq>{7, 8});
  REQUIRE(plan.answers[1]->seqs == std::vector<Seq>{9});
  REQUIRE(plan.run.first_seq == 7);
  REQUIRE(values(plan) == std::vector<int64_t>{1, 2, 3});
}

TEST_CASE("totals run on from the state, one per meter, ascending") {
  Memory memory;
  memory.state.totals = {{1, 100}};

  const auto plan = memory.record({request({bytes(5), bytes(9), calls(2), calls(3)})});

  REQUIRE(plan.totals == Totals{{1, 105}, {2, 4}});
}

TEST_CASE("a repeated event is answered with the seq of the first time and recorded once") {
  Memory memory;
  memory.record({request({calls(1, "e1"), calls(2, "e2")})});

  const auto again = memory.record({request({calls(9), calls(2, "e2")})});

  REQUIRE(again.answers[0]->seqs == std::vector<Seq>{3, 2});
  REQUIRE(again.answers[0]->duplicates() == 1);
  REQUIRE(again.run.size() == 1);
  REQUIRE(again.totals == Totals{{1, 12}});
}

TEST_CASE("an event that stands twice in one request or group is recorded once") {
  Memory memory;

  const auto plan =
      memory.record({request({calls(1, "a"), calls(1, "a")}), request({calls(1, "a")})});

  REQUIRE(plan.answers[0]->seqs == std::vector<Seq>{1, 1});
  REQUIRE(plan.answers[0]->repeated == std::vector<uint8_t>{0, 1});
  REQUIRE(plan.answers[1]->seqs == std::vector<Seq>{1});
  REQUIRE(plan.totals == Totals{{1, 1}});
}

TEST_CASE("a repeated request is answered with its seqs, its duplicates included") {
  Memory memory;
  memory.record({request({calls(1, "a")})});
  const auto first = memory.record({request({calls(5), calls(1, "a"), calls(6)}, "r1")});

  const auto again = memory.record({request({calls(5), calls(1, "a"), calls(6)}, "r1")});

  REQUIRE(first.answers[0]->seqs == std::vector<Seq>{2, 1, 3});
  REQUIRE(again.answers[0]->seqs == first.answers[0]->seqs);
  REQUIRE(again.answers[0]->duplicates() == 3);
  REQUIRE(again.run.size() == 0);
}

TEST_CASE("a request key used for a request of another length is refused") {
  Memory memory;
  memory.record({request({calls(1)}, "r1")});

  const auto plan = memory.record({request({calls(1), calls(2)}, "r1")});

  REQUIRE(!plan.answers[0]);
  REQUIRE(plan.answers[0].error().field == "request");
}

TEST_CASE("the first value of a register series is its base, later ones are differences") {
  Memory memory;

  const auto first = memory.record({request({bytes(1'000), bytes(1'010)})});
  const auto second = memory.record({request({bytes(1'025)}), request({bytes(1'026)})});

  REQUIRE(values(first) == std::vector<int64_t>{0, 10});
  REQUIRE(values(second) == std::vector<int64_t>{15, 1});
  REQUIRE(second.run.registers == std::vector<int64_t>{1'025, 1'026});
}

TEST_CASE("a register below its last value began again: what it shows is consumption, flagged") {
  Memory memory;
  memory.record({request({bytes(1'000)})});

  const auto plan = memory.record({request({bytes(30), bytes(40)})});

  REQUIRE(values(plan) == std::vector<int64_t>{30, 10});
  REQUIRE(plan.run.flags == std::vector<uint8_t>{Columns::kFlagReset, 0});
}

TEST_CASE("a register that its input knows to have begun again counts all that it shows") {
  Memory memory;
  memory.record({request({bytes(100), bytes(7, "a")})});
  auto outgrown = bytes(600);
  outgrown.restarted = true;
  auto fresh = bytes(50, "new");
  fresh.restarted = true;

  const auto plan = memory.record({request({outgrown, fresh, bytes(9, "a")})});

  REQUIRE(values(plan) == std::vector<int64_t>{600, 0, 2});
  REQUIRE(plan.run.flags == std::vector<uint8_t>{Columns::kFlagReset, 0, 0});
  REQUIRE(values(memory.record({request({bytes(601)})})) == std::vector<int64_t>{1});
}

TEST_CASE("register series are apart by meter, subject and dimensions") {
  const auto base = hash_of_series(1, "s", {{"a", "b"}});
  REQUIRE(base == hash_of_series(1, "s", {{"a", "b"}}));
  REQUIRE(base != hash_of_series(2, "s", {{"a", "b"}}));
  REQUIRE(base != hash_of_series(1, "t", {{"a", "b"}}));
  REQUIRE(base != hash_of_series(1, "s", {}));
  REQUIRE(base != hash_of_series(1, "s", {{"ab", ""}}));
  REQUIRE(hash_of_key("x") != hash_of_request_key("x"));

  Memory memory;
  const auto plan = memory.record({request({bytes(100, "a"), bytes(500, "b"), bytes(101, "a")})});
  REQUIRE(values(plan) == std::vector<int64_t>{0, 0, 1});
  REQUIRE(plan.new_series == 2);
}

TEST_CASE("the order in which dimensions are given does not matter") {
  Memory memory;
  RecordItem one = bytes(10);
  one.reading.dimensions = {{"b", "2"}, {"a", "1"}};
  RecordItem two = bytes(12);
  two.reading.dimensions = {{"a", "1"}, {"b", "2"}};

  const auto plan = memory.record({request({one, two})});

  REQUIRE(values(plan) == std::vector<int64_t>{0, 2});
  REQUIRE(plan.run.dimension_sets.size() == 1);
}

TEST_CASE("readings earlier than what a heartbeat promised are flagged late") {
  Memory memory;
  memory.state.promised = Timestamp(10'000);
  memory.state.anchor = ClockAnchor{.monotonic = {500}, .wall = Timestamp(10'000)};
  RecordItem early = calls(1);
  early.reading.time_ms = 9'999;
  RecordItem in_time = calls(1);
  in_time.reading.time_ms = 10'000;
  RecordItem monotonic_early = calls(1);
  monotonic_early.reading.monotonic_time = true;
  monotonic_early.reading.time_ms = 499;
  RecordItem monotonic_in_time = monotonic_early;
  monotonic_in_time.reading.time_ms = 500;

  const auto plan = memory.record({request({early, in_time, monotonic_early, monotonic_in_time})});

  const uint8_t late = Columns::kFlagLate;
  const uint8_t monotonic = Columns::kFlagMonotonic;
  const uint8_t both = late | monotonic;
  REQUIRE(plan.run.flags == std::vector<uint8_t>{late, 0, both, monotonic});
}

TEST_CASE("one wrong event refuses its whole request and leaves the others alone") {
  Memory memory;

  const auto plan = memory.record({request({calls(1, "a"), bytes(50)}),
                                   request({calls(5, "b"), bytes(70), calls(-1)}, "r"),
                                   request({calls(7, "b"), bytes(60)}, "r")});

  REQUIRE(plan.answers[0]->seqs == std::vector<Seq>{1, 2});
  REQUIRE(plan.answers[1].error().index == 2);
  REQUIRE(plan.answers[1].error().field == "value");
  REQUIRE(plan.answers[1].error().code == Errc::reject);
  REQUIRE(plan.answers[2]->seqs == std::vector<Seq>{3, 4});
  REQUIRE(plan.totals == Totals{{1, 8}, {2, 10}});
  REQUIRE(values(plan) == std::vector<int64_t>{1, 0, 7, 10});
}

TEST_CASE("wrong readings are refused by field") {
  const std::string long_text(1025, 'x');
  struct Case {
    const char* what;
    std::function<void(RecordItem&)> spoil;
    const char* field;
  };
  const std::vector<Case> cases = {
      {"unknown meter", [](RecordItem& i) { i.reading.meter = 99; }, "meter"},
      {"negative delta", [](RecordItem& i) { i.reading.value = -1; }, "value"},
      {"negative register",
       [](RecordItem& i) {
         i.reading.meter = 2;
         i.reading.register_value = -1;
       },
       "value"},
      {"before 1970", [](RecordItem& i) { i.reading.time_ms = -1; }, "time"},
      {"after 9999", [](RecordItem& i) { i.reading.time_ms = kMax; }, "time"},
      {"long subject", [&](RecordItem& i) { i.reading.subject = long_text; }, "subject"},
      {"bad UTF-8", [](RecordItem& i) { i.reading.subject = "\xff"; }, "subject"},
      {"a dimension twice",
       [](RecordItem& i) {
         i.reading.dimensions = {{"a", "1"}, {"a", "2"}};
       },
       "dimensions"},
      {"a dimension of the collector's",
       [](RecordItem& i) {
         i.reading.dimensions = {{"ledgerline.correction", "1"}};
       },
       "dimensions"},
      {"a dimension without name",
       [](RecordItem& i) {
         i.reading.dimensions = {{"", "1"}};
       },
       "dimensions"},
      {"33 dimensions",
       [](RecordItem& i) {
         for (int n = 0; n < 33; ++n) i.reading.dimensions.emplace_back(std::to_string(n), "v");
       },
       "dimensions"},
      {"5 KiB of dimensions",
       [](RecordItem& i) {
         for (int n = 0; n < 5; ++n) {
           i.reading.dimensions.emplace_back(std::to_string(n), std::string(1024, 'v'));
         }
       },
       "dimensions"},
      {"no id where ids are forwarded", [](RecordItem& i) { i.reading.meter = 4; }, "id"},
  };
  for (const auto& c : cases) {
    INFO(c.what);
    Memory memory;
    RecordItem item = calls(1);
    c.spoil(item);

    const auto plan = memory.record({request({calls(1), item})});

    REQUIRE(!plan.answers[0]);
    REQUIRE(plan.answers[0].error().index == 1);
    REQUIRE(plan.answers[0].error().field == c.field);
    REQUIRE(plan.run.size() == 0);
  }
}

TEST_CASE("a gauge may be negative and an id is kept only where the meter forwards it") {
  Memory memory;
  RecordItem gauge = calls(-250);
  gauge.reading.meter = 3;
  RecordItem order = calls(1);
  order.reading.meter = 4;
  order.reading.id = "order-1";
  RecordItem plain = calls(1);
  plain.reading.id = "not forwarded";

  const auto plan = memory.record({request({gauge, order, plain})});

  REQUIRE(values(plan) == std::vector<int64_t>{-250, 1, 1});
  REQUIRE(plan.run.ids == std::vector<std::string>{"", "order-1", ""});
}

TEST_CASE("a total that would need more than 128 bits refuses the reading") {
  Memory memory;
  const Int128 limit = std::numeric_limits<Int128>::max();
  memory.state.totals = {{1, limit - 5}};

  const auto plan = memory.record({request({calls(6)}), request({calls(5)})});

  REQUIRE(plan.answers[0].error().field == "value");
  REQUIRE(plan.answers[1].has_value());
  REQUIRE(plan.totals == Totals{{1, limit}});
}

TEST_CASE("register series are limited") {
  Memory memory;
  memory.state.series_count = RecordLimits::kSeriesMax - 1;

  const auto plan = memory.record({request({bytes(1, "a")}), request({bytes(1, "b")})});

  REQUIRE(plan.answers[0].has_value());
  REQUIRE(plan.answers[1].error().field == "subject");
}

TEST_CASE("a request beyond what one run takes is refused, and a group is cut to fit") {
  const std::vector<RecordItem> half(2'500, calls(1));
  const std::vector<RecordRequest> group = {request(half), request(half), request(half)};
  REQUIRE(chunk_size(group) == 1);
  REQUIRE(chunk_size(std::span(group).first(1)) == 1);

  Memory memory;
  const auto plan = memory.record({request(std::vector<RecordItem>(4'097, calls(1)))});
  REQUIRE(plan.answers[0].error().field == "request");
}

TEST_CASE("an empty request is answered and changes nothing") {
  Memory memory;

  const auto plan = memory.record({request({}, "r")});

  REQUIRE(plan.answers[0]->seqs.empty());
  REQUIRE(plan.run.size() == 0);
  REQUIRE(plan.requests.empty());
}
