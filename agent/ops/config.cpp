#include "agent/ops/config.h"

#include <algorithm>
#include <filesystem>

#include "common/crypto.h"
#include "common/io/system.h"
#include "common/messages.h"

namespace ledgerline::agent {

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr size_t kConfigSizeMax = 1 << 20;
constexpr size_t kMetersMax = 256;
constexpr size_t kMeterNameMax = 128;
constexpr size_t kUnitMax = 32;

Result<std::string> name(TomlTable& table, std::string_view key) {
  TRY(std::string value, table.string(key));
  if (const auto good = check_name(key, value); !good)
    return fail(table.error_at(key, good.error().message()));
  return value;
}

struct DurationRange {
  Duration min;
  Duration max;
  std::string_view words;
  Duration fallback;
};
Result<Duration> duration_within(TomlTable& table, std::string_view key,
                                 const DurationRange& range) {
  TRY(const Duration value, table.duration(key, range.fallback));
  if (value < range.min || value > range.max)
    return fail(table.error_at(key, std::string(key) + " is " + std::string(range.words)));
  return value;
}

Result<TomlTable> table_or_empty(TomlTable& root, std::string_view key) {
  if (root.has(key)) return root.table(key);
  return TomlTable::parse("", "");
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

Result<std::string> text_up_to(TomlTable& table, std::string_view key, size_t bytes_max) {
  TRY(std::string value, table.string(key));
  if (value.empty() || value.size() > bytes_max || !is_printable(value)) {
    return fail(table.error_at(key, std::string(key) + " has 1 to " + std::to_string(bytes_max) +
                                        " bytes and no control characters"));
  }
  return value;
}

Result<MeterKind> kind_of(TomlTable& table) {
  TRY(const std::string text, table.string("kind"));
  const auto kind = parse_meter_kind(text);
  if (!kind) return fail(table.error_at("kind", kind.error().message() + ", not \"" + text + "\""));
  return *kind;
}

struct ReadMeter {
  MeterRow row;
  bool diagnostic = false;
};

Result<ReadMeter> read_meter(TomlTable& table) {
  MeterRow row;
  TRY(row.name, text_up_to(table, "name", kMeterNameMax));
  TRY(row.unit, text_up_to(table, "unit", kUnitMax));
  TRY(row.kind, kind_of(table));
  TRY(const int64_t scale, table.integer("scale", 0, Decimal::kScaleMax, 0));
  row.scale = static_cast<int>(scale);
  TRY(const int64_t version, table.integer("version", 1, 1'000'000, 1));
  row.definition_version = static_cast<uint32_t>(version);
  TRY(const std::string meter_class, table.string("class", "billing"));
  if (meter_class != "billing" && meter_class != "diagnostic") {
    return fail(table.error_at("class",
                               "class is \"billing\" (never dropped) or \"diagnostic\" (a full "
                               "journal drops the oldest), not \"" +
                                   meter_class + "\""));
  }
  TRY(const std::string id, table.string("id", "window"));
  if (id != "window" && id != "forward") {
    return fail(table.error_at("id",
                               "id is \"window\" (remembered for a while) or \"forward\" (travels "
                               "with the reading), not \"" +
                                   id + "\""));
  }
  row.forward_ids = id == "forward";
  TRY_VOID(table.finish());
  return ReadMeter{std::move(row), meter_class == "diagnostic"};
}

Status read_meters(TomlTable& root, AgentConfig& config) {
  TRY(auto tables, root.tables("meter"));
  if (tables.size() > kMetersMax)
    return fail(root.error_at("meter", "at most " + std::to_string(kMetersMax) + " meters"));
  for (TomlTable& table : tables) {
    TRY(ReadMeter meter, read_meter(table));
    MeterRow& row = meter.row;
    const bool taken = std::any_of(config.meters.begin(), config.meters.end(),
                                   [&](const MeterRow& other) { return other.name == row.name; });
    if (taken) return fail(table.error_at("name", "there is a meter \"" + row.name + "\" already"));
    if (meter.diagnostic) config.diagnostic_meters.insert(row.name);
    config.meters.push_back(std::move(row));
  }
  return {};
}

Status read_broker(TomlTable& root, AgentConfig& config) {
  TRY(auto table, root.table("broker"));
  TRY(config.broker_host, text_up_to(table, "host", 253));
  TRY(const int64_t port, table.integer("port", 1, 65535, 8883));
  config.broker_port = static_cast<uint16_t>(port);
  TRY(const std::string ca, table.string("ca", config.state + "/ca.pem"));
  config.broker_ca = resolve_path(config.folder, ca);
  return table.finish();
}

Result<uint64_t> quota(TomlTable& table, uint64_t fallback) {
  TRY(const uint64_t value, table.size("quota", fallback));
  if (value < (uint64_t{1} << 20) || value > (uint64_t{1} << 40))
    return fail(table.error_at("quota", "quota is between 1MiB and 1024GiB"));
  return value;
}

/// [journal.diagnostic]. The reserve is what sealing needs; a small quota has a small one.
Status read_diagnostic_journal(TomlTable& journal, AgentConfig& config) {
  TRY(auto table, table_or_empty(journal, "diagnostic"));
  RetentionLimits& limits = config.diagnostic_retention;
  TRY(limits.quota_bytes, quota(table, uint64_t{16} << 20));
  limits.reserve_bytes =
      std::clamp(limits.quota_bytes / 8, uint64_t{512} << 10, config.retention.reserve_bytes);
  limits.idempotency_window = config.retention.idempotency_window;
  return table.finish();
}

/// What waits for its commit longer than the promise of completeness waits would be late.
Status must_be_recorded_in_time(TomlTable& journal, const AgentConfig& config) {
  if (config.commit_interval < config.lateness || config.commit_interval == Duration(0)) return {};
  return fail(journal.error_at(
      "commit_interval",
      "commit_interval is below lateness of [heartbeat], which is " +
          std::to_string(config.lateness.count()) +
          " ms: a reading that waits longer for its commit would be late. Raise lateness to more"));
}

/// 32 bits have no addresses for more: LMDB would end at the first commit beyond them.
Status check_mappable(const TomlTable& journal, const AgentConfig& config, const Machine& machine) {
  const uint64_t wanted = map_bytes(config.retention) + map_bytes(config.diagnostic_retention);
  const uint64_t max = map_bytes_max(machine);
  if (wanted <= max) return {};
  return fail(journal.error_at(
      "quota", "on this machine the journals have at most " + std::to_string(max >> 20) +
                   "MiB of addresses together; this quota, the one of [journal.diagnostic] and "
                   "their reserves come to " +
                   std::to_string((wanted >> 20) + 1) + "MiB. Choose a smaller quota"));
}

Status read_journal(TomlTable& root, const Machine& machine, AgentConfig& config) {
  TRY(auto table, table_or_empty(root, "journal"));
  TRY(config.retention.quota_bytes, quota(table, config.retention.quota_bytes));
  TRY(config.commit_interval, duration_within(table, "commit_interval",
                                              {milliseconds(0), std::chrono::minutes(1),
                                               "between 0ms and 1m", config.commit_interval}));
  TRY_VOID(must_be_recorded_in_time(table, config));
  TRY(config.retention.idempotency_window,
      duration_within(
          table, "idempotency_window",
          {hours(1), hours(24 * 90), "between 1h and 90d", config.retention.idempotency_window}));
  TRY_VOID(read_diagnostic_journal(table, config));
  TRY_VOID(check_mappable(table, config, machine));
  return table.finish();
}

Status read_batch(TomlTable& root, AgentConfig& config) {
  TRY(auto table, table_or_empty(root, "batch"));
  TRY(const int64_t readings, table.integer("readings_max", 1, Columns::kReadingsMax,
                                            static_cast<int64_t>(config.batch.readings_max)));
  config.batch.readings_max = static_cast<size_t>(readings);
  TRY(config.batch.age_max,
      duration_within(table, "age_max",
                      {milliseconds(100), hours(1), "between 100ms and 1h", config.batch.age_max}));
  TRY(const std::string sections, table.string("sections", "one"));
  if (sections != "one" && sections != "by_subject") {
    return fail(table.error_at("sections",
                               "sections is \"one\" (small) or \"by_subject\" (an evidence bundle "
                               "can leave out the readings of others), not \"" +
                                   sections + "\""));
  }
  config.batch.sections = sections == "one" ? Sections::one : Sections::by_subject;
  return table.finish();
}

Status read_heartbeat(TomlTable& root, AgentConfig& config) {
  TRY(auto table, table_or_empty(root, "heartbeat"));
  TRY(config.heartbeat_interval,
      duration_within(
          table, "interval",
          {milliseconds(100), hours(1), "between 100ms and 1h", config.heartbeat_interval}));
  TRY(config.lateness,
      duration_within(table, "lateness",
                      {milliseconds(0), hours(24), "between 0ms and 1d", config.lateness}));
  return table.finish();
}

/// Where our own commands find the running agent: the http input's socket, else its port.
Result<std::string> local_address(TomlTable& http, const std::string& folder) {
  if (http.has("socket")) {
    TRY(const std::string socket, http.string("socket"));
    return resolve_path(folder, socket);
  }
  return http.string("listen", "");
}

Status read_inputs(TomlTable& root, std::span<const std::string_view> names, AgentConfig& config) {
  TRY(auto tables, table_or_empty(root, "input"));
  for (const std::string_view known : names) {
    if (!tables.has(known)) continue;
    TRY(auto each, tables.one_or_more_tables(known));
    if (known == "http" && !each.empty()) {
      TRY(config.local_address, local_address(each.front(), config.folder));
    }
    config.inputs.emplace_back(known, std::move(each));
  }
  return tables.finish();
}

}  // namespace

std::string resolve_path(const std::string& folder, const std::string& path) {
  if (path.empty()) return path;
  return (std::filesystem::path(folder) / path).lexically_normal().string();
}

Result<AgentConfig> parse_config(const std::string& text, const std::string& file,
                                 std::span<const std::string_view> input_names,
                                 const Machine& machine) {
  TRY(auto root, TomlTable::parse(text, file));
  AgentConfig config;
  config.file = file;
  const auto parent = std::filesystem::path(file).parent_path();
  config.folder = parent.empty() ? "." : parent.string();
  config.hash = sha256(bytes_of(text));
  TRY(config.tenant, name(root, "tenant"));
  TRY(config.device, name(root, "device"));
  TRY(const std::string state, root.string("state"));
  if (state.empty())
    return fail(root.error_at("state", "state is a folder that only the agent writes to"));
  config.state = resolve_path(config.folder, state);
  TRY_VOID(read_broker(root, config));
  TRY_VOID(read_heartbeat(root, config));
  TRY_VOID(read_journal(root, machine, config));
  TRY_VOID(read_batch(root, config));
  TRY_VOID(read_inputs(root, input_names, config));
  TRY_VOID(read_meters(root, config));
  TRY_VOID(root.finish());
  return config;
}

Result<AgentConfig> read_config(const std::string& file,
                                std::span<const std::string_view> input_names) {
  // Absolute, so that what is written into messages and derived from it holds wherever it is read.
  std::error_code ignored;
  const std::string path = std::filesystem::absolute(file, ignored).lexically_normal().string();
  TRY(const std::string text, io::read_file(path, kConfigSizeMax));
  return parse_config(text, path, input_names);
}

}  // namespace ledgerline::agent
