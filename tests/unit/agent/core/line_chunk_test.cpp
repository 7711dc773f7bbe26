#include "agent/core/line_chunk.h"

#include <catch2/catch.hpp>

namespace ledgerline::agent {
namespace {

const std::vector<MeterRow> kMeters = {{.number = 1, .name = "calls", .unit = "1"}};

/// Every line "subject value".
LineRules rules() {
  return {.shape = {.format = LineFormat::columns},
          .fields = {"1", "2"},
          .time = {},
          .readings = {{.meter = "calls",
                        .value = {.field = 1, .text = ""},
                        .skip = "-",
                        .subject = TextOrField{.field = 0, .text = ""}}}};
}

struct Fixture {
  LineMapper mapper{rules(), kMeters};
  FilePlace place;

  LineChunk take(std::string_view bytes, AtEnd at_end = AtEnd::waits) {
    LineChunk chunk = take_lines(place, bytes, at_end, mapper, {5});
    place = chunk.after;
    return chunk;
  }
};

TEST_CASE("whole lines are taken and the place is behind them") {
  Fixture f;

  const LineChunk chunk = f.take("a 1\r\nb 2\nc -\nd");

  REQUIRE(chunk.items.size() == 2);
  CHECK(chunk.items[1].reading.value == 2);
  CHECK(chunk.item_lines == std::vector<uint64_t>{0, 5});
  CHECK(chunk.bytes == "a 1\r\nb 2\nc -\n");
  CHECK(chunk.after.offset == 13);
  CHECK(chunk.after.counters == FileCounters{.lines = 3, .readings = 2});
  CHECK(chunk.bad.empty());
}

TEST_CASE("a last line without its end waits until it is whole") {
  Fixture f;
  CHECK(f.take("a").after.offset == 0);
  CHECK(f.take("a 12").after.offset == 0);
  CHECK(f.take("a 123\n").items[0].reading.value == 123);
  CHECK(f.place.counters.lines == 1);
}

TEST_CASE("the cut line at the end of a finished file is bad, not metered") {
  Fixture f;

  const LineChunk chunk = f.take("a 1\nb 12", AtEnd::final);

  CHECK(chunk.items.size() == 1);
  CHECK(chunk.after.offset == 8);
  REQUIRE(chunk.bad.size() == 1);
  CHECK(chunk.bad[0] ==
        BadLine{.offset = 4, .text = "b 12", .reason = "the file ends within this line"});
}

TEST_CASE("a bad line is counted and kept with its place, and the others are metered") {
  Fixture f;

  const LineChunk chunk = f.take("a 1\nb\x07 x\nc \xff\nd 4\n\n");

  CHECK(chunk.items.size() == 2);
  CHECK(chunk.after.counters == FileCounters{.lines = 5, .bad_lines = 3, .readings = 2});
  REQUIRE(chunk.bad.size() == 3);
  CHECK(chunk.bad[0].offset == 4);
  CHECK(chunk.bad[0].text == "b\\x07 x");
  CHECK(chunk.bad[1].text == "c \\xff");
  CHECK(chunk.bad[1].reason == "it is not UTF-8");
  CHECK(chunk.bad[2].offset == 17);
}

TEST_CASE("only the newest bad lines are kept, all are counted") {
  Fixture f;
  std::string bytes;
  for (int i = 0; i < 100; ++i) bytes += "x" + std::to_string(i) + "\n";

  const LineChunk chunk = f.take(bytes);

  CHECK(chunk.after.counters.bad_lines == 100);
  REQUIRE(chunk.bad.size() == LineChunk::kBadMax);
  CHECK(chunk.bad.back().text == "x99");
}

TEST_CASE("a line without end in sight is one bad line, also across chunks and restarts") {
  Fixture f;
  const std::string block(LineChunk::kLineMax + 1, 'x');

  CHECK(f.take(block).after.offset == block.size());
  CHECK(f.place.in_long_line);
  CHECK(f.take("yyy").after.offset == block.size() + 3);
  const auto stored = decode_place(encode(f.place));
  REQUIRE(stored);
  f.place = stored->place;
  const LineChunk chunk = f.take("zzz\na 1\n");

  CHECK(chunk.items.size() == 1);
  CHECK(f.place.counters == FileCounters{.lines = 2, .bad_lines = 1, .readings = 1});
  CHECK_FALSE(f.place.in_long_line);
  CHECK(f.take(block + "\n").bad[0].reason == "it is longer than 64 KiB");
}

TEST_CASE("a chunk fits one request, the rest stays") {
  Fixture f;
  std::string bytes;
  for (int i = 0; i < 10'000; ++i) bytes += "a 1\n";

  const LineChunk chunk = f.take(bytes);

  CHECK(chunk.items.size() == LineChunk::kItemsMax);
  CHECK(chunk.after.offset == LineChunk::kItemsMax * 4);

  Fixture long_subjects;
  bytes.clear();
  for (int i = 0; i < 200; ++i) bytes += std::string(4000, 'a') + " 1\n";
  const LineChunk texts = long_subjects.take(bytes);
  CHECK(texts.items.size() < 200);
  CHECK(chunk_size(std::vector<RecordRequest>{{.items = texts.items, .request_key = ""}}) == 1);
}

TEST_CASE("a line that the recorder refuses is taken out with all its readings") {
  Fixture f;
  LineChunk chunk = f.take("a 1\nb 2\nc 3\n");
  chunk.item_lines[1] = chunk.item_lines[0];  // as if the first line gave two readings

  const BadLine bad = drop_line(chunk, 1, "too much");

  CHECK(bad == BadLine{.offset = 0, .text = "a 1", .reason = "too much"});
  REQUIRE(chunk.items.size() == 1);
  CHECK(chunk.items[0].reading.subject == "c");
  CHECK(chunk.after.counters == FileCounters{.lines = 3, .bad_lines = 1, .readings = 1});
}

TEST_CASE("the first line names the columns, once per file") {
  LineRules named = rules();
  named.shape.header = true;
  named.fields = {"who", "n"};
  LineMapper mapper(named, kMeters);
  FilePlace place;

  LineChunk chunk = take_lines(place, "n who\n1 a\n", AtEnd::waits, mapper, {5});
  REQUIRE(chunk.items.size() == 1);
  CHECK(chunk.items[0].reading.subject == "a");
  CHECK(chunk.after.header == "n who");
  place = chunk.after;
  place.begin(9);
  chunk = take_lines(place, "who n\nb 2\n", AtEnd::waits, mapper, {5});
  REQUIRE(chunk.items.size() == 1);
  CHECK(chunk.items[0].reading.subject == "b");
}

TEST_CASE("what is shown of a bad line is short and printable") {
  CHECK(shown_text("a\tb\x1b[1m\xc3\xa4\xc3") == "a\\x09b\\x1b[1m\xc3\xa4\\xc3");
  CHECK(shown_text(std::string(300, 'a')) == std::string(200, 'a') + "...");
}

}  // namespace
}  // namespace ledgerline::agent
