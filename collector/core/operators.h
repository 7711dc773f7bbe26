#pragma once
// Operators: people whose signature counts. The collector signs who they are into the evidence log,
// so that a copy of the log says whose key was good when. Pure.

#include <span>

#include "collector/core/statement.h"

namespace ledgerline::collector {

/// Makes a key an operator's, or takes it away again.
struct OperatorStatement {
  std::string name;
  KeyAlgorithm algorithm = KeyAlgorithm::ed25519;
  Bytes public_key;  // DER SubjectPublicKeyInfo
  bool revoked = false;
  std::string by{kByCollector};
  Timestamp at;
  std::string reason;  // may be empty

  [[nodiscard]] std::string json() const;
  /// Errc::corrupt, naming the member.
  static Result<OperatorStatement> parse(std::string_view json);
};

OperatorRow new_operator(const std::string& name, const PublicKey& key, Timestamp now);
/// What the row says last: that the key was revoked, else that it was added.
OperatorStatement statement_of(const OperatorRow& row, const std::string& reason);

/// Whether a statement of the kind counts only with a person's signature: what changes money without
/// being computed from it.
bool needs_person(LeafKind kind);

/// Whether a signature of that time counts.
bool in_force_at(const OperatorRow& row, Timestamp at);
/// The rows hold a key once for each operator that it ever was; the one in force, else any of them.
/// Nullptr for a key that was never registered.
const OperatorRow* find_operator(std::span<const OperatorRow> operators, const KeyId& key);

/// PEM "PUBLIC KEY" of an Ed25519 or P-256 key. Errc::config.
Result<PublicKey> public_key_from_pem(std::string_view pem);
std::string public_key_pem(ByteView der);

/// "ed25519" or "ecdsa-p256-sha256".
std::string_view algorithm_word(KeyAlgorithm algorithm);

}  // namespace ledgerline::collector
