#include "agent/ops/diag.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <sstream>
#include <thread>

#include "agent/journal/table_sizes.h"
#include "agent/ops/commands.h"
#include "agent/ops/enrolment.h"
#include "common/certificate.h"
#include "common/io/http_server.h"
#include "common/io/system.h"
#include "common/machine.h"

namespace ledgerline::agent {

namespace {

constexpr Duration kPatience{5'000};
constexpr size_t kFileSizeMax = 1 << 20;
constexpr size_t kFilesMax = 500;
constexpr const char* kDefaultOut = "ledgerline-agent-diag.tar";

std::string octal_mode(mode_t mode) {
  std::ostringstream out;
  out << std::oct << (mode & 07777U);
  return out.str();
}

std::string about() {
  std::ostringstream out;
  out << "ledgerline-agent " LEDGERLINE_VERSION "\n"
      << "compiler " __VERSION__ "\n"
      << "pointer " << sizeof(void*) * 8 << " bits, time_t " << sizeof(time_t) * 8
      << " bits, off_t " << sizeof(off_t) * 8 << " bits\n";
  return out.str();
}

/// The lines that begin with one of `names`; of a file of the kernel or the distribution.
Result<std::string> lines_of(const std::string& file, const std::vector<std::string_view>& names) {
  TRY(const std::string text, io::read_file(file, kFileSizeMax));
  std::istringstream in(text);
  std::string out;
  for (std::string row; std::getline(in, row);) {
    for (const std::string_view name : names) {
      if (row.starts_with(name)) out += row + "\n";
    }
  }
  return out;
}

/// What can be had of several texts; the reason in place of one that cannot.
std::string or_reason(const Result<std::string>& text) {
  return text ? *text : unquoted(text.error().text()) + "\n";
}

std::string system_text() {
  utsname name{};
  std::ostringstream out;
  // Without the machine's name.
  if (::uname(&name) == 0)
    out << name.sysname << " " << name.release << " " << name.version << " " << name.machine
        << "\n";
  out << "processors " << std::thread::hardware_concurrency() << "\n"
      << or_reason(lines_of("/etc/os-release", {"ID=", "VERSION_ID=", "PRETTY_NAME="}))
      << or_reason(lines_of("/proc/meminfo", {"MemTotal", "MemAvailable", "SwapTotal"})) << "load "
      << or_reason(io::read_file("/proc/loadavg", kFileSizeMax));
  return out.str();
}

std::string clock_text(Clock& clock) {
  std::ostringstream out;
  out << "wall " << to_rfc3339(clock.now()) << "\n"
      << "since boot " << clock.monotonic().ms << " ms\n"
      << "synchronised " << (io::clock_is_synchronised() ? "yes" : "no") << "\n"
      << "time_t " << sizeof(time_t) * 8 << " bits";
  if (const auto end = clock_end()) out << ": until " << to_rfc3339(*end);
  out << "\n";
  return out.str();
}

Result<std::string> check_text(const AgentConfig& config) {
  std::ostringstream out;
  TRY(const int code, check(config, CommandLine{}, out));
  static_cast<void>(code);
  return out.str();
}

Result<Json> status_of(const AgentConfig& config) {
  std::ostringstream out;
  CommandLine options;
  options.json = true;
  TRY(const int code, status(config, options, out));
  if (code != 0) return fail(Errc::not_found, out.str());
  return parse_json(out.str());
}

/// Of the agent; of its journal where an agent that runs gives no answer.
Result<std::string> status_json(const AgentConfig& config) {
  const auto asked = status_of(config);
  if (asked) return allowed_status(*asked).dump() + "\n";
  AgentConfig silent = config;
  silent.local_address.clear();
  const auto read = status_of(silent);
  if (!read) return fail(asked.error());
  Json out = allowed_status(*read);
  out.set("no_answer", Json::string(unquoted(asked.error().text())));
  return out.dump() + "\n";
}

Result<std::string> running_metrics(const AgentConfig& config) {
  if (config.local_address.empty()) return fail(Errc::not_found, "the agent has no http input");
  TRY(const auto answer,
      io::call_local(config.local_address,
                     {.method = "GET", .path = "/metrics", .query = "", .headers = {}, .body = ""},
                     kPatience));
  if (answer.status != 200)
    return fail(Errc::retry, "the agent answered " + std::to_string(answer.status));
  return allowed_metrics(answer.body);
}

std::string table_text(const AgentConfig& config, StreamClass stream_class) {
  const auto tables = read_table_sizes(journal_options(config, stream_class));
  if (!tables) return "  " + unquoted(tables.error().text()) + "\n";
  std::string out;
  for (const TableSize& each : *tables) {
    out += "  " + each.table + ": " + std::to_string(each.entries) + " entries, " +
           std::to_string(each.bytes) + " bytes\n";
  }
  return out;
}

Result<std::string> journal_text(const AgentConfig& config) {
  return "billing\n" + table_text(config, StreamClass::billing) + "diagnostic\n" +
         table_text(config, StreamClass::diagnostic);
}

std::string certificate_text(const std::string& file) {
  const auto pem = io::read_file(file, kFileSizeMax);
  const auto facts = pem ? certificate_facts(*pem) : tl::unexpected<Error>(pem.error());
  if (!facts) return file + ": " + unquoted(facts.error().text()) + "\n";
  return file + ": " + facts->subject + ", issued by " + facts->issuer + "\n  serial " +
         facts->serial + ", from " + facts->not_before + " to " + facts->not_after +
         "\n  SHA-256 " + facts->fingerprint + "\n";
}

Result<std::string> identity_text(const AgentConfig& config) {
  std::string out =
      certificate_text(config.state + "/certificate.pem") + certificate_text(config.broker_ca);
  const auto keys = load_keys(config);
  if (!keys) return out + "keys: " + unquoted(keys.error().text()) + "\n";
  out += "device key id " + keys->signer->public_key().id().hex() + "\n";
  const auto enrolled = load_enrolment(config, *keys);
  if (!enrolled) return out + "enrolment: " + unquoted(enrolled.error().text()) + "\n";
  out += "collector key id " + enrolled->collector_key.id().hex() + "\nbilling stream " +
         enrolled->grant.stream.hex() + ", granted " + to_rfc3339(enrolled->grant.issued_at) + "\n";
  if (enrolled->diagnostic)
    out += "diagnostic stream " + enrolled->diagnostic->grant.stream.hex() + "\n";
  return out;
}

Result<std::string> disk_text(const AgentConfig& config) {
  TRY(const uint64_t free_bytes, io::free_disk_bytes(config.state));
  std::string out = config.state + ": " + std::to_string(free_bytes) +
                    " bytes free\nmode size allocated modified name\n";
  std::vector<std::string> paths;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator at(config.state, error), end;
       !error && at != end && paths.size() < kFilesMax; at.increment(error))
    paths.push_back(at->path().string());
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) continue;
    out += octal_mode(info.st_mode) + " " + std::to_string(info.st_size) + " " +
           std::to_string(static_cast<int64_t>(info.st_blocks) * 512) + " " +
           to_rfc3339(Timestamp(static_cast<int64_t>(info.st_mtime) * 1000)) + " " + path + "\n";
  }
  return out;
}

