// operator add, list, revoke; keys.

#include <unistd.h>

#include <algorithm>
#include <set>

#include "collector/api/commands.h"
#include "collector/api/operator_key.h"
#include "collector/api/setup.h"
#include "collector/api/table.h"
#include "collector/core/operators.h"
#include "collector/intake/log_epoch.h"
#include "common/exit_code.h"
#include "common/io/private_file.h"
#include "common/io/system.h"
#include "common/json.h"
#include "common/printable.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kKeyFileMax = 64 * 1024;
constexpr size_t kShortKeyId = 8;
constexpr size_t kDevicesPerPage = 1000;

Status check_operator_name(const std::string& name) {
  TRY_VOID(check_name("operator", name));
  if (name != kByCollector && name != "auto") return {};
  return fail(Error(Errc::reject, "this name says that no person decided: take another one")
                  .with("operator", name));
}

Status put(const CollectorConfig& config, Store& store, const OperatorRow& row,
           const std::string& reason) {
  TRY(auto signer, load_or_make_signer(config));
  TRY_VOID(store.ensure_origin(first_epoch(signer->public_key())));
  const OperatorStatement statement = statement_of(row, reason);
  TRY(const StatementPut signed_statement,
      signed_put(LeafKind::operator_key, statement.json(), *signer, statement.at));
  return store.put_operator(row, signed_statement);
}

Json as_json(const OperatorRow& row) {
  return Json::object(
      {{"name", Json::string(row.name)},
       {"key", Json::string(row.key.hex())},
       {"algorithm", Json::string(std::string(algorithm_word(row.algorithm)))},
       {"added_at", Json::string(to_rfc3339(row.added_at))},
       {"revoked_at", row.revoked_at ? Json::string(to_rfc3339(*row.revoked_at)) : Json::null()}});
}

/// The key is written before it is registered: one that nobody has would block the name. Where the
/// store refuses it, the file goes again.
Status add_with_new_key(const CollectorConfig& config, Store& store, const CommandLine& options,
                        Timestamp now) {
  TRY(const std::string pem, generate_private_key_pem(KeyAlgorithm::ed25519));
  TRY(const auto signer, signer_from_pem(pem));
  TRY_VOID(io::write_new_private_file(options.out, pem));
  Status stored =
      put(config, store, new_operator(options.name, signer->public_key(), now), options.reason);
  if (!stored) ::unlink(options.out.c_str());
  return stored;
}

Status add_with_public_key(const CollectorConfig& config, Store& store, const CommandLine& options,
                           Timestamp now) {
  TRY(const std::string pem, io::read_file(options.public_key, kKeyFileMax));
  const auto key = public_key_from_pem(pem);
  if (!key) return fail(Error(key.error()).with("file", options.public_key));
  return put(config, store, new_operator(options.name, *key, now), options.reason);
}

/// Nullptr where the name has no key in force.
const OperatorRow* named(const std::vector<OperatorRow>& operators, const std::string& name) {
  for (const OperatorRow& row : operators) {
    if (row.name == name && !row.revoked_at) return &row;
  }
  return nullptr;
}

/// Writes each key under its plain name, or with the beginning of its id where that is taken.
class KeyFolder {
 public:
  explicit KeyFolder(std::string folder) : folder_(std::move(folder)) {}

  Status write(const std::string& name, const KeyId& id, ByteView der) {
    std::string file = name + ".pem";
    if (!written_.insert(file).second) {
      file = name + "." + id.hex().substr(0, kShortKeyId) + ".pem";
      if (!written_.insert(file).second) file = name + "." + id.hex() + ".pem";
    }
    return io::write_file_durably(folder_ + "/" + file, public_key_pem(der), 0644);
  }
  [[nodiscard]] size_t count() const { return written_.size(); }

 private:
  std::string folder_;
  std::set<std::string> written_;
};

