#include <chrono>
#include <fstream>

#include "agent/inputs/followed_file.h"
#include "agent/journal/group_commit.h"
#include "tests/unit/agent/journal/fixture.h"

namespace ledgerline::agent {
namespace {

namespace fs = std::filesystem;
using test::Device;

class NoReports final : public ReportPort {
 public:
  void status(std::function<void(std::string)> done) override { done("{}"); }
  void metrics(std::function<void(std::string)> done) override { done(""); }
};

/// Lines "subject value", and "subject value time" where the time is trusted.
FileOptions options_of(const std::string& path, bool trust_time = false) {
  FileOptions out{.path = path, .rules = {}, .poll = Duration(1)};
  out.rules.shape.format = LineFormat::columns;
  out.rules.fields = {"1", "2"};
  out.rules.readings = {{.meter = "calls",
                         .value = {.field = 1, .text = ""},
                         .skip = {},
                         .subject = TextOrField{.field = 0, .text = ""}}};
  if (trust_time) {
    out.rules.fields.emplace_back("3");
    out.rules.time = LineTime{.form = LineTime::Form::unix_s};
    out.rules.time_field = 2;
    out.rules.trust_time = true;
  }
  return out;
}

/// One start of the agent with this one input; its end is as sudden as a kill.
class Run {
  // Before `file`, which uses them until its end.
  Device& device_;
  io::Runtime runtime_;
  GroupCommit commits_;
  NoReports reports_;
  bool started_ = false;

 public:
  Run(Device& device, const FileOptions& options)
      : device_(device),
        commits_(runtime_, device.clock, *device.journal, *device.signer, {},
                 [](const Error& error) { FAIL(error.text()); }) {
    auto opened = FollowedFile::open(options, {.runtime = runtime_,
                                               .clock = device.clock,
                                               .recorder = commits_,
                                               .reports = reports_,
                                               .holds = holds,
                                               .app_meters = {{.number = 1, .name = "calls"}},
                                               .own_meters = {},
                                               .bookmarks = *device.journal->bookmarks()});
    if (!opened) FAIL(opened.error().text());
    file = std::move(*opened);
  }
  ~Run() {
    file->stop();
    runtime_.storage().join();
  }

  void start() {
    if (!started_) file->start();
    started_ = true;
  }
  void until(const std::function<bool()>& done) {
    start();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(5);
    while (!done()) {
      runtime_.context().run_one();
      if (std::chrono::steady_clock::now() > deadline) FAIL(file->status().dump());
    }
    // What the last commit left to do on the storage thread, and what that started: the test looks
    // into the journal next.
    for (int round = 0; round < 2; ++round) rest();
  }
  void until_lines(uint64_t lines) {
    until([&] { return file->counters().lines >= lines; });
  }
  void until_idle() {
    until([&] { return state() == "following"; });
  }
  [[nodiscard]] std::string state() const { return text("state"); }
  [[nodiscard]] std::string text(const char* member) const {
    return file->status().find(member)->text();
  }

  PromiseHolds holds;
  std::unique_ptr<FollowedFile> file;

 private:
  void rest() {
    bool rested = false;
    io::on_storage(
        runtime_, [] { return true; }, [&](bool) { rested = true; });
    while (!rested) runtime_.context().run_one();
  }
};

struct World {
  Device device;
  test::TemporaryFolder folder;
  std::string path = folder.path() + "/a.log";

