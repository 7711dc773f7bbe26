#include "collector/core/periods.h"

#include <catch2/catch.hpp>

namespace ledgerline::collector {
namespace {

TimeZone zone(std::string_view name) {
  auto found = TimeZone::find(name);
  REQUIRE(found);
  return *found;
}

PeriodRule rule(std::string_view period, std::string_view anchor, std::string_view zone_name) {
  auto parsed = PeriodRule::parse(period, anchor, zone(zone_name));
  REQUIRE(parsed);
  return *parsed;
}

Timestamp at(std::string_view text) { return parse_rfc3339(text).value(); }

std::string shown(const Result<Period>& period) {
  if (!period) return period.error().text();
  return to_rfc3339(period->from).substr(0, 16) + " " + to_rfc3339(period->until).substr(0, 16);
}

TEST_CASE("calendar periods follow the local calendar") {
  struct Row {
    const char* what;
    const char* period;
    const char* anchor;
    const char* zone;
    int64_t index;
    const char* expected;
  };
  const Row rows[] = {
      {"a month", "P1M", "2026-01-01", "UTC", 0, "2026-01-01T00:00 2026-02-01T00:00"},
      {"a month in winter time", "P1M", "2026-01-01", "Europe/Brussels", 0,
       "2025-12-31T23:00 2026-01-31T23:00"},
      {"the month of the switch to summer time", "P1M", "2026-01-01", "Europe/Brussels", 2,
       "2026-02-28T23:00 2026-03-31T22:00"},
      {"the month of the switch to winter time", "P1M", "2026-01-01", "Europe/Brussels", 9,
       "2026-09-30T22:00 2026-10-31T23:00"},
      {"a day of 23 hours", "P1D", "2026-03-29", "Europe/Brussels", 0,
       "2026-03-28T23:00 2026-03-29T22:00"},
      {"a day of 25 hours", "P1D", "2026-10-25", "Europe/Brussels", 0,
       "2026-10-24T22:00 2026-10-25T23:00"},
      {"New York's day of 23 hours", "P1D", "2026-03-08", "America/New_York", 0,
       "2026-03-08T05:00 2026-03-09T04:00"},
      {"New York's day of 25 hours", "P1D", "2026-11-01", "America/New_York", 0,
       "2026-11-01T04:00 2026-11-02T05:00"},
      {"an offset of 5:45", "P1D", "2026-06-01", "Asia/Kathmandu", 0,
       "2026-05-31T18:15 2026-06-01T18:15"},
      {"a clock that moves half an hour forward", "P1D", "2026-10-04", "Australia/Lord_Howe", 0,
       "2026-10-03T13:30 2026-10-04T13:00"},
      {"a clock that moves half an hour back", "P1D", "2026-04-05", "Australia/Lord_Howe", 0,
       "2026-04-04T13:00 2026-04-05T13:30"},
      {"a midnight that does not exist", "P1D", "2018-11-04", "America/Sao_Paulo", 0,
       "2018-11-04T03:00 2018-11-05T02:00"},
      {"a midnight that comes twice begins with the first", "P1D", "2018-02-18",
       "America/Sao_Paulo", 0, "2018-02-18T03:00 2018-02-19T03:00"},
      {"31 January monthly, first", "P1M", "2026-01-31", "UTC", 0,
       "2026-01-31T00:00 2026-02-28T00:00"},
      {"31 January monthly, second", "P1M", "2026-01-31", "UTC", 1,
       "2026-02-28T00:00 2026-03-31T00:00"},
      {"31 January monthly, third", "P1M", "2026-01-31", "UTC", 2,
       "2026-03-31T00:00 2026-04-30T00:00"},
      {"31 January monthly in a leap year", "P1M", "2028-01-31", "UTC", 0,
       "2028-01-31T00:00 2028-02-29T00:00"},
      {"29 February yearly", "P1Y", "2028-02-29", "UTC", 1, "2029-02-28T00:00 2030-02-28T00:00"},
      {"29 February yearly, leap again", "P1Y", "2028-02-29", "UTC", 4,
       "2032-02-29T00:00 2033-02-28T00:00"},
      {"a quarter over the new year", "P3M", "2026-11-30", "UTC", 1,
       "2027-02-28T00:00 2027-05-30T00:00"},
      {"a year and a half", "P1Y6M", "2026-01-01", "UTC", 1, "2027-07-01T00:00 2029-01-01T00:00"},
      {"a week", "P1W", "2026-03-23", "Europe/Brussels", 0, "2026-03-22T23:00 2026-03-29T22:00"},
      {"an exact day from a local midnight", "PT24H", "2026-03-29", "Europe/Brussels", 0,
       "2026-03-28T23:00 2026-03-29T23:00"},
      {"a minute", "PT1M", "2026-01-01T00:00:00Z", "UTC", 61, "2026-01-01T01:01 2026-01-01T01:02"},
      {"an hour and a half", "PT1H30M", "2026-01-01T00:00:00+01:00", "UTC", 1,
       "2026-01-01T00:30 2026-01-01T02:00"},
  };

  for (const Row& row : rows) {
    INFO(row.what);
    CHECK(shown(rule(row.period, row.anchor, row.zone).at(row.index)) == row.expected);
  }
}

TEST_CASE("each instant lies in exactly one period, and periods meet without a gap") {
  struct Row {
    const char* period;
    const char* anchor;
    const char* zone;
  };
  const Row rows[] = {
      {"P1M", "2024-01-31", "Europe/Brussels"}, {"P1D", "2024-10-20", "Australia/Lord_Howe"},
      {"P1M", "2024-12-31", "Asia/Kathmandu"},  {"P1Y", "2024-02-29", "America/New_York"},
      {"P2W", "2025-03-01", "Europe/Brussels"}, {"PT7M", "2026-01-01T00:00:00Z", "UTC"}};

  for (const Row& row : rows) {
    INFO(row.period << " " << row.anchor << " " << row.zone);
    const PeriodRule r = rule(row.period, row.anchor, row.zone);
    CHECK(r.at(0)->from == r.anchor());
    for (int64_t i = 0; i < 9; ++i) {
      const Period period = r.at(i).value();
      CHECK(period.from < period.until);
      CHECK(r.containing(period.from).value() == period);
      CHECK(r.containing(period.until - Duration(1)).value() == period);
      CHECK(r.containing(period.until).value() == r.at(i + 1).value());
    }
    CHECK_FALSE(r.containing(r.anchor() - Duration(1)));
  }
}

TEST_CASE("a wrong period or anchor is refused with the reason") {
  struct Row {
    const char* period;
    const char* anchor;
    const char* part;
  };
  const Row rows[] = {
      {"", "2026-01-01", "not a period"},      {"P", "2026-01-01", "not a period"},
      {"PT", "2026-01-01", "not a period"},    {"P1", "2026-01-01", "not a period"},
      {"1M", "2026-01-01", "not a period"},    {"P1X", "2026-01-01", "not a period"},
      {"P1MT", "2026-01-01", "not a period"},  {"P-1M", "2026-01-01", "not a period"},
      {"P1.5M", "2026-01-01", "not a period"}, {"P0M", "2026-01-01", "longer than nothing"},
      {"P1M2D", "2026-01-01", "a period is"},  {"P1DT1H", "2026-01-01", "a period is"},
      {"P1M", "2026-02-30", "local date"},     {"P1M", "2026-01-01T00:00:00Z", "local date"},
      {"PT1M", "tomorrow", "neither"},         {"P9999M", "2026-01-01", "1200"},
      {"P1M", "9999-01-01", "between 1970"},   {"P999999999M", "2026-01-01", "not a period"}};

  for (const Row& row : rows) {
    const auto parsed = PeriodRule::parse(row.period, row.anchor, zone("UTC"));
    INFO(row.period << " " << row.anchor);
    REQUIRE_FALSE(parsed);
    INFO(parsed.error().text());
    CHECK(parsed.error().text().find(row.part) != std::string::npos);
  }
}

// What a zone file states ends with 2037. Checked against zoneinfo of Python, every day of 2036 to
// 2051 in every zone.
TEST_CASE("years after the last transition of a zone file follow its rule") {
  const struct {
    const char* zone;
    const char* day;
    const char* expected;
  } rows[] = {
      {"Europe/Brussels", "2038-03-28", "2038-03-27T23:00 2038-03-28T22:00"},
      {"Europe/Brussels", "2038-10-31", "2038-10-30T22:00 2038-10-31T23:00"},
      {"America/New_York", "2050-03-13", "2050-03-13T05:00 2050-03-14T04:00"},
      {"Europe/Dublin", "2040-10-28", "2040-10-27T23:00 2040-10-29T00:00"},
      {"Pacific/Auckland", "2040-04-01", "2040-03-31T11:00 2040-04-01T12:00"},
      {"Asia/Kathmandu", "2044-02-29", "2044-02-28T18:15 2044-02-29T18:15"},
      {"UTC", "2106-02-07", "2106-02-07T00:00 2106-02-08T00:00"},
  };
  for (const auto& row : rows) {
    INFO(row.zone << " " << row.day);
    CHECK(shown(rule("P1D", row.day, row.zone).at(0)) == row.expected);
  }
}

TEST_CASE("years the zone data does not cover are refused, not guessed") {
  CHECK(rule("P1Y", "9997-01-01", "Europe/Brussels").at(0));
  CHECK_FALSE(rule("P1Y", "9997-01-01", "Europe/Brussels").at(1));
  // Nuuk's rule changes clocks at -1 o'clock, which is not read.
  CHECK(rule("P1Y", "2030-01-01", "America/Nuuk").at(5));
  CHECK_FALSE(rule("P1Y", "2030-01-01", "America/Nuuk").at(6));
  CHECK_FALSE(TimeZone::find("Europe/Brusels"));
}

TEST_CASE("local text carries the offset in force") {
  CHECK(zone("Europe/Brussels").local_text(at("2026-03-29T00:59:59Z")).value() ==
        "2026-03-29T01:59:59+01:00");
  CHECK(zone("Europe/Brussels").local_text(at("2026-03-29T01:00:00Z")).value() ==
        "2026-03-29T03:00:00+02:00");
  CHECK(zone("America/St_Johns").local_text(at("2026-01-01T00:00:00Z")).value() ==
        "2025-12-31T20:30:00-03:30");
}

// ---- Completeness

StreamProgress stream(StreamStatus status, std::optional<Timestamp> complete_through) {
  StreamProgress out;
  out.device = "app-1";
  out.status = status;
  out.complete_through = complete_through;
  return out;
}

TEST_CASE("a period waits until every open billing stream is complete up to its end") {
  const Timestamp end = at("2026-02-01T00:00:00Z");
  StreamProgress diagnostic = stream(StreamStatus::open, std::nullopt);
  diagnostic.stream_class = StreamClass::diagnostic;
  struct Row {
    const char* what;
    bool link_ended;
    std::vector<StreamProgress> streams;
    std::optional<Waiting::Reason> expected;
  };
  const Row rows[] = {
      {"complete", false, {stream(StreamStatus::open, end)}, std::nullopt},
      {"a millisecond short",
       false,
       {stream(StreamStatus::open, end - Duration(1))},
       Waiting::Reason::behind},
      {"never heard",
       false,
       {stream(StreamStatus::open, std::nullopt)},
       Waiting::Reason::no_heartbeat},
      {"no stream: no data is not zero usage", false, {}, Waiting::Reason::no_stream},
      {"no stream although the link has ended", true, {}, Waiting::Reason::no_stream},
      {"one of two behind",
       false,
       {stream(StreamStatus::open, end), stream(StreamStatus::open, end - Duration(1))},
       Waiting::Reason::behind},
      {"a closed stream and its successor",
       false,
       {stream(StreamStatus::closed, std::nullopt), stream(StreamStatus::open, end)},
       std::nullopt},
      {"only a closed stream",
       false,
       {stream(StreamStatus::closed, end)},
       Waiting::Reason::no_stream},
      {"only a closed stream, and the link has ended",
       true,
       {stream(StreamStatus::closed, end)},
       std::nullopt},
      {"frozen short of the end",
       false,
       {stream(StreamStatus::frozen, end - Duration(1))},
       Waiting::Reason::frozen},
      {"frozen, but complete before", false, {stream(StreamStatus::frozen, end)}, std::nullopt},
      {"a diagnostic stream does not matter",
       false,
       {stream(StreamStatus::open, end), diagnostic},
       std::nullopt},
      {"a diagnostic stream alone", false, {diagnostic}, Waiting::Reason::no_stream},
  };

  for (const Row& row : rows) {
    INFO(row.what);
    const auto waiting = waiting_for({{"app-1", end, row.link_ended, row.streams}});
    CHECK(waiting.empty() == !row.expected.has_value());
    if (row.expected && !waiting.empty()) CHECK(waiting[0].reason == *row.expected);
  }
}

TEST_CASE("a stream that lost what it gave a receipt for is waited for, whatever it promised") {
  const Timestamp end(1'000);
  StreamProgress stream;
  stream.complete_through = end;
  stream.head_number = 4;
  stream.presented_upto = 7;
  const auto waiting = waiting_for({{"app-1", end, true, {stream}}});
  REQUIRE(waiting.size() == 1);
  CHECK(waiting[0].reason == Waiting::Reason::recovering);
  CHECK(waiting[0].missing == 3);
  CHECK(waiting[0].text().find("3 batches") != std::string::npos);

  stream.head_number = 7;
  CHECK(waiting_for({{"app-1", end, false, {stream}}}).empty());
  stream.head_number = 4;
  stream.status = StreamStatus::closed;
  CHECK(waiting_for({{"app-1", end, true, {stream}}}).empty());  // whoever closed it accepted it
}

TEST_CASE("a period that needs no device waits for none") { CHECK(waiting_for({}).empty()); }

}  // namespace
}  // namespace ledgerline::collector
