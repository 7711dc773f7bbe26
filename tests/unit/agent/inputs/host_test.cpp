#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <utility>

#include "agent/inputs/host.h"
#include "agent/inputs/host_counters.h"
#include "common/io/system.h"

namespace ledgerline::agent {
namespace {

HostTexts sample() {
  return {
      .stat =
          "cpu  1000 20 300 99999 5 4 3 50 700 0\ncpu0 1000 20 300 99999 5 4 3 50 700 0\nintr 1 2 "
          "3\nctxt 5\n",
      .diskstats =
          "   7       0 loop0 10 0 80 1 0 0 0 0 0 1 1 0 0 0 0 0 0\n"
          "   1       0 ram0 1 0 8 0 0 0 0 0 0 0 0\n"
          " 259       0 nvme0n1 500 0 4000 9 300 0 2400 8 0 5 17 0 0 0 0 0 0\n"
          " 259       1 nvme0n1p1 400 0 3000 9 300 0 2400 8 0 5 17 0 0 0 0 0 0\n"
          "   8       0 sda 5 0 40 9 3 0 24 8 0 5 17\n"
          "   8       1 sda1 5 0 40 9 3 0 24 8 0 5 17\n"
          " 179       0 mmcblk0 1 0 8 0 1 0 16 0 0 0 0\n"
          " 179       2 mmcblk0p2 1 0 8 0 1 0 16 0 0 0 0\n"
          " 179       8 mmcblk0boot0 1 0 2 0 0 0 0 0 0 0 0\n"
          " 254       0 vda 1 0 2 0 0 0 6 0 0 0 0\n"
          " 253       0 dm-0 5 0 40 9 3 0 24 8 0 5 17\n"
          "   9       0 md0 5 0 40 9 3 0 24 8 0 5 17\n",
      .net_dev =
          "Inter-|   Receive                                                |  Transmit\n"
          " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs "
          "drop fifo colls carrier compressed\n"
          "    lo: 999999 10 0 0 0 0 0 0 999999 10 0 0 0 0 0 0\n"
          "  eth0:5000000000 10 0 0 0 0 0 0 7000000000 10 0 0 0 0 0 0\n"
          "veth12: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n"
          " wlan0: 12 1 0 0 0 0 0 0 34 1 0 0 0 0 0 0\n",
      .meminfo =
          "MemTotal:        4019520 kB\nMemFree:          100000 kB\nMemAvailable:    3019520 "
          "kB\nHugePages_Total:       0\n",
      .loadavg = "0.42 1.10 2.00 1/234 5678\n",
  };
}

std::vector<MeterRow> numbered() {
  auto rows = host_meters();
  for (size_t i = 0; i < rows.size(); ++i) rows[i].number = static_cast<uint32_t>(11 + i);
  return rows;
}

int64_t value_of(const std::vector<RecordItem>& items, uint32_t meter,
                 const DimensionSet& dimensions = {}) {
  for (const RecordItem& item : items) {
    if (item.reading.meter == meter && item.reading.dimensions == dimensions)
      return item.reading.value + item.reading.register_value;
  }
  return -1;
}

/// A folder like /proc; without a boot id where the text is empty.
class Machine {
 public:
  explicit Machine(const std::string& boot_id) {
    char name[] = "/tmp/ledgerline-host-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    proc = name;
    std::filesystem::create_directories(proc + "/net");
    std::filesystem::create_directories(proc + "/sys/kernel/random");
    const HostTexts texts = sample();
    std::ofstream(proc + "/stat") << texts.stat;
    std::ofstream(proc + "/diskstats") << texts.diskstats;
    std::ofstream(proc + "/net/dev") << texts.net_dev;
    std::ofstream(proc + "/meminfo") << texts.meminfo;
    std::ofstream(proc + "/loadavg") << texts.loadavg;
    if (!boot_id.empty()) std::ofstream(proc + "/sys/kernel/random/boot_id") << boot_id;
  }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() { std::filesystem::remove_all(proc); }
  std::string proc;
};

/// Keeps what asks to be recorded until the test answers.
class SlowRecorder final : public RecordPort {
 public:
  void record(RecordRequest request, std::function<void(RecordResult)> done) override {
    requests.push_back(std::move(request));
    waiting_ = std::move(done);
  }
  void answer(RecordResult result) { std::exchange(waiting_, nullptr)(std::move(result)); }
  std::vector<RecordRequest> requests;