/// Of one operator or device: the one in force, then the newest first.
template <class Key>
void plain_name_first(std::vector<Key>& keys) {
  std::stable_sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) {
    return std::pair(!a.revoked_at, a.added_at) > std::pair(!b.revoked_at, b.added_at);
  });
}

Result<size_t> write_operator_keys(Store& store, const std::string& folder) {
  TRY_VOID(io::make_folders(folder));
  TRY(auto operators, store.operators());
  plain_name_first(operators);
  KeyFolder files(folder);
  for (const OperatorRow& row : operators) TRY_VOID(files.write(row.name, row.key, row.public_key));
  return files.count();
}

Result<size_t> write_device_keys(Store& store, const std::string& folder) {
  TRY_VOID(io::make_folders(folder));
  KeyFolder files(folder);
  std::string tenant;
  std::string device;
  for (;;) {
    TRY(auto page, store.list_devices({}, tenant, device, kDevicesPerPage));
    if (page.empty()) return files.count();
    tenant = page.back().tenant;
    device = page.back().device;
    for (DeviceRow& row : page) {
      plain_name_first(row.keys);
      for (const DeviceKey& key : row.keys)
        TRY_VOID(files.write(row.tenant + "." + row.device, key.id, key.public_key));
    }
  }
}

}  // namespace

Result<int> add_operator(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                         std::ostream& out) {
  TRY_VOID(check_operator_name(options.name));
  TRY(auto store, open_store(config));
  TRY_VOID(options.out.empty() ? add_with_public_key(config, *store, options, clock.now())
                               : add_with_new_key(config, *store, options, clock.now()));
  TRY(const auto operators, store->operators());
  const OperatorRow* row = named(operators, options.name);
  if (row == nullptr) return fail(Errc::conflict, "the operator was revoked meanwhile");
  out << "operator " << row->name << "\nkey " << row->key.hex() << " (SHA-256 of the public key)\n";
  if (!options.out.empty()) {
    out << "private key: " << options.out << " (mode 0600; give it to " << row->name
        << " and keep no copy)\n";
  }
  return kExitOk;
}

Result<int> list_operators(const CollectorConfig& config, const CommandLine& options,
                           std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  TRY(const auto operators, store->operators());
  Json list = Json::array();
  TextTable table({"NAME", "KEY", "ALGORITHM", "ADDED", "REVOKED"});
  for (const OperatorRow& row : operators) {
    list.push(as_json(row));
    table.add({row.name, row.key.hex().substr(0, 16), std::string(algorithm_word(row.algorithm)),
               to_rfc3339(row.added_at), row.revoked_at ? to_rfc3339(*row.revoked_at) : "-"});
  }
  if (options.json) {
    out << list.dump() << "\n";
  } else {
    table.print(out);
  }
  return kExitOk;
}

Result<int> revoke_operator(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                            std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  TRY(const auto operators, store->operators());
  const OperatorRow* found = named(operators, options.name);
  if (found == nullptr) {
    return fail(Error(Errc::not_found, "no operator of this name has a key in force")
                    .with("operator", options.name));
  }
  OperatorRow row = *found;
  row.revoked_at = clock.now();
  TRY_VOID(put(config, *store, row, options.reason));
  out << "revoked key " << row.key.hex().substr(0, 16) << " of " << row.name
      << "; what it signed before counts, nothing from now on\n";
  return kExitOk;
}

Result<int> export_keys(const CollectorConfig& config, const CommandLine& options,
                        std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  TRY(auto signer, load_or_make_signer(config));
  TRY_VOID(io::make_folders(options.out));
  TRY_VOID(io::write_file_durably(options.out + "/collector.pem",
                                  public_key_pem(signer->public_key().der()), 0644));
  TRY(const size_t operators, write_operator_keys(*store, options.out + "/operators"));
  TRY(const size_t devices, write_device_keys(*store, options.out + "/devices"));
  out << options.out << ": the collector's public key, " << operators << " of operators, "
      << devices << " of devices\n";
  return kExitOk;
}

}  // namespace ledgerline::collector
