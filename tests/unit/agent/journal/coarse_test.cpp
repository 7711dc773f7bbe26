// A full journal goes on counting what cannot wait.

#include "common/columns.h"
#include "tests/unit/agent/journal/fixture.h"

using namespace ledgerline;
using namespace ledgerline::agent;
using namespace ledgerline::agent::test;

namespace {

/// A device whose disk is full or not as the test says.
struct FullDevice {
  FullDevice() : device(options_with(disk_free)) {}
  static JournalOptions options_with(const uint64_t& disk_free) {
    JournalOptions options;
    options.disk_free = [&disk_free](const std::string&) -> Result<uint64_t> { return disk_free; };
    return options;
  }
  RecordResult urgent(std::vector<RecordItem> items) {
    RecordRequest one = request(std::move(items));
    one.can_wait = false;
    return device.record(std::move(one));
  }
  void set_full(bool full) { disk_free = full ? 1 << 20 : 1 << 30; }

  uint64_t disk_free = 1 << 30;
  Device device;
};

std::vector<Coarsened> coarsened_in(Device& device) {
  std::vector<Coarsened> out;
  MeterRows meters;
  for (const auto& stored : device.batches()) {
    const auto columns = open_columns(*open_envelope(stored.sealed), meters);
    REQUIRE(apply_meter_tables(columns->records, meters).has_value());
    for (const auto& record : columns->records) {
      if (const auto* said = std::get_if<Coarsened>(&record.kind)) out.push_back(*said);
    }
  }
  return out;
}

}  // namespace

TEST_CASE("a full journal merges what cannot wait and refuses the rest") {
  FullDevice full;
  full.urgent({raw(1'000)});
  full.set_full(true);

  const std::vector<RecordRequest> group = [] {
    std::vector<RecordRequest> out = {request({calls(1)}), request({raw(1'010), calls(4)}),
                                      request({calls(2, "key")})};
    out[1].can_wait = false;
    out[2].can_wait = false;  // but it has a key: whoever made it can ask again
    return out;
  }();
  const auto answers = full.device.journal->record(group);

  REQUIRE((*answers)[0].error().code == Errc::full);
  REQUIRE((*answers)[1]->seqs == std::vector<Seq>{2, 3});
  REQUIRE((*answers)[2].error().code == Errc::full);
  REQUIRE(full.urgent({raw(5), calls(3)})->seqs == std::vector<Seq>{2, 3});
  REQUIRE(full.device.status().totals == Totals{{1, 7}, {2, 15}});
  REQUIRE(full.device.status().next_seq == 4);
  REQUIRE(full.device.journal->heartbeat()->coarsening);
}

TEST_CASE("a full journal keeps the bookmark of what cannot wait, with its readings") {
  FullDevice full;
  full.urgent({raw(100)});
  full.set_full(true);
  RecordRequest marked = request({raw(600)});
  marked.items[0].restarted = true;
  marked.can_wait = false;
  marked.bookmark = {.name = "host:boot_id", .value = copy_of(bytes_of("b"))};

  REQUIRE(full.device.record(marked).has_value());

  REQUIRE(full.device.status().totals == Totals{{2, 600}});
  REQUIRE(full.device.journal->bookmarks()->at("host:boot_id") == copy_of(bytes_of("b")));
}

TEST_CASE("what was merged is sealed once there is room, adds up, and says what it is") {
  FullDevice full;
  full.urgent({calls(1)});
  full.set_full(true);
  for (int i = 0; i < 100; ++i) REQUIRE(full.urgent({calls(2), raw(1'000 + i)}));
  full.device.seal();
  REQUIRE(full.device.status().sealed_upto == 1);

  full.set_full(false);
  full.device.seal();

  REQUIRE(verified_values(full.device) == std::vector<int64_t>{1, 200, 99});
  const auto said = coarsened_in(full.device);
  REQUIRE(said.size() == 1);
  REQUIRE(said.front().readings == 2);
  REQUIRE(said.front().measurements == 200);
  REQUIRE(!full.device.journal->heartbeat()->coarsening);
  REQUIRE(full.urgent({calls(1)})->seqs == std::vector<Seq>{4});
}

TEST_CASE("a restart while full keeps every count") {
  FullDevice full;
  full.urgent({raw(100)});
  full.set_full(true);
  full.urgent({raw(150), calls(3)});

  full.device.open();
  full.urgent({raw(10), calls(4)});
  full.device.open();

  full.set_full(false);
  full.urgent({calls(5)});
  full.device.seal();
  Totals totals;
  verified_values(full.device, &totals);
  REQUIRE(totals == Totals{{1, 12}, {2, 60}});
  REQUIRE(coarsened_in(full.device).size() == 2);  // a boot record stands between
}

TEST_CASE("a replaced gauge level leaves the sum of readings") {
  FullDevice full;
  full.set_full(true);
  full.urgent({level(70)});
  full.urgent({level(80), calls(6)});

  full.set_full(false);
  full.device.seal();

  REQUIRE(full.device.status().totals == Totals{{1, 6}, {3, 80}});
  REQUIRE(verified_values(full.device) == std::vector<int64_t>{80, 6});
}

TEST_CASE("the reserve has an end: then it is refused, and sealing still works") {
  FullDevice full;
  full.device.options.retention.reserve_bytes = 8 << 20;
  full.set_full(true);
  size_t taken = 0;
  for (int i = 0; i < 300; ++i) {
    std::vector<RecordItem> items(50, calls(1));
    for (size_t k = 0; k < items.size(); ++k)
      items[k].reading.subject = std::to_string(i * 50 + static_cast<int>(k));
    const auto answer = full.urgent(items);
    if (answer) taken += items.size();
    if (!answer) REQUIRE(answer.error().code == Errc::full);
  }
  REQUIRE(taken >= 4'000);
  REQUIRE(taken <= Columns::kReadingsMax);
  full.set_full(false);
  full.device.seal();
  REQUIRE(verified_values(full.device).size() == taken);
}
