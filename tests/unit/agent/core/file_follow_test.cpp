#include "agent/core/file_follow.h"

#include <catch2/catch.hpp>

namespace ledgerline::agent {
namespace {

constexpr FileFacts kOld{.id = {.device = 1, .inode = 10}, .size = 100, .modified_ns = 5};
constexpr FileFacts kNew{.id = {.device = 1, .inode = 11}, .size = 7, .modified_ns = 6};

FileFacts sized(FileFacts facts, uint64_t size) {
  facts.size = size;
  return facts;
}

TEST_CASE("what is done next with a followed file") {
  struct Case {
    const char* what;
    FollowView view;
    FollowStep step;
  };
  const Case cases[] = {
      {"nothing there yet", {}, FollowStep::wait},
      {"it appeared", {.at_path = kOld, .held = {}}, FollowStep::open},
      {"new bytes", {.at_path = kOld, .held = kOld, .offset = 90}, FollowStep::read},
      {"all read", {.at_path = kOld, .held = kOld, .offset = 100}, FollowStep::wait},
      {"only a part of a line",
       {.at_path = kOld, .held = kOld, .offset = 90, .seen_size = 100},
       FollowStep::wait},
      {"the line grew",
       {.at_path = kOld, .held = kOld, .offset = 90, .seen_size = 95},
       FollowStep::read},
      {"cut", {.at_path = kOld, .held = kOld, .offset = 101}, FollowStep::again},
      {"cut and longer again",
       {.at_path = kOld, .held = kOld, .same_content = false, .offset = 90},
       FollowStep::again},
      {"removed", {.at_path = {}, .held = kOld, .offset = 100}, FollowStep::wait},
      {"rotated, not read to its end",
       {.at_path = kNew, .held = kOld, .offset = 90},
       FollowStep::read},
      {"rotated, the new one is empty",
       {.at_path = sized(kNew, 0), .held = kOld, .offset = 100},
       FollowStep::wait},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    FileFollow follow;
    for (int i = 0; i < 2 * FileFollow::kQuietPolls; ++i) CHECK(follow.next(c.view) == c.step);
  }
}

TEST_CASE("a rotated file is left after it stayed quiet for a while") {
  FileFollow follow;
  const FollowView quiet{.at_path = kNew, .held = kOld, .offset = 100};
  const FollowView grown{.at_path = kNew, .held = sized(kOld, 110), .offset = 100};

  for (int i = 1; i < FileFollow::kQuietPolls; ++i) CHECK(follow.next(quiet) == FollowStep::wait);
  CHECK(follow.next(grown) == FollowStep::read);
  for (int i = 1; i < FileFollow::kQuietPolls; ++i) CHECK(follow.next(quiet) == FollowStep::wait);
  CHECK(follow.next(quiet) == FollowStep::next_file);
}

TEST_CASE("looking again at once is no sign of quiet") {
  FileFollow follow;
  const FollowView view{.at_path = kNew, .held = kOld, .offset = 100, .polled = false};

  for (int i = 0; i < 10 * FileFollow::kQuietPolls; ++i)
    CHECK(follow.next(view) == FollowStep::wait);
}

TEST_CASE("names that rotation makes") {
  struct Case {
    const char* name;
    RotatedName kind;
  };
  const Case cases[] = {
      {"a.log.1", RotatedName::plain},
      {"a.log-20261120", RotatedName::plain},
      {"a.log.2026-11-20", RotatedName::plain},
      {"a.log.1.gz", RotatedName::compressed},
      {"a.log-20261120.xz", RotatedName::compressed},
      {"a.log", RotatedName::no},
      {"a.log.bak", RotatedName::no},
      {"a.log.json", RotatedName::no},
      {"a.log2", RotatedName::no},
      {"a.log.", RotatedName::no},
      {"b.log.1", RotatedName::no},
      {"a.log.1.bak", RotatedName::no},
      {"a.log.gz", RotatedName::no},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    CHECK(rotated_name("a.log", c.name) == c.kind);
  }
}

RotatedFile file(const char* name, int64_t modified_ns, const char* head, uint64_t size = 9) {
  return {
      .name = name, .facts = {.id = {}, .size = size, .modified_ns = modified_ns}, .head = head};
}

TEST_CASE("files that were rotated meanwhile come in the order of their last change") {
  const RotatedFile read = file("a.log.3", 10, "one");
  const auto next = next_rotated("a.log",
                                 {file("a.log.1", 30, "three"), file("a.log.2", 20, "two"), read,
                                  file("a.log.bak", 15, "no"), file("a.log.4", 9, "zero")},
                                 read);
  REQUIRE(next.file);
  CHECK(next.file->name == "a.log.2");
  CHECK(next.compressed == 0);
  CHECK_FALSE(next_rotated("a.log", {read}, read).file);
}

TEST_CASE("the file that was read is not read again where it changed meanwhile") {
  RotatedFile read = file("a.log", 10, "one", 9);
  read.facts.id = {.device = 1, .inode = 5};
  RotatedFile grown = file("a.log.1", 11, "one", 12);
  grown.facts.id = read.facts.id;
  CHECK_FALSE(next_rotated("a.log", {grown}, read).file);
}

TEST_CASE("nothing was rotated after a file whose last change nobody knows") {
  CHECK_FALSE(next_rotated("a.log", {file("a.log.1", 30, "x")}, file("a.log", 0, "")).file);
}

TEST_CASE("a copy is not read, a compressed file is lost, an empty one is nothing") {
  const auto next = next_rotated("a.log",
                                 {file("a.log.1", 11, "one"), file("a.log.2.gz", 12, "\x1f\x8b"),
                                  file("a.log.4", 13, "", 0), file("a.log.3", 20, "one", 10)},
                                 file("a.log", 10, "one"));
  REQUIRE(next.file);
  CHECK(next.file->name == "a.log.3");
  CHECK(next.compressed == 1);
}

TEST_CASE("a bookmark is read back, and nothing else is one") {
  FilePlace place{.inode = 7, .offset = 600, .modified_ns = -3, .in_long_line = true};
  place.header = "a,b";
  place.counters = {.lines = 1, .bad_lines = 2, .readings = 3, .truncations = 4, .lost_files = 5};
  place.counters.cut_tails = 6;
  place.boot = "boot";
  place.ends.take(std::string(600, 'x'));
  place.checkpoints = {{.offset = 300, .fingerprint = FileEnds().fingerprint()}};

  const Bytes bytes = encode(place);
  const auto stored = decode_place(bytes);

  REQUIRE(stored);
  CHECK(stored->place.inode == 7);
  CHECK(stored->place.offset == 600);
  CHECK(stored->place.modified_ns == -3);
  CHECK(stored->place.in_long_line);
  CHECK(stored->place.header == "a,b");
  CHECK(stored->place.counters == place.counters);
  CHECK(stored->fingerprint == place.ends.fingerprint());
  CHECK(stored->place.boot == "boot");
  CHECK(stored->head == std::string(256, 'x'));
  REQUIRE(stored->place.checkpoints.size() == 1);
  CHECK(stored->place.checkpoints[0].offset == 300);
  CHECK(stored->place.checkpoints[0].fingerprint == FileEnds().fingerprint());
  for (size_t size = 0; size < bytes.size() - place.header.size(); ++size)
    CHECK_FALSE(decode_place(ByteView(bytes).first(size)));
  Bytes other = bytes;
  other[0] = 3;
  CHECK_FALSE(decode_place(other));
}

TEST_CASE("a bookmark of version 1 is read") {
  FilePlace place{.inode = 7, .offset = 3};
  place.ends.take("a\nb");
  Bytes bytes = encode(place);
  bytes[0] = 1;
  bytes.resize(98);
  bytes.insert(bytes.end(), {'x', ',', 'y'});

  const auto stored = decode_place(bytes);

  REQUIRE(stored);
  CHECK(stored->place.offset == 3);
  CHECK(stored->place.header == "x,y");
  CHECK(stored->fingerprint == place.ends.fingerprint());
  CHECK(stored->place.boot.empty());
}

TEST_CASE("checkpoints are few, dense near the place and never behind it") {
  FilePlace place;
  for (int chunk = 0; chunk < 100'000; ++chunk) {
    place.offset += 5'000;
    place.passed();
    REQUIRE(place.checkpoints.size() <= FilePlace::kCheckpointsMax);
  }
  const uint64_t end = place.offset;
  CHECK(place.checkpoints.back().offset == end);
  for (const uint64_t back : {5'000U, 20'000U, 1'000'000U, 50'000'000U}) {
    const bool near =
        std::any_of(place.checkpoints.begin(), place.checkpoints.end(), [&](const auto& each) {
          return end - each.offset >= back && end - each.offset <= 4 * back;
        });
    CHECK(near);
  }

  place.go_back(end - 6'000, {});

  CHECK(place.checkpoints.back().offset == end - 10'000);
}

TEST_CASE("the ends of what was read are the same however it was read") {
  std::string text;
  for (int i = 0; i < 500; ++i) text += std::to_string(i);
  FileEnds at_once;
  at_once.take(text);
  FileEnds in_parts;
  for (size_t at = 0; at < text.size(); at += 100) in_parts.take(text.substr(at, 100));

  CHECK(at_once == in_parts);
  CHECK(at_once.head == text.substr(0, 256));
  CHECK(at_once.tail == text.substr(text.size() - 256));
}

}  // namespace
}  // namespace ledgerline::agent
