#include "collector/api/setup.h"

#include <filesystem>

#include "collector/core/enrolling.h"
#include "collector/fold/commerce_loop.h"
#include "collector/store/lmdb_store.h"
#include "common/io/private_file.h"
#include "common/io/system.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kDevicesPerPage = 1000;
constexpr size_t kAccessListMax = size_t{64} << 20;  // 100 000 devices

Result<std::string> read_secret(const std::string& file) {
  if (file.empty()) return std::string();
  TRY(std::string text, io::read_private_file(file, 4096));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

Result<std::string> make_key(const CollectorConfig& config) {
  TRY(std::string made, generate_private_key_pem(KeyAlgorithm::ed25519));
  TRY_VOID(io::write_file_durably(config.key_file(), made, 0600));
  return made;
}

}  // namespace

Result<io::FileLock> lock_setup(const CollectorConfig& config) {
  return io::FileLock::acquire(config.state + "/setup.lock");
}

Result<std::unique_ptr<Store>> open_store(const CollectorConfig& config) {
  TRY_VOID(io::make_folders(config.state, 0700));
  return open_lmdb_store(
      {.folder = config.store_folder(), .map_size_bytes = config.map_size_bytes});
}

Result<std::unique_ptr<Store>> open_existing_store(const CollectorConfig& config) {
  std::error_code ignored;
  if (!std::filesystem::exists(config.store_folder(), ignored)) {
    return fail(Error(Errc::not_found, "this collector has stored nothing yet")
                    .with("folder", config.store_folder()));
  }
  return open_store(config);
}

Result<std::unique_ptr<Signer>> load_or_make_signer(const CollectorConfig& config) {
  auto pem = io::read_private_file(config.key_file());
  if (!pem && pem.error().code() == Errc::not_found) {
    TRY_VOID(io::make_folders(config.state, 0700));
    TRY_VOID(io::make_folders(config.state + "/keys", 0700));
    TRY(const auto lock, lock_setup(config));
    pem = io::read_private_file(config.key_file());  // another command may have made it meanwhile
    if (!pem && pem.error().code() == Errc::not_found) pem = make_key(config);
  }
  if (!pem) return fail(pem.error());
  return signer_from_pem(*pem);
}

Result<Catalog> read_catalog(const CollectorConfig& config) {
  return load_catalog(config.catalog, {.connectors = config.connector_names()});
}

Result<std::vector<std::unique_ptr<Engine>>> open_engines(boost::asio::any_io_executor executor,
                                                          Clock& clock,
                                                          const CollectorConfig& config) {
  std::vector<std::unique_ptr<Engine>> out;
  for (const ConnectorConfig& connector : config.connectors) {
    TRY(const std::string profile, io::read_file(connector.profile, 1 << 20));
    TRY(const std::string password, read_secret(connector.password_file));
    TRY(auto engine, Engine::open(executor, clock,
                                  {.name = connector.name,
                                   .profile_file = connector.profile,
                                   .profile = profile,
                                   .url = connector.url,
                                   .ca_file = connector.ca_file,
                                   .user = connector.user,
                                   .password = password,
                                   .timeout = connector.timeout,
                                   .settings = connector.settings}));
    out.push_back(std::move(engine));
  }
  return out;
}

Status write_access_list(const CollectorConfig& config, Store& store, Timestamp now,
                         bool keep_unknown) {
  if (config.acl_file.empty()) return {};
  // Read from the store only under the lock: a list read before another command's would be written
  // over it.
  TRY(const auto lock, lock_setup(config));
  std::vector<DeviceRow> devices;
  std::string tenant;
  std::string device;
  for (;;) {
    TRY(auto page, store.list_devices({}, tenant, device, kDevicesPerPage));
    if (page.empty()) break;
    tenant = page.back().tenant;
    device = page.back().device;
    std::move(page.begin(), page.end(), std::back_inserter(devices));
  }
  std::string list = access_list(devices, now);
  TRY(const RecoveryMode mode, store.recovery_mode());
  if (mode.active || keep_unknown) {
    const auto before = io::read_file(config.acl_file, kAccessListMax);
    if (before) list += kept_entries(*before, devices);
    if (!before && before.error().code() != Errc::not_found) return fail(before.error());
  }
  // Readable by the broker's user; it names devices and holds no secret.
  return io::write_file_durably(config.acl_file, list, 0644);
}

}  // namespace ledgerline::collector
