#pragma once
// Who acts: the operator whose private key a command was given, with --key FILE or in the
// environment as LEDGERLINE_OPERATOR_KEY. What they decide is signed with it.

#include <memory>
#include <string>

#include "collector/api/config.h"
#include "collector/store/store.h"
#include "common/crypto.h"

namespace ledgerline::collector {

inline constexpr const char* kOperatorKeyVariable = "LEDGERLINE_OPERATOR_KEY";

struct ActingOperator {
  std::unique_ptr<Signer> signer;
  std::string name;  // as registered with the key
};
/// Errc::config where no file is named, others may read it or it holds no key, Errc::not_found
/// where there is no such file, Errc::reject where the key is no operator's (any
/// more), Errc::retry where it is registered only after `now`.
Result<ActingOperator> acting_operator(const CollectorConfig& config, Store& store,
                                       const std::string& key_file, Timestamp now);

/// The statement signed, as the store takes it: the operator's signer or the collector's.
Result<StatementPut> signed_put(LeafKind kind, std::string_view json, Signer& signer, Timestamp at);

}  // namespace ledgerline::collector