/// Of the process that holds the journal's lock, by /proc/locks. Errc::not_found where none does.
Result<std::string> running_pid(const AgentConfig& config) {
  struct stat info {};
  if (::stat((config.journal_folder() + "/writer.lock").c_str(), &info) != 0)
    return fail(Errc::not_found, "no agent has run here");
  TRY(const std::string locks, io::read_file("/proc/locks", kFileSizeMax));
  const std::string inode = ":" + std::to_string(info.st_ino) + " ";
  std::istringstream in(locks);
  for (std::string row; std::getline(in, row);) {
    if (row.find(inode) == std::string::npos) continue;
    std::istringstream fields(row);
    std::string number, kind, strict, access, pid;
    fields >> number >> kind >> strict >> access >> pid;
    if (kind == "FLOCK" && !pid.empty() && pid != "->") return pid;
  }
  return fail(Errc::not_found, "no agent runs");
}

Result<std::string> memory_text(const AgentConfig& config) {
  TRY(const std::string pid, running_pid(config));
  const std::string folder = "/proc/" + pid + "/";
  return "process " + pid + "\n" +
         or_reason(lines_of(folder + "status", {"State", "Vm", "Rss", "Threads"})) +
         or_reason(io::read_file(folder + "smaps_rollup", kFileSizeMax)) +
         or_reason(io::read_file(folder + "io", kFileSizeMax));
}

