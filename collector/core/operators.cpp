#include "collector/core/operators.h"

namespace ledgerline::collector {

namespace {

constexpr const char* kLabel = "PUBLIC KEY";
constexpr KeyAlgorithm kAlgorithms[] = {KeyAlgorithm::ed25519, KeyAlgorithm::ecdsa_p256_sha256};

Json text(std::string value) { return Json::string(std::move(value)); }

Result<KeyAlgorithm> algorithm_of(std::string_view word) {
  for (const KeyAlgorithm one : kAlgorithms) {
    if (algorithm_word(one) == word) return one;
  }
  return fail(Error(Errc::corrupt, "an operator's key has an unknown algorithm")
                  .with("algorithm", std::string(word)));
}

}  // namespace

std::string OperatorStatement::json() const {
  return Json::object({{"format", Json::number(1)},
                       {"name", text(name)},
                       {"algorithm", text(std::string(algorithm_word(algorithm)))},
                       {"public_key", text(to_hex(public_key))},
                       {"revoked", Json::boolean(revoked)},
                       {"by", text(by)},
                       {"at", text(to_rfc3339(at))},
                       {"reason", text(reason)}})
      .dump();
}

Result<OperatorStatement> OperatorStatement::parse(std::string_view json) {
  TRY(const Json parsed, parse_json(json));
  StatementReader in(parsed);
  OperatorStatement out;
  if (in.number("format") != 1) in.fault("format", "1");
  out.name = in.text("name");
  const std::string algorithm = in.text("algorithm");
  const auto key = from_hex(in.text("public_key"));
  if (!key) in.fault("public_key", "hexadecimal digits");
  out.revoked = in.flag("revoked");
  out.by = in.text("by");
  out.at = in.time("at");
  out.reason = in.text("reason");
  TRY_VOID(in.end());
  out.public_key = *key;
  TRY(out.algorithm, algorithm_of(algorithm));
  TRY_VOID(check_canonical(json, out.json()));
  return out;
}

OperatorRow new_operator(const std::string& name, const PublicKey& key, Timestamp now) {
  return {.name = name,
          .algorithm = key.algorithm(),
          .key = key.id(),
          .public_key = key.der(),
          .added_at = now,
          .revoked_at = std::nullopt};
}

OperatorStatement statement_of(const OperatorRow& row, const std::string& reason) {
  OperatorStatement out;
  out.name = row.name;
  out.algorithm = row.algorithm;
  out.public_key = row.public_key;
  out.revoked = row.revoked_at.has_value();
  out.at = row.revoked_at.value_or(row.added_at);
  out.reason = reason;
  return out;
}

bool needs_person(LeafKind kind) {
  return kind == LeafKind::catalog_version || kind == LeafKind::mapping_version ||
         kind == LeafKind::correction || kind == LeafKind::gap_acceptance ||
         kind == LeafKind::approval;
}

bool in_force_at(const OperatorRow& row, Timestamp at) {
  return row.added_at <= at && (!row.revoked_at || at < *row.revoked_at);
}

const OperatorRow* find_operator(std::span<const OperatorRow> operators, const KeyId& key) {
  const OperatorRow* found = nullptr;
  for (const OperatorRow& row : operators) {
    if (row.key != key) continue;
    if (!row.revoked_at) return &row;
    found = &row;
  }
  return found;
}

Result<PublicKey> public_key_from_pem(std::string_view pem) {
  const auto der = pem_decode(kLabel, pem);
  if (der) {
    for (const KeyAlgorithm algorithm : kAlgorithms) {
      auto key = PublicKey::from_der(algorithm, *der);
      if (key) return key;
    }
  }
  return fail(Errc::config,
              "this is no public key of Ed25519 or P-256 in PEM; from a private key: openssl pkey "
              "-in FILE -pubout");
}

std::string public_key_pem(ByteView der) { return pem_encode(kLabel, der); }

std::string_view algorithm_word(KeyAlgorithm algorithm) {
  return algorithm == KeyAlgorithm::ed25519 ? "ed25519" : "ecdsa-p256-sha256";
}

}  // namespace ledgerline::collector
