// Over real datagram sockets; the test plays the service manager and runs the context by hand.

#include "common/io/supervisor.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <future>
#include <map>

namespace ledgerline::io {
namespace {

using namespace std::chrono_literals;
using Environment = std::map<std::string, std::string>;

Result<SupervisorSettings> settings_of(const Environment& environment, int64_t pid = 7) {
  return supervisor_settings(
      [&environment](const char* name) {
        const auto found = environment.find(name);
        return found == environment.end() ? nullptr : found->second.c_str();
      },
      pid);
}

/// The socket that systemd reads from.
class Manager {
 public:
  explicit Manager(bool abstract) {
    char folder[] = "/tmp/ledgerline-supervisor-XXXXXX";
    REQUIRE(::mkdtemp(folder) != nullptr);
    folder_ = folder;
    name_ = abstract ? "@" + folder_ : folder_ + "/notify";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name_.data(), name_.size());
    if (abstract) address.sun_path[0] = '\0';
    fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size())) == 0);
  }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;
  ~Manager() {
    ::close(fd_);
    std::filesystem::remove_all(folder_);
  }

  [[nodiscard]] const std::string& name() const { return name_; }
  /// The next message; empty where there is none.
  [[nodiscard]] std::string heard() const {
    char buffer[1024];
    const ssize_t size = ::recv(fd_, buffer, sizeof buffer, 0);
    return size < 0 ? "" : std::string(buffer, static_cast<size_t>(size));
  }

 private:
  std::string folder_;
  std::string name_;
  int fd_ = -1;
};

struct World {
  explicit World(std::optional<std::chrono::microseconds> watchdog = 4ms, bool abstract = false)
      : manager(abstract),
        supervisor(runtime, {.settings = {.socket = manager.name(), .watchdog = watchdog},
                             .work = [this] { return work(); },
                             .on_failure = [this](const Error& error) { failure = error.text(); },
                             .status = [this] { return status; }}) {}

  void one_handler() { REQUIRE(runtime.context().run_one_for(10s) == 1); }
  /// What is ready now, and nothing that takes time.
  void poll() {
    runtime.context().restart();
    runtime.context().poll();
  }

  Manager manager;
  Runtime runtime;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard =
      boost::asio::make_work_guard(runtime.context());
  std::function<Status()> work = [] { return Status(); };
  std::string status = "fine";
  std::string failure;
  Supervisor supervisor;
};

TEST_CASE("the environment says who listens and how long it waits") {
  struct Row {
    const char* name;
    Environment environment;
    std::string socket;
    int64_t watchdog_us;  // 0: none
  };
  const std::vector<Row> rows = {
      {"nobody", {}, "", 0},
      {"a watchdog alone is nobody", {{"WATCHDOG_USEC", "5"}}, "", 0},
      {"a path", {{"NOTIFY_SOCKET", "/run/notify"}}, "/run/notify", 0},
      {"no file", {{"NOTIFY_SOCKET", "@a/b"}}, "@a/b", 0},
      {"a watchdog", {{"NOTIFY_SOCKET", "/n"}, {"WATCHDOG_USEC", "30000000"}}, "/n", 30'000'000},
      {"ours", {{"NOTIFY_SOCKET", "/n"}, {"WATCHDOG_USEC", "9"}, {"WATCHDOG_PID", "7"}}, "/n", 9},
      {"of another process",
       {{"NOTIFY_SOCKET", "/n"}, {"WATCHDOG_USEC", "9"}, {"WATCHDOG_PID", "8"}},
       "/n",
       0},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const auto settings = settings_of(row.environment);
    REQUIRE(settings);
    CHECK(settings->socket == row.socket);
    CHECK(settings->watchdog.value_or(0us).count() == row.watchdog_us);
  }
}

TEST_CASE("an environment that cannot be read is named") {
  const std::vector<std::pair<Environment, std::string>> rows = {
      {{{"NOTIFY_SOCKET", "notify"}}, "NOTIFY_SOCKET"},
      {{{"NOTIFY_SOCKET", "@"}}, "NOTIFY_SOCKET"},
      {{{"NOTIFY_SOCKET", "/" + std::string(200, 'n')}}, "NOTIFY_SOCKET"},
      {{{"NOTIFY_SOCKET", "/n"}, {"WATCHDOG_USEC", "30s"}}, "WATCHDOG_USEC"},
      {{{"NOTIFY_SOCKET", "/n"}, {"WATCHDOG_USEC", "0"}}, "WATCHDOG_USEC"},
      {{{"NOTIFY_SOCKET", "/n"}, {"WATCHDOG_USEC", "9"}, {"WATCHDOG_PID", "x"}}, "WATCHDOG_PID"},
  };
  for (const auto& [environment, named] : rows) {
    CAPTURE(named, environment.begin()->second);
    const auto settings = settings_of(environment);
    REQUIRE_FALSE(settings);
    CHECK(settings.error().code() == Errc::config);
    CHECK(settings.error().message().find(named) != std::string::npos);
  }
}

