#include "common/io/supervisor.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "common/io/log.h"
#include "common/printable.h"

namespace ledgerline::io {

namespace {

using std::chrono::microseconds;

// Without a watchdog the rounds only keep STATUS= true.
constexpr Duration kStatusInterval{10'000};
constexpr Duration kIntervalMin{1};
constexpr size_t kStatusMax = 512;  // bytes

Result<int64_t> positive_number(std::string_view variable, std::string_view text) {
  int64_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc() || end != text.data() + text.size() || value <= 0) {
    return fail(Errc::config, "the environment's " + std::string(variable) +
                                  " is a positive whole number, not \"" + printable(text) + "\"");
  }
  return value;
}

/// Whole characters only: a manager ignores a line that is no UTF-8.
std::string cut_status(std::string text) {
  if (text.size() <= kStatusMax) return text;
  size_t end = kStatusMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text;
}

bool names_socket(std::string_view text) {
  return text.size() > 1 && text.size() < sizeof(sockaddr_un::sun_path) &&
         (text[0] == '/' || text[0] == '@');
}

}  // namespace

Result<SupervisorSettings> supervisor_settings(
    const std::function<const char*(const char*)>& environment, int64_t pid) {
  const auto value = [&environment](const char* name) {
    const char* text = environment(name);
    return std::string_view(text == nullptr ? "" : text);
  };
  SupervisorSettings out{.socket = std::string(value("NOTIFY_SOCKET")), .watchdog = std::nullopt};
  if (out.socket.empty()) return out;
  if (!names_socket(out.socket)) {
    return fail(Errc::config,
                "the environment's NOTIFY_SOCKET is an absolute path or '@' and a name, not \"" +
                    printable(out.socket) + "\"");
  }
  if (value("WATCHDOG_USEC").empty()) return out;
  TRY(const int64_t usec, positive_number("WATCHDOG_USEC", value("WATCHDOG_USEC")));
  if (!value("WATCHDOG_PID").empty()) {
    TRY(const int64_t whose, positive_number("WATCHDOG_PID", value("WATCHDOG_PID")));
    if (whose != pid) return out;
  }
  out.watchdog = microseconds(usec);
  return out;
}

Result<SupervisorSettings> supervisor_settings() {
  return supervisor_settings([](const char* name) { return std::getenv(name); }, ::getpid());
}

Duration round_interval(const SupervisorSettings& settings) {
  if (!settings.watchdog) return kStatusInterval;
  return std::max(kIntervalMin, std::chrono::duration_cast<Duration>(*settings.watchdog / 4));
}

Supervisor::Supervisor(Runtime& runtime, Options options)
    : runtime_(runtime), options_(std::move(options)), timer_(runtime.context()) {}

void Supervisor::start() {
  if (!options_.settings.socket.empty()) begin_round();
}

void Supervisor::stop() {
  stopping_ = true;
  timer_.cancel();
  say("STOPPING=1");
}

void Supervisor::begin_round() {
  on_storage(runtime_, options_.work, [this](const Status& worked) { end_round(worked); });
}

void Supervisor::end_round(const Status& worked) {
  if (stopping_) return;
  if (!worked) return options_.on_failure(worked.error());
  const std::string status = cut_status(printable(options_.status()));
  std::string state;
  if (!ready_) state += "READY=1\n";
  if (status != last_status_) state += "STATUS=" + status + "\n";
  if (options_.settings.watchdog) state += "WATCHDOG=1\n";
  if (state.empty() || say(state)) {  // what was not taken is said again by the next round
    ready_ = true;
    last_status_ = status;
  }
  timer_.expires_after(round_interval(options_.settings));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && !stopping_) begin_round();
  });
}

/// Never waits: a manager that does not read must not stop the metering.
bool Supervisor::say(const std::string& state) {
  const std::string& name = options_.settings.socket;
  if (name.empty()) return true;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name[0] == '@') address.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const ssize_t sent = fd < 0 ? -1
                              : ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL,
                                         reinterpret_cast<const sockaddr*>(&address), length);
  const int reason = errno;
  if (fd >= 0) ::close(fd);
  if (sent < 0)
    log_warn("supervisor_not_told", {kv("socket", name), kv("error", std::strerror(reason))});
  return sent >= 0;
}

}  // namespace ledgerline::io