using Source = Result<std::string> (*)(const AgentConfig&);

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t done = ::write(fd, text.data(), text.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return;
    text.remove_prefix(static_cast<size_t>(done));
  }
}

std::string read_to_the_end(int fd) {
  std::string out;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return out;
    out.append(buffer, static_cast<size_t>(got));
  }
}

/// In a process of its own: a journal that was cut short ends whoever reads its mapping, and what
/// memory holds of it may break an invariant.
Result<std::string> apart(Source source, const AgentConfig& config) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(Errc::internal, "there is no pipe");
  const pid_t child = ::fork();
  if (child == 0) {
    const auto text = source(config);
    write_all(ends[1], text ? "+" + *text : "-" + text.error().text());
    ::_exit(0);
  }
  ::close(ends[1]);
  const std::string told = child > 0 ? read_to_the_end(ends[0]) : "";
  ::close(ends[0]);
  int status = 0;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (told.empty() || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return fail(Errc::corrupt, "reading it ended the process that tried (wait status " +
                                   std::to_string(status) + "): the journal is damaged");
  }
  if (told.front() == '+') return told.substr(1);
  return fail(Errc::internal, told.substr(1));
}

constexpr const char* kLog =
    "The agent writes its log to standard error; where systemd runs it, the journal has it:\n"
    "  journalctl -u ledgerline-agent --since -1d --no-pager\n"
    "It is not in this archive, because it is not only ours. Look at it before you send it.\n";

}  // namespace

std::vector<DiagPart> diag_parts(const Result<AgentConfig>& config, Clock& clock) {
  const auto of = [&config](Source source) -> Result<std::string> {
    if (!config) return fail(Errc::config, "the configuration cannot be read");
    return apart(source, *config);
  };
  const auto settings = [&]() -> Result<std::string> {
    if (!config) return fail(config.error());
    return allowed_config(*config);
  };
  return {
      {"about.txt", "version and build", about()},
      {"config.txt", "the configuration in force, as far as it may leave", settings()},
      {"check.txt", "what `ledgerline-agent check` says", of(check_text)},
      {"status.json", "of the running agent, else of its journal; with the last failures",
       of(status_json)},
      {"metrics.txt", "of the running agent", of(running_metrics)},
      {"journal.txt", "entries and bytes of each table", of(journal_text)},
      {"identity.txt", "certificates' dates, ids of public keys and streams", of(identity_text)},
      {"clock.txt", "this machine's clocks", clock_text(clock)},
      {"memory.txt", "of the running agent's process", of(memory_text)},
      {"disk.txt", "free bytes, and the files of the state folder", of(disk_text)},
      {"system.txt", "kernel, distribution, memory", system_text()},
      {"log.txt", "where the log is", std::string(kLog)}};
}

Result<int> diag(const Result<AgentConfig>& config, const CommandLine& options, Clock& clock,
                 std::ostream& out) {
  const auto parts = diag_parts(config, clock);
  const std::vector<TarFile> files = diag_files(parts);
  TRY(const std::string archive, tar_archive(files, clock.now()));
  const std::string path = options.out.empty() ? kDefaultOut : options.out;
  if (const auto written = io::write_file_durably(path, archive, 0600); !written) {
    out << written.error().text() << "\n";
    return kExitCantCreate;
  }
  Json missing = Json::array();
  std::string missing_text;
  for (const DiagPart& part : parts) {
    if (part.content) continue;
    missing.push(Json::string(part.name));
    missing_text += "  without " + part.name + ": " + unquoted(part.content.error().text()) + "\n";
  }
  if (options.json) {
    out << Json::object({{"archive", Json::string(path)}, {"missing", std::move(missing)}}).dump()
        << "\n";
  } else {
    out << "written: " << path << " (" << archive.size()
        << " bytes, for you alone to read). Look into it before you send it: tar -xOf " << path
        << "\n"
        << missing_text;
  }
  return 0;
}

}  // namespace ledgerline::agent
