#include "agent/ops/diag_filter.h"

#include <algorithm>
#include <array>
#include <limits>

#include "common/printable.h"

namespace ledgerline::agent {

namespace {

constexpr std::string_view kFolder = "ledgerline-agent-diag/";

/// Keys of the inputs' tables, whichever input it is.
constexpr std::array<std::string_view, 8> kInputKeys = {
    "format", "header", "interval", "listen", "path", "separator", "socket", "trust_time"};

/// Members of status --json by their path; "[]" is each of an array.
constexpr std::array<std::string_view, 79> kStatus = {"running",
                                                      "tenant",
                                                      "device",
                                                      "enrolled",
                                                      "stream",
                                                      "stream_status",
                                                      "next_seq",
                                                      "sealed_upto",
                                                      "head_batch",
                                                      "acked_upto",
                                                      "oldest_batch",
                                                      "receipt_number",
                                                      "heartbeat_number",
                                                      "complete_through",
                                                      "used_bytes",
                                                      "quota_bytes",
                                                      "disk_free_bytes",
                                                      "coarsening",
                                                      "pushed_back",
                                                      "queued_requests",
                                                      "uplink",
                                                      "uplink.connected",
                                                      "uplink.failure",
                                                      "uplink.alarm",
                                                      "uplink.undeliverable",
                                                      "uplink.verdict",
                                                      "uplink.in_flight",
                                                      "uplink.batches_sent",
                                                      "uplink.batches_resent",
                                                      "uplink.receipts",
                                                      "clock",
                                                      "clock.believed",
                                                      "clock.why",
                                                      "clock.seconds",
                                                      "clock.waiting",
                                                      "clock.not_before",
                                                      "log",
                                                      "log.epoch",
                                                      "log.leaves",
                                                      "log.contradicts_itself",
                                                      "diagnostic",
                                                      "diagnostic.stream",
                                                      "diagnostic.stream_status",
                                                      "diagnostic.next_seq",
                                                      "diagnostic.sealed_upto",
                                                      "diagnostic.head_batch",
                                                      "diagnostic.acked_upto",
                                                      "diagnostic.oldest_batch",
                                                      "diagnostic.used_bytes",
                                                      "diagnostic.quota_bytes",
                                                      "diagnostic.dropped",
                                                      "diagnostic.pushed_back",
                                                      "diagnostic.uplink",
                                                      "diagnostic.uplink.connected",
                                                      "diagnostic.uplink.failure",
                                                      "diagnostic.uplink.alarm",
                                                      "inputs",
                                                      "inputs.file",
                                                      "inputs.file[].path",
                                                      "inputs.file[].state",
                                                      "inputs.file[].problem",
                                                      "inputs.file[].offset",
                                                      "inputs.file[].size",
                                                      "inputs.file[].lines",
                                                      "inputs.file[].readings",
                                                      "inputs.file[].bad_lines",
                                                      "inputs.file[].lost_files",
                                                      "inputs.file[].cut_tails",
                                                      "inputs.statsd",
                                                      "inputs.statsd.state",
                                                      "inputs.statsd.lines",
                                                      "inputs.statsd.readings",
                                                      "inputs.statsd.bad_lines",
                                                      "inputs.statsd.kernel_drops",
                                                      "inputs.prometheus",
                                                      "inputs.prometheus[].state",
                                                      "inputs.prometheus[].scrapes",
                                                      "inputs.prometheus[].failed_scrapes",
                                                      "inputs.prometheus[].bad_samples"};

/// Of them those that tell an error in words: what such a text quotes may not leave.
constexpr std::array<std::string_view, 5> kStatusErrors = {
    "uplink.failure", "uplink.alarm", "diagnostic.uplink.failure", "diagnostic.uplink.alarm",
    "inputs.file[].problem"};

template <size_t N>
bool is_in(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Json allowed(const Json& value, const std::string& path) {
  if (value.is(Json::Kind::array)) {
    Json out = Json::array();
    for (const Json& item : value.items()) {
      // An array of texts has no member that could be looked up.
      if (item.is(Json::Kind::object)) out.push(allowed(item, path + "[]"));
    }
    return out;
  }
  if (value.is(Json::Kind::string) && is_in(kStatusErrors, path))
    return Json::string(unquoted(value.text()));
  if (!value.is(Json::Kind::object)) return value;
  Json out = Json::object();
  for (const auto& [name, member] : value.members()) {
    const std::string inner = path.empty() ? name : path + "." + name;
    if (is_in(kStatus, inner)) out.set(name, allowed(member, inner));
  }
  return out;
}

/// As in "the device's key": no quotation begins or ends there.
bool is_apostrophe(std::string_view text, size_t at) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return at > 0 && at + 1 < text.size() && is_letter(text[at - 1]) && is_letter(text[at + 1]);
}

std::string line(std::string_view name, std::string_view value) {
  return std::string(name) + " = " + std::string(value) + "\n";
}
std::string line(std::string_view name, uint64_t value) {
  return line(name, std::to_string(value));
}
std::string line_ms(std::string_view name, Duration value) {
  return line(name, std::to_string(value.count()) + " ms");
}

/// A text, a whole number or a truth, as it was written; else nothing.
std::string scalar(TomlTable table, std::string_view key) {
  if (auto text = table.string(key)) return printable(*text);
  constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
  if (const auto number = table.integer(key, -kAll, kAll)) return std::to_string(*number);
  if (const auto flag = table.boolean(key)) return *flag ? "true" : "false";
  return "(set)";
}

std::string input_text(const std::string& name, const TomlTable& table) {
  std::string out = "\n[input." + name + "]\n";
  std::string others;
  for (const std::string& key : table.keys()) {
    if (is_in(kInputKeys, key)) {
      out += line(key, scalar(table, key));
    } else {
      others += (others.empty() ? "" : ", ") + printable(key);
    }
  }
  return others.empty() ? out : out + "# set, and left out here: " + others + "\n";
}

std::string meter_text(const AgentConfig& config, const MeterRow& row) {
  return "\n[[meter]]\n" + line("name", printable(row.name)) + line("unit", printable(row.unit)) +
         line("kind", to_string(row.kind)) + line("scale", static_cast<uint64_t>(row.scale)) +
         line("version", row.definition_version) +
         line("class", config.diagnostic_meters.contains(row.name) ? "diagnostic" : "billing") +
         line("id", row.forward_ids ? "forward" : "window");
}

}  // namespace

std::string allowed_config(const AgentConfig& config) {
  std::string out = "# What is in force, defaults included; only what may leave the device.\n";
  out +=
      line("file", config.file) + line("sha256", config.hash.hex()) +
      line("tenant", config.tenant) + line("device", config.device) + line("state", config.state) +
      "\n[broker]\n" + line("host", printable(config.broker_host)) +
      line("port", config.broker_port) + line("ca", printable(config.broker_ca)) + "\n[journal]\n" +
      line("quota", config.retention.quota_bytes) +
      line_ms("commit_interval", config.commit_interval) +
      line_ms("idempotency_window", config.retention.idempotency_window) +
      line("diagnostic.quota", config.diagnostic_retention.quota_bytes) + "\n[batch]\n" +
      line("readings_max", config.batch.readings_max) + line_ms("age_max", config.batch.age_max) +
      line("sections", config.batch.sections == Sections::one ? "one" : "by_subject") +
      "\n[heartbeat]\n" + line_ms("interval", config.heartbeat_interval) +
      line_ms("lateness", config.lateness);
  for (const auto& [name, tables] : config.inputs) {
    for (const TomlTable& table : tables) out += input_text(name, table);
  }
  for (const MeterRow& row : config.meters) out += meter_text(config, row);
  return out;
}

Json allowed_status(const Json& status) { return allowed(status, ""); }

std::string allowed_metrics(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1);
    const std::string_view row = text.substr(0, end + 1);
    const bool ours =
        row.starts_with("ledgerline_agent_") && row.find('{') == std::string_view::npos;
    if (ours) out += row;
    text.remove_prefix(row.size());
  }
  return out;
}