 private:
  std::function<void(RecordResult)> waiting_;
};

class NoReports final : public ReportPort {
 public:
  void status(std::function<void(std::string)>) override {}
  void metrics(std::function<void(std::string)>) override {}
};

/// The input, measuring a machine every tenth of a second.
struct Host {
  Host(const Machine& machine, const std::map<std::string, Bytes>& bookmarks) {
    const std::string options = "interval = \"100ms\"\nproc = \"" + machine.proc + "\"\n";
    input = *prepare_host_input(*TomlTable::parse(options, "agent.toml"), "/");
    REQUIRE(input->start({.runtime = runtime,
                          .clock = clock,
                          .recorder = recorder,
                          .reports = reports,
                          .holds = holds,
                          .app_meters = {},
                          .own_meters = numbered(),
                          .bookmarks = bookmarks}));
  }
  void measure() {
    const size_t before = recorder.requests.size();
    while (recorder.requests.size() == before) runtime.context().run_one();
  }

  io::Runtime runtime;
  io::SystemClock clock;
  SlowRecorder recorder;
  NoReports reports;
  PromiseHolds holds;
  std::unique_ptr<Input> input;
};

TEST_CASE("the machine's counters become exact readings") {
  const auto items =
      read_host_counters(sample(), numbered(), {.ticks_per_second = 100, .now = {77}});

  REQUIRE(items);
  CHECK(value_of(*items, 11) == 1000 + 20 + 300 + 4 + 3);
  CHECK(value_of(*items, 12, {{"device", "nvme0n1"}}) == 4000 * 512);
  CHECK(value_of(*items, 13, {{"device", "nvme0n1"}}) == 2400 * 512);
  CHECK(value_of(*items, 12, {{"device", "sda"}}) == 40 * 512);
  CHECK(value_of(*items, 12, {{"device", "mmcblk0boot0"}}) == 2 * 512);
  CHECK(value_of(*items, 13, {{"device", "vda"}}) == 6 * 512);
  CHECK(value_of(*items, 14, {{"interface", "eth0"}}) == 5'000'000'000);
  CHECK(value_of(*items, 15, {{"interface", "eth0"}}) == 7'000'000'000);
  CHECK(value_of(*items, 15, {{"interface", "wlan0"}}) == 34);
  CHECK(value_of(*items, 16) == 1'000'000 * 1024);
  CHECK(value_of(*items, 17) == 42);
  for (const char* skipped : {"loop0", "ram0", "nvme0n1p1", "sda1", "mmcblk0p2", "dm-0", "md0"}) {
    INFO(skipped);
    CHECK(value_of(*items, 12, {{"device", skipped}}) == -1);
  }
  CHECK(value_of(*items, 14, {{"interface", "lo"}}) == -1);
  CHECK(value_of(*items, 14, {{"interface", "veth12"}}) == -1);
  CHECK(items->size() == 1 + 5 * 2 + 2 * 2 + 2);
  for (const RecordItem& item : *items) {
    CHECK(item.reading.monotonic_time);
    CHECK(item.reading.time_ms == 77);
    CHECK(item.key.empty());
  }
}

TEST_CASE("the clock tick of another architecture is honoured") {
  const auto items =
      read_host_counters(sample(), numbered(), {.ticks_per_second = 1024, .now = {}});

  REQUIRE(items);
  CHECK(value_of(*items, 11) == 1327 * 100 / 1024);
}

TEST_CASE("text that Linux would not write is refused by file") {
  struct Case {
    const char* what;
    void (*spoil)(HostTexts&);
    const char* words;
  };
  const Case cases[] = {
      {"no cpu line", [](HostTexts& t) { t.stat = "intr 1\n"; }, "no cpu line"},
      {"short cpu line", [](HostTexts& t) { t.stat = "cpu 1 2 3\n"; }, "fewer than 7"},
      {"words in stat", [](HostTexts& t) { t.stat = "cpu x 2 3 4 5 6 7 8\n"; }, "file=stat"},
      {"negative in stat", [](HostTexts& t) { t.stat = "cpu -1 2 3 4 5 6 7 8\n"; }, "file=stat"},
      {"overflow in stat", [](HostTexts& t) { t.stat = "cpu 9223372036854775807 2 3 4 5 6 7 8\n"; },
       "64 bits"},
      {"short diskstats", [](HostTexts& t) { t.diskstats = "8 0 sda 1 2\n"; }, "file=diskstats"},
      {"overflow in diskstats",
       [](HostTexts& t) { t.diskstats = "8 0 sda 5 0 36028797018963968 9 3 0 24 8\n"; }, "64 bits"},
      {"short net/dev", [](HostTexts& t) { t.net_dev = "eth0: 1 2 3\n"; }, "file=net/dev"},
      {"no MemAvailable", [](HostTexts& t) { t.meminfo = "MemTotal: 5 kB\n"; }, "MemAvailable"},
      {"empty loadavg", [](HostTexts& t) { t.loadavg = ""; }, "file=loadavg"},
      {"words in loadavg", [](HostTexts& t) { t.loadavg = "high 1 2\n"; }, "file=loadavg"},
      {"negative load", [](HostTexts& t) { t.loadavg = "-1.00 1 2\n"; }, "out of range"},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    HostTexts texts = sample();
    c.spoil(texts);
    const auto items = read_host_counters(texts, numbered(), {.ticks_per_second = 100, .now = {}});
    REQUIRE_FALSE(items);
    INFO(items.error().text());
    CHECK(items.error().text().find(c.words) != std::string::npos);
  }
}

TEST_CASE("a machine without disks and networks still has a processor") {
  HostTexts texts = sample();
  texts.diskstats.clear();
  texts.net_dev.clear();

  CHECK(read_host_counters(texts, numbered(), {.ticks_per_second = 100, .now = {}})->size() == 3);
}

TEST_CASE("counters of another boot count from 0, until that is recorded") {
  struct Case {
    const char* what;
    std::map<std::string, Bytes> bookmarks;
    bool restarted;
  };
  const Case cases[] = {
      {"no boot known", {}, false},
      {"the same boot", {{"host:boot_id", copy_of(bytes_of("boot-2"))}}, false},
      {"another boot", {{"host:boot_id", copy_of(bytes_of("boot-1"))}}, true},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    const Machine machine("boot-2\n");
    Host host(machine, c.bookmarks);
    REQUIRE(host.recorder.requests.size() == 1);
    for (int refused = 0; refused < 2; ++refused) {
      host.recorder.answer(tl::unexpected<RecordRefusal>({.code = Errc::full}));
      host.measure();
    }
    const RecordRequest third = host.recorder.requests.back();
    CHECK_FALSE(third.can_wait);
    for (const auto& item : third.items) CHECK(item.restarted == c.restarted);
    const bool known = !c.bookmarks.empty() && !c.restarted;
    REQUIRE(third.bookmark.has_value() == !known);
    if (third.bookmark) CHECK(third.bookmark->value == copy_of(bytes_of("boot-2")));

    host.recorder.answer(RecordAnswer{});
    host.measure();
    CHECK_FALSE(host.recorder.requests.back().bookmark);
    for (const auto& item : host.recorder.requests.back().items) CHECK_FALSE(item.restarted);
    host.recorder.answer(RecordAnswer{});
  }
}

TEST_CASE("a machine that does not tell its boot is measured all the same") {
  const Machine machine("");
  Host host(machine, {{"host:boot_id", copy_of(bytes_of("boot-1"))}});
  REQUIRE(host.recorder.requests.size() == 1);
  CHECK_FALSE(host.recorder.requests[0].bookmark);
  CHECK_FALSE(host.recorder.requests[0].items[0].restarted);
  host.recorder.answer(RecordAnswer{});
}

TEST_CASE("the interval has bounds") {
  for (const char* text :
       {"interval = \"1ms\"", "interval = \"2h\"", "intervall = \"10s\"", "interval = 10"}) {
    INFO(text);
    auto table = TomlTable::parse(text, "agent.toml");
    REQUIRE(table);
    CHECK_FALSE(prepare_host_input(*table, "/"));
  }
  CHECK(prepare_host_input(*TomlTable::parse("", "agent.toml"), "/"));
}

TEST_CASE("every input is found by its name") {
  for (const InputKind& kind : input_kinds()) CHECK(find_input_kind(kind.name) == &kind);
  CHECK(find_input_kind("modbus") == nullptr);
}

}  // namespace
}  // namespace ledgerline::agent
