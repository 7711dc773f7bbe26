#include "agent/inputs/statsd.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "agent/journal/group_commit.h"
#include "common/io/datagrams.h"
#include "tests/unit/agent/journal/fixture.h"

namespace ledgerline::agent {
namespace {

using test::Device;

class NoReports final : public ReportPort {
 public:
  void status(std::function<void(std::string)>) override {}
  void metrics(std::function<void(std::string)>) override {}
};

/// A program that sends and does not look back.
class Sender {
 public:
  explicit Sender(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_DGRAM, 0)) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path, path.data(), path.size());
    REQUIRE(::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  }
  explicit Sender(uint16_t port) : socket_(::socket(AF_INET, SOCK_DGRAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;
  ~Sender() { ::close(socket_); }
  void send(const std::string& text) const {
    REQUIRE(::send(socket_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  }

 private:
  int socket_;
};

/// Records in the journal until told to refuse.
class Gate final : public RecordPort {
 public:
  explicit Gate(RecordPort& next) : next_(next) {}
  void record(RecordRequest request, std::function<void(RecordResult)> done) override {
    ++asked;
    CHECK_FALSE(request.can_wait);
    if (!full) return next_.record(std::move(request), std::move(done));
    done(tl::unexpected<RecordRefusal>(
        {.code = Errc::full, .index = 0, .field = "", .message = "the journal is full"}));
  }
  bool full = false;
  int asked = 0;

 private:
  RecordPort& next_;
};

/// The input over a real journal. Its clock stands just before an interval's end, so that each
/// wait for it is short.
struct World {
  World() : folder(), path(folder.path() + "/run/statsd.sock") {
    device.clock.wall = Timestamp(1'800'000'009'990);
    const std::string options = "socket = \"" + path + R"("
[[metric]]
match = "calls"
type = "counter"
meter = "calls"
subject = { tag = "client" }
)";
    std::vector<MeterRow> meters = {{.number = 1, .name = "calls", .unit = "1"}};
    auto prepared = prepare_statsd_input({.tables = {*TomlTable::parse(options, "agent.toml")},
                                          .folder = "/",
                                          .app_meters = meters});
    if (!prepared) FAIL(prepared.error().text());
    input = std::move(*prepared);
    const auto started = input->start({.runtime = runtime,
                                       .clock = device.clock,
                                       .recorder = gate,
                                       .reports = reports,
                                       .holds = holds,
                                       .app_meters = meters,
                                       .own_meters = {},
                                       .bookmarks = {}});
    if (!started) FAIL(started.error().text());
  }
  ~World() {
    input->stop();
    runtime.storage().join();
  }

  void until(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!done()) {
      runtime.context().run_one_for(std::chrono::seconds(1));
      if (std::chrono::steady_clock::now() > deadline) FAIL(input->status().dump());
    }
  }
  [[nodiscard]] std::string text(const char* member) const {
    return input->status().find(member)->text();
  }
  [[nodiscard]] int64_t sum() const {
    const auto totals = device.status().totals;
    return totals.empty() ? 0 : static_cast<int64_t>(totals[0].second);
  }

  Device device;
  test::TemporaryFolder folder;
  std::string path;
  io::Runtime runtime;
  GroupCommit commits{runtime,        device.clock, *device.journal,
                      *device.signer, {},           [](const Error& error) { FAIL(error.text()); }};
  Gate gate{commits};
  NoReports reports;
  PromiseHolds holds;
  std::unique_ptr<Input> input;
};

TEST_CASE("what a program sends is in the journal after the interval") {
  World w;
  const Sender sender(w.path);
  CHECK(w.holds.earliest() == w.device.clock.wall);
  sender.send("calls:1|c|#client:aqua\ncalls:2|c|#client:aqua\nother:1|c\nnonsense");

  w.until([&] { return w.text("lines") == "4"; });
  w.device.clock.advance(Duration(10'000));
  w.until([&] { return w.text("readings") == "1"; });

  CHECK(w.holds.earliest() == w.device.clock.wall);
  CHECK(w.text("bad_lines") == "1");
  CHECK(w.text("unmapped_lines") == "1");
  std::string metrics;
  w.input->append_metrics(metrics);
  CHECK(metrics.find("ledgerline_agent_statsd_samples_total 2\n") != std::string::npos);
  struct stat info {};
  REQUIRE(::stat(w.path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0660);
  w.input->stop();
  w.runtime.storage().join();
  CHECK(w.sum() == 3);
}

TEST_CASE("what a full journal refuses is kept and merged, and holds the promise") {
  World w;
  const Sender sender(w.path);
  const Timestamp begin = w.device.clock.wall;
  w.gate.full = true;
  sender.send("calls:1|c|#client:aqua");
  w.until([&] { return w.text("lines") == "1"; });
  w.until([&] { return w.gate.asked == 1; });
  CHECK(w.text("state") == "waiting for the journal");
  CHECK(w.text("kept_series") == "1");
  w.device.clock.advance(Duration(10'000));
  sender.send("calls:4|c|#client:aqua");
  w.until([&] { return w.text("lines") == "2"; });
  w.until([&] { return w.gate.asked >= 3; });
  CHECK(w.holds.earliest() == begin);

  w.gate.full = false;
  w.until([&] { return w.text("readings") == "1"; });

  CHECK(w.text("state") == "receiving");
  CHECK(w.holds.earliest() == w.device.clock.wall);
  w.input->stop();
  w.runtime.storage().join();
  CHECK(w.sum() == 5);
}

TEST_CASE("a clean stop records what was sent, also what nobody has read yet") {
  World w;
  const Sender sender(w.path);
  // Not more than a Unix socket's queue holds (net.unix.max_dgram_qlen).
  for (int i = 0; i < 8; ++i) sender.send("calls:1|c|#client:c" + std::to_string(i % 2));

  w.input->stop();
  w.runtime.storage().join();
  w.commits.record_the_rest();

  CHECK(w.sum() == 8);
  CHECK(::access(w.path.c_str(), F_OK) != 0);
}

TEST_CASE("a socket that a living process reads is not taken over") {
  const test::TemporaryFolder folder;
  const std::string path = folder.path() + "/s.sock";
  io::Runtime runtime;
  const auto ignore = [](std::string_view, bool) {};
  auto first = io::Datagrams::open_local(runtime.context(), path, ignore);
  REQUIRE(first);
  CHECK_FALSE(io::Datagrams::open_local(runtime.context(), path, ignore));
  CHECK_FALSE(io::Datagrams::open_udp(runtime.context(), "0.0.0.0:0", ignore));
  CHECK_FALSE(io::Datagrams::open_local(runtime.context(), std::string(120, 'p'), ignore));
}

TEST_CASE("datagrams that the kernel dropped are noticed with the next one", "[native]") {
  io::Runtime runtime;
  size_t received = 0;
  auto opened = io::Datagrams::open_udp(runtime.context(), "127.0.0.1:0",
                                        [&](std::string_view, bool) { ++received; });
  REQUIRE(opened);
  const auto& receiver = *opened;
  REQUIRE(receiver->receive_buffer_bytes() > 0);
  const Sender sender(receiver->port());
  const std::string large(32'000, 'x');
  // The kernel takes twice what was asked for, its own overhead included.
  const size_t sent = 3 * receiver->receive_buffer_bytes() / large.size();
  for (size_t i = 0; i < sent; ++i) sender.send(large);

  receiver->drain();
  CHECK(received < sent);
  sender.send("one more");
  receiver->drain();

  CHECK(receiver->kernel_drops() == sent + 1 - received);
}

TEST_CASE("a datagram larger than the buffer is told to be cut") {
  const test::TemporaryFolder folder;
  const std::string path = folder.path() + "/s.sock";
  io::Runtime runtime;
  std::vector<std::pair<size_t, bool>> got;
  auto opened = io::Datagrams::open_local(
      runtime.context(), path,
      [&](std::string_view bytes, bool cut) { got.emplace_back(bytes.size(), cut); });
  REQUIRE(opened);
  const Sender sender(path);
  sender.send(std::string(70'000, 'x'));
  sender.send(std::string(60'000, 'x'));

  (*opened)->drain();

  CHECK(got == std::vector<std::pair<size_t, bool>>{{65'536, true}, {60'000, false}});
}

}  // namespace
}  // namespace ledgerline::agent
