#pragma once
// collector.toml, read whole or refused with file:line:column.

#include <string>
#include <utility>
#include <vector>

#include "common/result.h"
#include "common/time.h"

namespace ledgerline::collector {

struct ConnectorConfig {
  std::string name;
  std::string profile;  // file
  std::string url;
  std::string ca_file;  // empty: the system's certificate authorities
  std::string user;
  std::string password_file;
  Duration timeout{30'000};
  std::vector<std::pair<std::string, std::string>> settings;
};

/// Every path is absolute or relative to where the process runs; in the file they are relative to
/// the file.
struct CollectorConfig {
  std::string file;
  std::string state;
  std::string catalog;
  std::string listen;
  std::string broker_host;
  uint16_t broker_port = 8883;
  std::string broker_ca;
  std::string broker_certificate;
  std::string broker_private_key;
  std::string acl_file;  // empty: the broker's access list is somebody else's
  std::string authority_certificate;
  std::string authority_private_key;
  Duration validity = std::chrono::hours(24 * 365);
  uint64_t map_size_bytes = uint64_t{64} << 30;
  std::vector<ConnectorConfig> connectors;

  [[nodiscard]] std::string store_folder() const { return state + "/store"; }
  /// Beside the store: a copy of the store that is put back leaves it as it is.
  [[nodiscard]] std::string checkpoint_file() const { return state + "/checkpoint"; }
  [[nodiscard]] std::string key_file() const { return state + "/keys/collector.pem"; }
  [[nodiscard]] std::vector<std::string> connector_names() const;
};

Result<CollectorConfig> parse_config(const std::string& text, const std::string& file);
Result<CollectorConfig> read_config(const std::string& file);

}  // namespace ledgerline::collector