TEST_CASE("four rounds begin in the time that the manager waits") {
  CHECK(round_interval({.socket = "/n", .watchdog = 120s}) == Duration(30'000));
  CHECK(round_interval({.socket = "/n", .watchdog = 1us}) == Duration(1));
  CHECK(round_interval({.socket = "/n", .watchdog = std::nullopt}) > Duration(0));
}

TEST_CASE("ready is said once, after the first round came back; each round feeds the watchdog") {
  const bool abstract = GENERATE(false, true);
  World world(4ms, abstract);

  world.supervisor.start();
  world.one_handler();  // the round's return
  CHECK(world.manager.heard() == "READY=1\nSTATUS=fine\nWATCHDOG=1\n");

  world.one_handler();  // the timer
  CHECK(world.manager.heard().empty());
  world.one_handler();
  CHECK(world.manager.heard() == "WATCHDOG=1\n");

  world.status = "not connected:\nno route";
  world.one_handler();
  world.one_handler();
  CHECK(world.manager.heard() == "STATUS=not connected:\\nno route\nWATCHDOG=1\n");
}

TEST_CASE("a storage thread that hangs is not fed, and is fed again when it goes on") {
  World world;
  world.supervisor.start();
  world.one_handler();
  REQUIRE(world.manager.heard().find("WATCHDOG=1") != std::string::npos);
  std::promise<void> go_on;
  std::promise<void> hangs;
  boost::asio::post(world.runtime.storage(), [&] {
    hangs.set_value();
    go_on.get_future().wait();
  });
  hangs.get_future().wait();

  world.one_handler();  // the timer: a round begins, and waits behind what hangs
  world.poll();
  world.poll();
  CHECK(world.manager.heard().empty());

  go_on.set_value();
  world.one_handler();
  CHECK(world.manager.heard() == "WATCHDOG=1\n");
}

TEST_CASE("a context that hangs is not fed, although the storage thread works") {
  World world;
  std::promise<void> worked;
  world.work = [&worked] {
    worked.set_value();
    return Status();
  };

  world.supervisor.start();
  worked.get_future().wait();
  world.runtime.storage().join();  // its end was posted back

  CHECK(world.manager.heard().empty());
}

TEST_CASE("work that fails feeds nothing and is reported") {
  World world;
  world.work = [] { return Status(fail(Errc::corrupt, "the journal is damaged")); };

  world.supervisor.start();
  world.one_handler();

  CHECK(world.manager.heard().empty());
  CHECK(world.failure == "the journal is damaged");
}

TEST_CASE("without a watchdog only news are told") {
  World world(std::nullopt);

  world.supervisor.start();
  world.one_handler();

  CHECK(world.manager.heard() == "READY=1\nSTATUS=fine\n");
}

TEST_CASE("ending is said, and nothing after it") {
  World world;
  world.supervisor.start();
  world.one_handler();
  REQUIRE_FALSE(world.manager.heard().empty());

  world.supervisor.stop();
  world.poll();  // the timer's end
  world.poll();

  CHECK(world.manager.heard() == "STOPPING=1");
  CHECK(world.manager.heard().empty());
}

TEST_CASE("what the manager did not take is said again") {
  World world;
  const std::string later = world.manager.name() + "-later";
  Supervisor supervisor(world.runtime, {.settings = {.socket = later, .watchdog = 4ms},
                                        .work = [] { return Status(); },
                                        .on_failure = [](const Error&) {},
                                        .status = [] { return std::string("fine"); }});
  supervisor.start();
  world.one_handler();
  CHECK(world.manager.heard().empty());

  std::filesystem::create_symlink(world.manager.name(), later);
  world.one_handler();
  world.one_handler();

  CHECK(world.manager.heard() == "READY=1\nSTATUS=fine\nWATCHDOG=1\n");
}

}  // namespace
}  // namespace ledgerline::io
