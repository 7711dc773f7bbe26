#include "agent/inputs/host_counters.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <string_view>

#include "common/check.h"
#include "common/decimal.h"

namespace ledgerline::agent {

namespace {

// Names that a kernel can have are far fewer; what is beyond is no machine of ours.
constexpr size_t kDevicesMax = 1024;
constexpr int64_t kSectorBytes = 512;  // in /proc/diskstats, whatever the disk's own sector size

using Words = std::vector<std::string_view>;

Words words_of(std::string_view line) {
  Words out;
  for (size_t i = 0; i < line.size();) {
    const size_t begin = line.find_first_not_of(" \t", i);
    if (begin == std::string_view::npos) break;
    const size_t end = std::min(line.find_first_of(" \t", begin), line.size());
    out.push_back(line.substr(begin, end - begin));
    i = end;
  }
  return out;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    out.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return out;
}

tl::unexpected<Error> unreadable(std::string_view file, const std::string& what) {
  return fail(Error(Errc::reject, what).with("file", std::string(file)));
}

Result<int64_t> integer_of(std::string_view file, std::string_view word) {
  int64_t value = 0;
  const auto [end, fault] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (fault != std::errc() || end != word.data() + word.size() || value < 0) {
    return unreadable(file, "a counter is no integer: \"" + std::string(word.substr(0, 40)) + "\"");
  }
  return value;
}

Result<int64_t> times(std::string_view file, int64_t value, int64_t factor) {
  int64_t out = 0;
  if (__builtin_mul_overflow(value, factor, &out))
    return unreadable(file, "a counter does not fit 64 bits");
  return out;
}

class Collector {
 public:
  Collector(const std::vector<MeterRow>& meters, Monotonic now) : meters_(meters), now_(now) {}

  void add(HostMeter which, int64_t value, DimensionSet dimensions = {}) {
    const MeterRow& meter = meters_[static_cast<size_t>(which)];
    RecordItem item;
    item.reading.meter = meter.number;
    item.reading.monotonic_time = true;
    item.reading.time_ms = now_.ms;
    item.reading.dimensions = std::move(dimensions);
    (meter.kind == MeterKind::register_ ? item.reading.register_value : item.reading.value) = value;
    items_.push_back(std::move(item));
  }
  std::vector<RecordItem> take() { return std::move(items_); }

