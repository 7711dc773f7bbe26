#include "collector/api/operator_key.h"

#include "collector/core/operators.h"
#include "common/io/private_file.h"

namespace ledgerline::collector {

namespace {

std::string add_command(const CollectorConfig& config, const std::string& key) {
  return "ledgerline-collector operator add NAME " + key + " --config " + config.file;
}

Result<std::unique_ptr<Signer>> read_key(const CollectorConfig& config, const std::string& file) {
  const auto pem = io::read_private_file(file);
  if (!pem && pem.error().code() == Errc::not_found) {
    return fail(Error(Errc::not_found, "there is no operator's key; one is made with: " +
                                           add_command(config, "--out FILE"))
                    .with("file", file));
  }
  if (!pem) return fail(pem.error());
  auto signer = signer_from_pem(*pem);
  if (!signer) return fail(Error(signer.error()).with("file", file));
  return signer;
}

}  // namespace

Result<ActingOperator> acting_operator(const CollectorConfig& config, Store& store,
                                       const std::string& key_file, Timestamp now) {
  if (key_file.empty()) {
    return fail(
        Errc::config,
        std::string("who decides this? Name your private key's file with --key FILE or in ") +
            kOperatorKeyVariable + "; it is made with: " + add_command(config, "--out FILE"));
  }
  TRY(auto signer, read_key(config, key_file));
  TRY(const auto operators, store.operators());
  const KeyId& key = signer->public_key().id();
  const OperatorRow* row = find_operator(operators, key);
  if (row == nullptr) {
    return fail(Error(Errc::reject,
                      "this key is no registered operator's; openssl pkey -in FILE -pubout gives "
                      "its public half, and it is registered with: " +
                          add_command(config, "--public-key FILE"))
                    .with("file", key_file)
                    .with("key", key.hex()));
  }
  if (row->revoked_at) {
    return fail(Error(Errc::reject, "the key of operator \"" + row->name + "\" was revoked at " +
                                        to_rfc3339(*row->revoked_at))
                    .with("file", key_file)
                    .with("key", key.hex()));
  }
  if (now < row->added_at) {
    return fail(Error(Errc::retry,
                      "this clock stands before the registration of the key, so nothing signed now "
                      "would count: mend the clock, or wait")
                    .with("registered_at", to_rfc3339(row->added_at))
                    .with("now", to_rfc3339(now)));
  }
  return ActingOperator{.signer = std::move(signer), .name = row->name};
}

Result<StatementPut> signed_put(LeafKind kind, std::string_view json, Signer& signer,
                                Timestamp at) {
  TRY(SignedStatement made, sign_statement(kind, json, signer));
  return StatementPut{.kind = kind,
                      .id = made.id,
                      .sealed = std::move(made.bytes),
                      .at = at,
                      .expected_count = std::nullopt};
}

}  // namespace ledgerline::collector
