#include "collector/core/maintenance.h"

#include <catch2/catch.hpp>
#include <random>

#include "tests/unit/collector/core/catalog_examples.h"

namespace ledgerline::collector {
namespace {

constexpr Duration kHour = std::chrono::hours(1);

Decimal decimal(std::string_view text) { return Decimal::parse(text).value(); }
Timestamp hour(int64_t n) { return Timestamp(n * kHour.count()); }

UsageValue value_of(std::initializer_list<int64_t> readings, Seq seq = 0) {
  UsageValue out;
  for (const int64_t reading : readings)
    out.add(reading, {.time_ms = 0, .stream = {}, .seq = ++seq});
  return out;
}

/// One reading in each step from `first` on.
Samples samples_from(int64_t first, const std::vector<int64_t>& values, int scale = 0) {
  Samples out{.scale = scale, .samples = {}};
  for (const int64_t value : values) out.samples.push_back({first++, value_of({value})});
  return out;
}

Condition condition(WindowValue value, int64_t hours, std::string_view above) {
  Condition out;
  out.meter = "m";
  out.value = value;
  out.window = hours * kHour;
  out.limit = decimal(above);
  out.clear = out.limit;
  return out;
}

MaintenanceRule rule_of(std::vector<Condition> conditions) {
  MaintenanceRule out;
  out.name = "rule";
  out.step = kHour;
  out.needed = conditions.size();
  out.conditions = std::move(conditions);
  return out;
}

/// Every decision up to the step, as "number.revision@hour".
std::string run(const MaintenanceRule& rule, const std::vector<Samples>& samples, RuleState& state,
                int64_t last_step) {
  RuleMachine machine(rule, samples, state);
  std::string out;
  while (const auto decision = machine.advance(last_step)) {
    out += (out.empty() ? "" : " ") + std::to_string(decision->number) + "." +
           std::to_string(decision->revision) + "@" +
           std::to_string(decision->at.unix_ms() / kHour.count());
  }
  return out;
}

std::string text(const std::optional<Fraction>& value, int scale = 3) {
  return value ? to_decimal(*value, scale)->text() : "none";
}

std::optional<Fraction> value_in(const Condition& condition, const Samples& samples,
                                 int64_t ahead = 0) {
  MovingWindow window(condition, samples, ahead);
  window.move(std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max());
  return window.value();
}

}  // namespace

TEST_CASE("a window's value is exact", "[maintenance]") {
  Samples samples{.scale = 2, .samples = {{1, value_of({100, 200})}, {3, value_of({401}, 2)}}};
  const auto value = [&](WindowValue what) {
    return text(value_in(condition(what, 9, "0"), samples));
  };
  CHECK(value(WindowValue::mean) == "2.337");  // 7.01 / 3
  CHECK(value(WindowValue::sum) == "7.010");
  CHECK(value(WindowValue::count) == "3.000");
  CHECK(value(WindowValue::min) == "1.000");
  CHECK(value(WindowValue::max) == "4.010");
  CHECK(value(WindowValue::last) == "4.010");

  const Fraction third{1, 3};
  CHECK(compare(third, decimal("0.333333333333333333")) > 0);
  CHECK(compare(third, decimal("0.333333333333333334")) < 0);
  CHECK(compare({-1, 4}, decimal("-0.25")) == 0);
  CHECK(text(Fraction{-1, 2}, 0) == "0");
  CHECK(text(Fraction{-3, 2}, 0) == "-2");
}

TEST_CASE("no readings are a sum of 0 and no mean", "[maintenance]") {
  const Samples none;
  Condition sum = condition(WindowValue::sum, 1, "0");
  sum.steps_min = 0;
  CHECK(text(value_in(sum, none)) == "0.000");
  CHECK(text(value_in(condition(WindowValue::mean, 1, "0"), none)) == "none");
}

TEST_CASE("a trend is the straight line through the steps, read ahead", "[maintenance]") {
  Condition trend = condition(WindowValue::trend, 10, "0");
  CHECK(text(value_in(trend, samples_from(100, {10, 12, 14, 16}), 5)) == "26.000");
  CHECK(text(value_in(trend, samples_from(-4, {10, 12, 14, 16}, 1), 5)) == "2.600");
  // By hand: steps 0 1 3, values 1 2 2: slope 2/7, intercept 9/7, at 3 + 4 = 23/7.
  Samples uneven{.scale = 0,
                 .samples = {{0, value_of({1})}, {1, value_of({2})}, {3, value_of({2})}}};
  CHECK(text(value_in(trend, uneven, 4)) == "3.286");
  CHECK(text(value_in(trend, samples_from(0, {5}), 4)) == "none");
  // Extremes need more than 128 bits on the way.
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  CHECK(value_in(trend, samples_from(1'700'000'000, {-kMax, kMax, -kMax, kMax}), 10'000));
}

TEST_CASE("a window that moved has the value of one that began where it is", "[maintenance]") {
  std::mt19937 choose(7);
  Samples samples{.scale = 1, .samples = {}};
  for (int64_t step = -150; step < 300; step += choose() % 5 == 0 ? 9 : 1) {
    const auto reading = [&] { return static_cast<int64_t>(choose() % 40) - 20; };
    samples.samples.push_back({step, value_of({reading(), reading(), reading()})});
  }
  for (const WindowValue what :
       {WindowValue::mean, WindowValue::min, WindowValue::max, WindowValue::last, WindowValue::sum,
        WindowValue::count, WindowValue::trend}) {
    for (const int64_t length : {1, 4, 7, 40}) {
      Condition wanted = condition(what, length, "0");
      MovingWindow moved(wanted, samples, 3);
      for (int64_t step = -160; step < 320; ++step) {
        MovingWindow fresh(wanted, samples, 3);
        moved.move(step - length, step);
        fresh.move(step - length, step);
        CAPTURE(to_string(what), length, step);
        REQUIRE(text(moved.value(), 18) == text(fresh.value(), 18));
      }
    }
  }
}

TEST_CASE("a year of quarter hours under the longest windows", "[maintenance]") {
  std::vector<Condition> conditions;
  for (const WindowValue what : {WindowValue::trend, WindowValue::mean, WindowValue::max})
    conditions.push_back(condition(what, 10'000, "49999"));
  std::vector<int64_t> rising;
  for (int64_t i = 0; i < 60'000; ++i) rising.push_back(i);
  const std::vector<Samples> samples(3, samples_from(0, rising));
  RuleState state;
  CHECK(run(rule_of(conditions), samples, state, 60'000) == "1.1@55000");
}

TEST_CASE("an order opens when the condition is met and stays one while it is", "[maintenance]") {
  auto rule = rule_of({condition(WindowValue::mean, 2, "10")});
  rule.update = 3 * kHour;
  const std::vector<Samples> samples = {samples_from(0, {9, 10, 11, 12, 12, 12, 12, 12, 1, 1})};
  RuleState state;

  CHECK(run(rule, samples, state, 20) == "1.1@3 1.2@6");
  CHECK(state.open->opened_at == hour(3));
  CHECK(state.orders == 1);
}

TEST_CASE("the pieces in which steps are looked at make no difference", "[maintenance]") {
  auto rule =
      rule_of({condition(WindowValue::mean, 3, "10"), condition(WindowValue::sum, 24, "60")});
  rule.conditions[1].source = Condition::Source::since_service;
  rule.update = 2 * kHour;
  const std::vector<int64_t> values = {5, 20, 3, 11, 12, 9, 30, 1, 1, 40, 40, 2, 2};
  const std::vector<Samples> samples = {samples_from(0, values), samples_from(0, values)};
  RuleState whole;
  const std::string expected = run(rule, samples, whole, 12);
  REQUIRE(expected == "1.1@7 1.2@9 1.3@11 1.4@13");

  RuleState pieces;
  std::string found;
  for (int64_t step = 0; step <= 12; ++step) {
    const std::string more = run(rule, samples, pieces, step);
    if (!more.empty()) found += (found.empty() ? "" : " ") + more;
  }
  CHECK(found == expected);
  CHECK(pieces == whole);
}

TEST_CASE("service closes the order, resets the counters and begins the cool-down",
          "[maintenance]") {
  auto rule = rule_of({condition(WindowValue::sum, 24, "5")});
  rule.conditions[0].source = Condition::Source::since_service;
  rule.cool_down = 4 * kHour;
  rule.update = Duration(0);
  const std::vector<Samples> samples = {samples_from(0, std::vector<int64_t>(24, 2))};
  RuleState state;

  CHECK(run(rule, samples, state, 4) == "1.1@3");
  on_service(rule, state, hour(5));
  CHECK_FALSE(state.open);
  CHECK(run(rule, samples, state, 20) == "2.1@9");  // 6 by hour 8, but quiet until hour 9
  CHECK(state.orders == 2);
}

TEST_CASE("what came between a service and its news counts for the next one", "[maintenance]") {
  auto rule = rule_of({condition(WindowValue::sum, 24, "5")});
  rule.conditions[0].source = Condition::Source::since_service;
  rule.update = Duration(0);
  const std::vector<Samples> samples = {samples_from(0, std::vector<int64_t>(24, 2))};
  RuleState state;
  CHECK(run(rule, samples, state, 12) == "1.1@3");
  on_service(rule, state, hour(4) - Duration(1));  // known nine hours later
  CHECK(state.next_step == 4);
  CHECK(run(rule, samples, state, 12) == "2.1@7");
}

TEST_CASE("hysteresis: a condition that is met stays met until its value is back past clear",
          "[maintenance]") {
  auto first = condition(WindowValue::last, 1, "10");
  first.clear = decimal("8");
  auto rule = rule_of({first, condition(WindowValue::last, 1, "100")});
  const std::vector<Samples> samples = {samples_from(0, {11, 9, 8, 9, 9}),
                                        samples_from(0, {0, 101, 0, 0, 101})};
  RuleState state;
  CHECK(run(rule, samples, state, 1) == "1.1@2");
  on_service(rule, state, hour(2));
  CHECK(run(rule, samples, state, 10).empty());  // 8 ended it, and 9 does not begin it
}

TEST_CASE("calendar or usage, whichever comes first", "[maintenance]") {
  Condition calendar;
  calendar.source = Condition::Source::calendar;
  calendar.limit = calendar.clear = decimal("1.5");
  auto usage = condition(WindowValue::sum, 1, "100");
  usage.source = Condition::Source::since_service;
  auto rule = rule_of({calendar, usage});
  rule.needed = 1;
  const Asset asset{.name = "a", .model = "m", .in_service_from = hour(10)};

  RuleState idle = initial_state(rule, asset);
  CHECK(run(rule, {{}, {}}, idle, 100) == "1.1@47");  // the first hour past a day and a half
  RuleState busy = initial_state(rule, asset);
  CHECK(run(rule, {{}, samples_from(8, std::vector<int64_t>(20, 30))}, busy, 100) == "1.1@14");
}

TEST_CASE("a reading below: fewer steps than asked for decide nothing", "[maintenance]") {
  auto low = condition(WindowValue::min, 3, "5");
  low.side = Condition::Side::below;
  low.steps_min = 3;
  const auto rule = rule_of({low});
  RuleState state;
  CHECK(run(rule, {samples_from(0, {1, 9, 9, 4})}, state, 10) == "1.1@3");
}

TEST_CASE("a rule's state is stored and read back, also after the rule changed", "[maintenance]") {
  auto service = condition(WindowValue::sum, 1, "5");
  service.source = Condition::Source::since_service;
  auto rule = rule_of({condition(WindowValue::mean, 2, "10"), service});
  RuleState state;
  CHECK(parse_rule_state(to_json(state, rule), rule)->orders == 0);
  run(rule, {samples_from(-4, {11, 11, 11}), samples_from(-4, {2, 3, 4})}, state, 5);
  state.conditions[1].since_service = BigInt("-123456789012345678901234567890123456789012345");
  state.quiet_until = hour(-7);
  REQUIRE(state.open);
  const std::string stored = to_json(state, rule);
  CHECK(parse_rule_state(stored, rule) == state);

  std::swap(rule.conditions[0], rule.conditions[1]);
  CHECK(parse_rule_state(stored, rule)->conditions[0] == state.conditions[1]);
  rule.conditions[0].meter = "other";
  CHECK(parse_rule_state(stored, rule)->conditions[0] == ConditionState{});
  rule.step = 4 * kHour;  // step 6 begins at hour 6, and the next whole one of four hours at 8
  CHECK(parse_rule_state(stored, rule)->next_step == 2);

  for (const char* broken :
       {"", "{}", R"({"step_ms":"1"})", R"({"step_ms":3600000,"orders":1e40})"})
    CHECK(parse_rule_state(broken, rule).error().code() == Errc::corrupt);
}

TEST_CASE("rules and assets are read, and what is wrong is named where it is written",
          "[maintenance]") {
  const std::string rule = R"(
[[maintenance]]
name = "seats-worn"
model = "P-100"
connector = "tryton"
priority = "high"
step = "1h"
due = "3d"
  [[maintenance.when]]
  meter = "seats"
  value = "trend"
  window = "48h"
  ahead = "24h"
  below = "5"
  clear = "6"
  where = { hall = "3" }
  [[maintenance.when]]
  value = "days_since_service"
  above = "90"
  [[maintenance.part]]
  product = "SEAL"
  quantity = "2"
)";
  const Catalog catalog = read_catalog(kExampleCatalog + rule);
  const MaintenanceRule& read = catalog.rules().at("seats-worn");
  CHECK(read.needed == 2);
  CHECK(read.conditions[0].where == DimensionSet{{"hall", "3"}});
  CHECK(read.conditions[1].source == Condition::Source::calendar);
  CHECK(window_steps(read) == 48);
  CHECK(catalog.asset("pump-7")->site == "Hall 3");
  CHECK(catalog.hash() != read_catalog(kExampleCatalog).hash());

  const auto complaint = [&](const std::string& old_text, const std::string& new_text) {
    std::string changed = kExampleCatalog + rule;
    changed.replace(changed.rfind(old_text), old_text.size(), new_text);
    const auto result = Catalog::read({{"c.toml", changed}});
    return result ? "no complaint" : result.error().text();
  };
  using Catch::Matchers::Contains;
  CHECK_THAT(complaint("model = \"P-100\"", "model = \"P-10\""),
             Contains("no asset is a \"P-10\"; did you mean \"P-100\"?"));
  CHECK_THAT(complaint("meter = \"seats\"", "meter = \"seat\""),
             Contains("unknown meter \"seat\""));
  CHECK_THAT(complaint("clear = \"6\"", "clear = \"4\""), Contains("not beyond 5"));
  CHECK_THAT(complaint("\"trend\"", "\"sum\""), Contains("\"ahead\""));
  CHECK_THAT(complaint("window = \"48h\"", "window = \"90m\""),
             Contains("multiple of the rule's step"));
  CHECK_THAT(complaint("\"days_since_service\"", "\"dais_since_service\""),
             Contains("did you mean \"days_since_service\"?"));
  CHECK_THAT(complaint("asset = \"pump-7\"", "asset = \"pump-8\""),
             Contains("unknown asset \"pump-8\"; did you mean \"pump-7\"?"));
}

}  // namespace ledgerline::collector