 private:
  const std::vector<MeterRow>& meters_;
  Monotonic now_;
  std::vector<RecordItem> items_;
};

Status read_cpu(std::string_view text, int64_t ticks_per_second, Collector& out) {
  for (const std::string_view line : lines_of(text)) {
    if (!line.starts_with("cpu ")) continue;
    const Words words = words_of(line);
    if (words.size() < 8) return unreadable("stat", "the cpu line has fewer than 7 counters");
    int64_t ticks = 0;
    // user, nice, system, irq, softirq; idle (4) and iowait (5) are no work, steal is another
    // machine's, guest is in user.
    for (const size_t column : {1, 2, 3, 6, 7}) {
      TRY(const int64_t value, integer_of("stat", words[column]));
      if (__builtin_add_overflow(ticks, value, &ticks))
        return unreadable("stat", "a counter does not fit 64 bits");
    }
    TRY(const int64_t hundredths, times("stat", ticks, 100));
    out.add(HostMeter::cpu_seconds, hundredths / ticks_per_second);
    return {};
  }
  return unreadable("stat", "there is no cpu line");
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// sda1 of sda, nvme0n1p1 of nvme0n1.
bool is_partition(std::string_view name, const std::set<std::string_view>& names) {
  size_t stem = name.size();
  while (stem > 0 && is_digit(name[stem - 1])) --stem;
  if (stem == name.size() || stem == 0) return false;
  if (names.contains(name.substr(0, stem))) return true;
  return name[stem - 1] == 'p' && stem > 1 && is_digit(name[stem - 2]) &&
         names.contains(name.substr(0, stem - 1));
}

bool counts_as_disk(std::string_view name) {
  constexpr std::array<std::string_view, 7> kOthers = {"loop", "ram", "zram", "dm-",
                                                       "md",   "sr",  "fd"};
  return std::none_of(kOthers.begin(), kOthers.end(),
                      [name](std::string_view prefix) { return name.starts_with(prefix); });
}

Status read_disks(std::string_view text, Collector& out) {
  std::vector<Words> rows;
  std::set<std::string_view> names;
  for (const std::string_view line : lines_of(text)) {
    Words words = words_of(line);
    if (words.empty()) continue;
    if (words.size() < 11) return unreadable("diskstats", "a line has fewer than 11 columns");
    if (rows.size() == kDevicesMax)
      return unreadable("diskstats", "there are more than 1024 devices");
    names.insert(words[2]);
    rows.push_back(std::move(words));
  }
  for (const Words& words : rows) {
    const std::string_view name = words[2];
    if (!counts_as_disk(name) || is_partition(name, names)) continue;
    TRY(const int64_t read, integer_of("diskstats", words[5]));
    TRY(const int64_t written, integer_of("diskstats", words[9]));
    TRY(const int64_t read_bytes, times("diskstats", read, kSectorBytes));
    TRY(const int64_t written_bytes, times("diskstats", written, kSectorBytes));
    const DimensionSet dimensions = {{"device", std::string(name)}};
    out.add(HostMeter::disk_read, read_bytes, dimensions);
    out.add(HostMeter::disk_written, written_bytes, dimensions);
  }
  return {};
}

Status read_network(std::string_view text, Collector& out) {
  size_t interfaces = 0;
  for (const std::string_view line : lines_of(text)) {
    const size_t colon = line.rfind(':');           // an alias such as eth0:1 has one in its name
    if (colon == std::string_view::npos) continue;  // the two heading lines
    const Words name = words_of(line.substr(0, colon));
    const Words words = words_of(line.substr(colon + 1));
    if (name.size() != 1 || words.size() < 9)
      return unreadable("net/dev", "a line has fewer than 9 counters");
    if (name[0] == "lo" || name[0].starts_with("veth")) continue;
    if (++interfaces > kDevicesMax)
      return unreadable("net/dev", "there are more than 1024 interfaces");
    TRY(const int64_t received, integer_of("net/dev", words[0]));
    TRY(const int64_t sent, integer_of("net/dev", words[8]));
    const DimensionSet dimensions = {{"interface", std::string(name[0])}};
    out.add(HostMeter::net_received, received, dimensions);
    out.add(HostMeter::net_sent, sent, dimensions);
  }
  return {};
}

Result<int64_t> memory_line(std::string_view text, std::string_view name) {
  for (const std::string_view line : lines_of(text)) {
    const Words words = words_of(line);
    if (words.size() != 3 || words[0] != name || words[2] != "kB") continue;
    TRY(const int64_t kibibytes, integer_of("meminfo", words[1]));
    return times("meminfo", kibibytes, 1024);
  }
  return unreadable("meminfo", "there is no line " + std::string(name));
}

Status read_memory(std::string_view text, Collector& out) {
  TRY(const int64_t total, memory_line(text, "MemTotal:"));
  TRY(const int64_t available, memory_line(text, "MemAvailable:"));
  out.add(HostMeter::memory_used, total - available);
  return {};
}

Status read_load(std::string_view text, Collector& out) {
  const Words words = words_of(text.substr(0, text.find('\n')));
  if (words.empty()) return unreadable("loadavg", "it is empty");
  const auto load = Decimal::parse(words[0]);
  if (!load)
    return unreadable("loadavg",
                      "the load is no number: \"" + std::string(words[0].substr(0, 40)) + "\"");
  const auto scaled = load->rounded(2, Rounding::half_even);
  if (!scaled || scaled->is_negative() || scaled->coefficient() > 1'000'000'00)
    return unreadable("loadavg", "the load is out of range");
  out.add(HostMeter::load1, static_cast<int64_t>(scaled->coefficient()));
  return {};
}

MeterRow meter(std::string name, std::string unit, MeterKind kind, int scale) {
  return {
      .number = 0, .name = std::move(name), .unit = std::move(unit), .scale = scale, .kind = kind};
}

}  // namespace

std::vector<MeterRow> host_meters() {
  return {
      meter("host.cpu.seconds", "s", MeterKind::register_, 2),
      meter("host.disk.read", "By", MeterKind::register_, 0),
      meter("host.disk.written", "By", MeterKind::register_, 0),
      meter("host.net.received", "By", MeterKind::register_, 0),
      meter("host.net.sent", "By", MeterKind::register_, 0),
      meter("host.memory.used", "By", MeterKind::gauge, 0),
      meter("host.load1", "1", MeterKind::gauge, 2),
  };
}

Result<std::vector<RecordItem>> read_host_counters(const HostTexts& texts,
                                                   const std::vector<MeterRow>& meters,
                                                   const HostOptions& options) {
  CHECK_INVARIANT(meters.size() == host_meters().size() && options.ticks_per_second > 0);
  Collector out(meters, options.now);
  TRY_VOID(read_cpu(texts.stat, options.ticks_per_second, out));
  TRY_VOID(read_disks(texts.diskstats, out));
  TRY_VOID(read_network(texts.net_dev, out));
  TRY_VOID(read_memory(texts.meminfo, out));
  TRY_VOID(read_load(texts.loadavg, out));
  return out.take();
}

}  // namespace ledgerline::agent