std::string unquoted(std::string_view message) {
  std::string out;
  char quote = 0;
  for (size_t at = 0; at < message.size(); ++at) {
    const char c = message[at];
    const bool is_quote = c == '"' || (c == '\'' && !is_apostrophe(message, at));
    if (quote != 0 && !(is_quote && c == quote)) continue;
    out += c;
    if (!is_quote) continue;
    if (quote == 0) out += "...";
    quote = quote == 0 ? c : '\0';
  }
  return printable(out);
}

std::vector<TarFile> diag_files(const std::vector<DiagPart>& parts, size_t size_max) {
  std::string contents =
      "What support needs of this agent, and what it is. There are no keys, passwords, subjects or "
      "metered values in it.\n\n";
  std::vector<TarFile> files;
  for (const DiagPart& part : parts) {
    contents += part.name + ": " + part.what + "\n";
    if (!part.content) {
      contents += "    MISSING: " + unquoted(part.content.error().text()) + "\n";
      continue;
    }
    const bool cut = part.content->size() > size_max;
    if (cut) contents += "    cut at " + std::to_string(size_max) + " bytes\n";
    files.push_back(
        {.name = std::string(kFolder) + part.name, .content = part.content->substr(0, size_max)});
  }
  files.insert(files.begin(),
               {.name = std::string(kFolder) + "contents.txt", .content = std::move(contents)});
  return files;
}

}  // namespace ledgerline::agent
