#include "collector/api/config.h"

#include <algorithm>
#include <filesystem>

#include "common/io/system.h"
#include "common/toml.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kConfigSizeMax = 1 << 20;

class Reader {
 public:
  explicit Reader(const std::string& file) {
    std::error_code ignored;
    folder_ = std::filesystem::absolute(file, ignored).parent_path();
  }

  Result<std::string> path(TomlTable& table, std::string_view key) const {
    TRY(const std::string text, table.string(key));
    if (text.empty()) return fail(table.error_at(key, std::string(key) + " is a path"));
    return resolved(text);
  }
  Result<std::string> path_or_empty(TomlTable& table, std::string_view key) const {
    if (!table.has(key)) return std::string();
    return path(table, key);
  }
  [[nodiscard]] std::string resolved(const std::string& text) const {
    return (folder_ / text).lexically_normal().string();
  }

 private:
  std::filesystem::path folder_;
};

Status read_broker(const Reader& reader, TomlTable& root, CollectorConfig& config) {
  TRY(auto table, root.table("broker"));
  TRY(config.broker_host, table.string("host"));
  TRY(const int64_t port, table.integer("port", 1, 65535, 8883));
  config.broker_port = static_cast<uint16_t>(port);
  TRY(config.broker_ca, reader.path(table, "ca"));
  TRY(config.broker_certificate, reader.path(table, "certificate"));
  TRY(config.broker_private_key, reader.path(table, "private_key"));
  TRY(config.acl_file, reader.path_or_empty(table, "acl_file"));
  return table.finish();
}

Status read_authority(const Reader& reader, TomlTable& root, CollectorConfig& config) {
  TRY(auto table, root.table("authority"));
  TRY(config.authority_certificate, reader.path(table, "certificate"));
  TRY(config.authority_private_key, reader.path(table, "private_key"));
  TRY(config.validity, table.duration("validity", config.validity));
  if (config.validity < std::chrono::hours(1)) {
    return fail(table.error_at("validity", "a device certificate is valid for at least 1h"));
  }
  return table.finish();
}

Status read_store(TomlTable& root, CollectorConfig& config) {
  if (!root.has("store")) return {};
  TRY(auto table, root.table("store"));
  TRY(config.map_size_bytes, table.size("map_size", config.map_size_bytes));
  if (config.map_size_bytes < (uint64_t{1} << 20)) {
    return fail(table.error_at("map_size", "map_size is at least 1MiB"));
  }
  return table.finish();
}

Result<ConnectorConfig> read_connector(const Reader& reader, TomlTable& table) {
  ConnectorConfig out;
  TRY(out.name, table.string("name"));
  if (out.name.empty() || out.name.size() > 63)
    return fail(table.error_at("name", "a connector's name has 1 to 63 bytes"));
  TRY(out.profile, reader.path(table, "profile"));
  TRY(out.url, table.string("url"));
  TRY(out.ca_file, reader.path_or_empty(table, "ca"));
  TRY(out.user, table.string("user", ""));
  TRY(out.password_file, reader.path_or_empty(table, "password_file"));
  TRY(out.timeout, table.duration("timeout", out.timeout));
  if (out.timeout < Duration(100) || out.timeout > std::chrono::minutes(2)) {
    return fail(table.error_at("timeout", "timeout is between 100ms and 2m"));
  }
  TRY(out.settings, table.string_map("settings"));
  TRY_VOID(table.finish());
  return out;
}

Status read_connectors(const Reader& reader, TomlTable& root, CollectorConfig& config) {
  TRY(auto tables, root.tables("connector"));
  for (TomlTable& table : tables) {
    TRY(auto connector, read_connector(reader, table));
    const auto names = config.connector_names();
    if (std::find(names.begin(), names.end(), connector.name) != names.end()) {
      return fail(
          table.error_at("name", "there is a connector \"" + connector.name + "\" already"));
    }
    config.connectors.push_back(std::move(connector));
  }
  return {};
}

}  // namespace

std::vector<std::string> CollectorConfig::connector_names() const {
  std::vector<std::string> out;
  for (const auto& connector : connectors) out.push_back(connector.name);
  return out;
}

Result<CollectorConfig> parse_config(const std::string& text, const std::string& file) {
  TRY(auto root, TomlTable::parse(text, file));
  const Reader reader(file);
  CollectorConfig config;
  config.file = file;
  TRY(config.state, reader.path(root, "state"));
  TRY(config.catalog, reader.path(root, "catalog"));
  TRY(config.listen, root.string("listen", ""));
  TRY_VOID(read_broker(reader, root, config));
  TRY_VOID(read_authority(reader, root, config));
  TRY_VOID(read_store(root, config));
  TRY_VOID(read_connectors(reader, root, config));
  TRY_VOID(root.finish());
  return config;
}

Result<CollectorConfig> read_config(const std::string& file) {
  TRY(const std::string text, io::read_file(file, kConfigSizeMax));
  return parse_config(text, file);
}

}  // namespace ledgerline::collector