  void append(const std::string& text, const std::string& to = "") {
    std::ofstream(to.empty() ? path : to, std::ios::app) << text;
  }
  void rename(const std::string& to) { fs::rename(path, folder.path() + "/" + to); }
  [[nodiscard]] int64_t sum() const {
    const auto totals = device.status().totals;
    return totals.empty() ? 0 : static_cast<int64_t>(totals[0].second);
  }
  [[nodiscard]] uint64_t readings() const { return device.status().next_seq - 1; }
  void age(const std::string& name, int hours) const {
    const fs::path file = folder.path() + "/" + name;
    fs::last_write_time(file, fs::last_write_time(file) - std::chrono::hours(hours));
  }
};

TEST_CASE("lines are metered as they are written, each once, over restarts") {
  World w;
  w.append("a 1\nb 2\nc");
  {
    Run run(w.device, options_of(w.path));
    run.until_lines(2);
    run.until_idle();
    CHECK(w.sum() == 3);
    w.append(" 4\nd 8\n");
    run.until_lines(4);
  }
  CHECK(w.sum() == 15);
  w.device.open();
  w.append("e 16\n");
  Run run(w.device, options_of(w.path));
  run.until_lines(5);
  run.until_idle();
  CHECK(w.sum() == 31);
  CHECK(w.readings() == 5);
}

TEST_CASE("a restart in the middle of a long file goes on at the last committed line") {
  World w;
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "a 1\n";
  w.append(text);

  for (uint64_t lines = 1; lines < 20'000; lines += 4'000) {
    Run run(w.device, options_of(w.path));
    run.until_lines(lines);
  }
  w.device.open();
  Run run(w.device, options_of(w.path));
  run.until_idle();

  CHECK(w.sum() == 20'000);
  CHECK(w.readings() == 20'000);
}

TEST_CASE("a file that appears later is read from its beginning") {
  World w;
  Run run(w.device, options_of(w.path));
  run.until([&] { return run.state() == "waiting for the file"; });
  w.append("a 1\n");
  run.until_lines(1);
  CHECK(w.sum() == 1);
}

TEST_CASE("a file that was written and rotated before the first look at it is read too") {
  World w;
  w.device.clock.wall = Timestamp(1'000'000'000'000);  // before the files' times
  { const Run killed_at_once(w.device, options_of(w.path)); }
  w.append("a 1\n");
  w.rename("a.log.1");
  w.age("a.log.1", 1);
  w.append("b 2\n");
  w.device.open();

  Run run(w.device, options_of(w.path));
  run.until_lines(2);

  CHECK(w.sum() == 3);
}

TEST_CASE("a rotated file is read to its end before the new one") {
  World w;
  w.append("a 1\n");
  Run run(w.device, options_of(w.path));
  run.until_idle();
  w.append("b 2\n");
  w.rename("a.log.1");
  w.append("c 4\n");
  w.append("d 8\nhalf", w.folder.path() + "/a.log.1");

  run.until_lines(5);
  run.until_idle();

  CHECK(w.sum() == 15);
  CHECK(run.file->counters() == FileCounters{.lines = 5, .bad_lines = 1, .readings = 4});
}

TEST_CASE("files that were rotated while the agent was down are read in their order") {
  World w;
  w.append("a 1\nb 2\n");
  {
    Run run(w.device, options_of(w.path));
    run.until_idle();
  }
  w.append("c 4\n");
  w.rename("a.log.3");
  w.append("d 8\n");
  w.rename("a.log.2");
  w.append("e 16\n");
  w.rename("a.log.1");
  w.append("f 32\n");
  w.append("x 1000\n", w.folder.path() + "/a.log.4");
  w.append("x 1000\n", w.folder.path() + "/a.log.2.bak");
  for (const auto& [name, hours] :
       {std::pair("a.log.4", 9), {"a.log.3", 3}, {"a.log.2", 2}, {"a.log.1", 1}})
    w.age(name, hours);
  // What was read of the first file was read before its last change.
  w.device.open();

  Run run(w.device, options_of(w.path));
  run.until_lines(6);
  run.until_idle();

  CHECK(w.sum() == 63);
  CHECK(run.file->counters() == FileCounters{.lines = 6, .readings = 6});
}

TEST_CASE("a file that is gone before it was read to its end is lost and said so") {
  World w;
  w.append("a 1\n");
  {
    Run run(w.device, options_of(w.path));
    run.until_idle();
  }
  w.append("b 2\n");
  w.rename("gone");
  w.append("c 4\n");
  fs::remove(w.folder.path() + "/gone");
  w.device.open();

  Run run(w.device, options_of(w.path));
  run.until_lines(2);

  CHECK(w.sum() == 5);
  CHECK(run.file->counters().lost_files == 1);
}

TEST_CASE("a file that was cut is read from its beginning, also where it is longer again") {
  for (const std::string again : {"b 2\n", "b 2\nc 4\nd 8\n"}) {
    INFO(again);
    World each;
    each.append("a 1\na 1\n");
    Run run(each.device, options_of(each.path));
    run.until_idle();
    std::ofstream(each.path, std::ios::trunc) << again;
    run.until([&] { return run.file->counters().truncations >= 1; });
    run.until_idle();
    CHECK(each.sum() == (again.size() == 4 ? 4 : 16));
  }
}

TEST_CASE("a cut is not forgotten where it could not be acted on at once") {
  World w;
  w.append("a 1\na 1\n");
  Run run(w.device, options_of(w.path));
  run.until_idle();
  w.rename("a.log.1");
  fs::create_directory(w.path);
  std::ofstream(w.folder.path() + "/a.log.1", std::ios::trunc) << "b 2\nc 4\n";  // as long
  run.until([&] { return run.file->failing(); });
  fs::remove(w.path);
  fs::rename(w.folder.path() + "/a.log.1", w.path);

  run.until([&] { return !run.file->failing(); });
  run.until_idle();

  CHECK(w.sum() == 8);
  CHECK(run.file->counters().truncations == 1);
}

TEST_CASE("a file cut and written again within one tick of its clock is noticed") {
  World w;
  w.append("a 1\na 1\n");
  const auto tick = fs::last_write_time(w.path);
  w.device.clock.wall = Timestamp((*facts_at(w.path))->modified_ns / 1'000'000 + 1);
  Run run(w.device, options_of(w.path));
  run.until_lines(2);
  run.until_idle();
  w.device.clock.wall = w.device.clock.wall + Duration(250);
  std::ofstream(w.path, std::ios::trunc) << "b 2\nc 4\n";
  fs::last_write_time(w.path, tick);

  run.until_lines(4);

  CHECK(w.sum() == 8);
}

TEST_CASE("what a copy holds of a file that was cut is read there") {
  World w;
  w.append("a 1\n");
  {
    Run run(w.device, options_of(w.path));
    run.until_idle();
  }
  w.append("b 2\n");
  fs::copy_file(w.path, w.folder.path() + "/a.log.1");
  std::ofstream(w.path, std::ios::trunc) << "c 4\n";
  w.device.open();

  Run run(w.device, options_of(w.path));
  run.until_lines(3);
  run.until_idle();

  CHECK(w.sum() == 7);
  CHECK(w.readings() == 3);
}

std::string numbered_lines(int from, int to) {
  std::string out;
  for (int i = from; i < to; ++i) out += "subject-" + std::to_string(10'000 + i) + " 1\n";  // 16
  return out;
}

FileOptions in_boot(const std::string& path, const std::string& boot_id) {
  FileOptions out = options_of(path);
  out.boot_id = boot_id;
  return out;
}

TEST_CASE("what a power cut took from the end of a file that was read is not metered again") {
  struct Case {
    const char* what;
    std::string left;
    const char* boot;
    int64_t sum;
    FileCounters events;
  };
  const std::string first = numbered_lines(0, 512);  // 8 KiB, and a checkpoint behind it
  const Case cases[] = {
      {"the end is gone", first + "subject-10512 1\nsubj", "two", 1000, {.cut_tails = 1}},
      {"other bytes instead of it",
       first + std::string(9000, '\0') + "\nx 7\n",
       "two",
       1000 + 7,
       {.bad_lines = 1, .cut_tails = 1}},
      {"more is gone than the checkpoint", numbered_lines(0, 400), "two", 1000, {.cut_tails = 1}},
      {"the same boot: it was cut", first, "one", 1512, {.truncations = 1}},
      {"a boot that is not known", first, "", 1512, {.truncations = 1}},
      {"another file", numbered_lines(1, 513), "two", 1512, {.truncations = 1}},
      {"rewritten with the same beginning",
       numbered_lines(0, 20) + numbered_lines(30, 542),
       "two",
       1532,
       {.truncations = 1}},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    World w;
    {
      Run run(w.device, in_boot(w.path, "one"));
      w.append(first);
      run.until_lines(512);
      w.append(numbered_lines(512, 1000));
      run.until_lines(1000);
      run.until_idle();
    }
    std::ofstream(w.path, std::ios::trunc) << c.left;
    w.device.open();

    Run run(w.device, in_boot(w.path, c.boot));
    run.until_idle();

    CHECK(w.sum() == c.sum);
    const FileCounters& counters = run.file->counters();
    CHECK(counters.bad_lines == c.events.bad_lines);
    CHECK(counters.cut_tails == c.events.cut_tails);
    CHECK(counters.truncations == c.events.truncations);
  }
}

TEST_CASE(
    "after a power cut the lines that follow are metered, and a second start changes nothing") {
  World w;
  w.append("a 1\nb 2\nc 4\n");
  {
    Run run(w.device, in_boot(w.path, "one"));
    run.until_lines(3);
  }
  std::ofstream(w.path, std::ios::trunc) << "a 1\nb";
  for (int start = 0; start < 2; ++start) {
    w.device.open();
    Run run(w.device, in_boot(w.path, "two"));
    run.until_idle();
    run.until([&] { return run.file->counters().cut_tails == 1; });
    CHECK(w.sum() == 7);
  }
  w.device.open();
  w.append(" 2\nd 8\n");

  Run run(w.device, in_boot(w.path, "two"));
  run.until_lines(5);

  CHECK(w.sum() == 17);
  CHECK(run.file->counters().cut_tails == 1);
}

TEST_CASE("an inode that is used again is another file") {
  World w;
  w.append("a 1\nb 2\n");
  {
    Run run(w.device, options_of(w.path));
    run.until_idle();
  }
  std::ofstream(w.path, std::ios::trunc) << "c 4\nd 8\ne 16\n";  // same inode, and longer
  w.device.open();

  Run run(w.device, options_of(w.path));
  run.until_lines(5);
  CHECK(w.sum() == 31);
}

TEST_CASE("files rotated before a reused inode was found are read before it") {
  World w;
  w.append("a 1\nb 2\n");
  {
    Run run(w.device, options_of(w.path));
    run.until_idle();
  }
  w.append("c 4\n", w.folder.path() + "/a.log.1");
  w.append("x 1000\n", w.folder.path() + "/a.log.2");
  w.age("a.log.2", 9);
  std::ofstream(w.path, std::ios::trunc) << "d 8\n";  // same inode
  w.device.open();

  Run run(w.device, options_of(w.path));
  run.until_lines(4);
  run.until_idle();

  CHECK(w.sum() == 15);
  CHECK(run.file->counters().lost_files == 1);
}

TEST_CASE("old rotated files are not read again where the file begun is gone") {
  World w;
  w.append("a 1\n");
  w.append("x 1000\n", w.folder.path() + "/a.log.2");
  w.age("a.log.2", 9);
  {
    Run run(w.device, options_of(w.path));
    run.until_idle();
    w.rename("a.log.1");
    w.append("b");  // begun, and no line of it read
    run.until([&] { return run.text("size") == "1" && run.text("offset") == "0"; });
  }
  w.append("c 4\n", w.path + "~");
  fs::rename(w.path + "~", w.path);
  w.device.open();

  Run run(w.device, options_of(w.path));
  run.until_lines(2);
  run.until_idle();

  CHECK(w.sum() == 5);
}

TEST_CASE("a name that means another file by now is looked at again") {
  World w;
  w.append("a 1\n");
  const auto seen = *facts_at(w.path);
  CHECK(open_seen(w.path, seen)->has_value());
  CHECK(open_seen(w.path, std::nullopt)->has_value());
  CHECK_FALSE(open_seen(w.path + "x", std::nullopt)->has_value());

  w.append("b 1\n", w.path + "~");
  fs::rename(w.path, w.path + ".1");
  CHECK(open_seen(w.path, seen).error().code() == Errc::retry);
  fs::rename(w.path + "~", w.path);
  CHECK(open_seen(w.path, seen).error().code() == Errc::retry);
}

TEST_CASE("lines that do not parse and lines that the recorder refuses are counted and kept") {
  World w;
  w.append("a 1\nb x\n" + std::string(2000, 's') + " 2\nc 4\n");
  Run run(w.device, options_of(w.path));
  run.until_lines(4);
  run.until_idle();

  CHECK(w.sum() == 5);
  CHECK(run.file->counters() == FileCounters{.lines = 4, .bad_lines = 2, .readings = 2});
  const Json status = run.file->status();
  const auto& bad = status.find("newest_bad")->items();
  REQUIRE(bad.size() == 2);
  CHECK(bad[0].find("line")->text() == "b x");
  CHECK(bad[0].find("offset")->text() == "4");
  CHECK(bad[1].find("reason")->text().find("subject") == 0);
}

TEST_CASE("a journal that takes nothing more delays the lines and loses none") {
  uint64_t free = 0;
  JournalOptions options;
  options.disk_free = [&free](const std::string&) -> Result<uint64_t> { return free; };
  free = uint64_t{1} << 40;
  World w{.device = Device(options), .folder = {}};
  Run run(w.device, options_of(w.path));
  run.start();
  free = 0;
  w.append("a 1\n");
  run.until([&] { return run.file->pushed_back() > 0; });
  CHECK(run.state() == "waiting for the journal");
  CHECK(w.sum() == 0);
}

TEST_CASE("the promise is held until an old file is read, then follows its lines") {
  World w;
  w.append("a 1 1700000000\na 1 1600000000\n");
  Run run(w.device, options_of(w.path, true));
  REQUIRE(run.holds.earliest() == Timestamp());  // before anything else runs

  run.until_idle();
  CHECK_FALSE(run.holds.earliest());

  std::string text;
  for (int i = 0; i < 10'000; ++i) text += "a 1 1700000001\n";
  w.append(text);
  std::optional<Timestamp> held;
  run.until([&] {
    held = run.holds.earliest();
    return held.has_value();
  });
  CHECK(held == Timestamp(1'700'000'000'000));
  run.until_lines(10'002);
  run.until_idle();
  CHECK_FALSE(run.holds.earliest());
}

TEST_CASE("a file that grows all the time holds the promise at its lines once it was read") {
  World w;
  w.append("a 1 1700000000\n");
  Run run(w.device, options_of(w.path, true));

  std::optional<Timestamp> held;
  run.until([&] {
    w.append("a 1 1700000001\n");  // before every look
    held = run.holds.earliest();
    return held && *held > Timestamp();
  });

  CHECK(run.state() == "catching up");
  CHECK(*held >= Timestamp(1'700'000'000'000));
}

TEST_CASE("one line from the future lifts the hold to now at most, and for its lines only") {
  World w;
  w.append("a 1 1700000000\n");
  Run run(w.device, options_of(w.path, true));
  run.until_idle();
  std::string text = "a 1 4000000000\n";
  for (int i = 0; i < 100'000; ++i) text += "a 1 1700000001\n";
  w.append(text);

  std::vector<Timestamp> holds;
  run.until([&] {
    if (const auto held = run.holds.earliest(); held && (holds.empty() || holds.back() != *held))
      holds.push_back(*held);
    return run.file->counters().lines == 100'002;
  });

  CHECK(holds == std::vector<Timestamp>{Timestamp(1'700'000'000'000), w.device.clock.wall,
                                        Timestamp(1'700'000'001'000)});
}

TEST_CASE("an input without times of its own holds no promise") {
  World w;
  w.append("a 1\n");
  Run run(w.device, options_of(w.path));
  CHECK_FALSE(run.holds.earliest());
}

}  // namespace
}  // namespace ledgerline::agent
