// Batches by subject out of the journal: whole, within the limit of sections, in order.

#include "tests/unit/agent/journal/fixture.h"

using namespace ledgerline;
using namespace ledgerline::agent;
using namespace ledgerline::agent::test;

namespace {

RecordItem of(const std::string& subject, int64_t value) {
  RecordItem out = calls(value);
  out.reading.subject = subject;
  return out;
}

/// `count` readings, of the device and of `subjects` others in turn, counted on from `first`.
RecordRequest mixed(size_t count, size_t subjects, size_t first = 0) {
  RecordRequest out;
  for (size_t i = first; i < first + count; ++i) {
    const size_t subject = i % (subjects + 1);
    out.items.push_back(
        of(subject == 0 ? "" : "s" + std::to_string(subject), static_cast<int64_t>(i)));
  }
  return out;
}

std::vector<size_t> sections_of(Device& device) {
  std::vector<size_t> out;
  for (const auto& stored : device.batches()) {
    const auto open = open_envelope(stored.sealed);
    REQUIRE(open);
    for (const auto& section : open->manifest.sections) REQUIRE(section.tag);
    out.push_back(open->sections.size());
  }
  return out;
}

}  // namespace

TEST_CASE("a journal by subject seals a section per subject, with every reading in its place") {
  Device device({.batch = {.sections = Sections::by_subject}});
  for (size_t i = 0; i < 5; ++i) device.seqs(mixed(40, 3, i * 40));

  REQUIRE(device.seal() == 1);

  REQUIRE(sections_of(device) == std::vector<size_t>{4});
  const auto values = verified_values(device);
  REQUIRE(values.size() == 200);
  for (size_t i = 0; i < values.size(); ++i) REQUIRE(values[i] == static_cast<int64_t>(i));
}

TEST_CASE("runs are merged as long as there is a section for each subject") {
  Device device({.batch = {.sections = Sections::by_subject}});
  for (size_t n = 0; n < 5; ++n) {
    RecordRequest run;
    for (size_t i = 0; i < 20; ++i) run.items.push_back(of("s" + std::to_string(n * 20 + i), 1));
    device.seqs(run);
  }

  REQUIRE(device.seal() == 2);

  // Boot records and 60 subjects; the fourth run would need 80.
  REQUIRE(sections_of(device) == std::vector<size_t>{61, 41});
  REQUIRE(verified_values(device).size() == 100);
}

TEST_CASE("one run of more subjects than a batch has sections is cut") {
  Device device({.batch = {.sections = Sections::by_subject}});
  device.seqs(mixed(300, 299));

  device.seal();

  const auto sections = sections_of(device);
  // The boot's, and no more batches than 299 subjects need.
  REQUIRE(sections.size() == 6);
  for (const size_t count : sections) REQUIRE(count <= kSectionsMax);
  REQUIRE(verified_values(device).size() == 300);
}

TEST_CASE("a journal goes on by subject where it was not before") {
  Device device;
  device.seqs(mixed(30, 3));
  device.seal();
  device.seqs(mixed(30, 3, 30));
  device.options.batch.sections = Sections::by_subject;
  device.open();

  device.seal();

  REQUIRE(verified_values(device).size() == 60);
  const auto batches = device.batches();
  REQUIRE_FALSE(open_envelope(batches.front().sealed)->manifest.sections.front().tag);
  REQUIRE(open_envelope(batches.back().sealed)->sections.size() == 4);
}
