#pragma once
// Statements: what operators and the collector sign into the evidence log beside the devices'
// batches. A statement is compact JSON (ARCHITECTURE.md "Evidence" lists the members of each kind)
// in a Signed message of its own payload type; its id is the leaf's data. The kinds' own structs
// are close_statement.h and others. Pure.

#include <string>
#include <string_view>

#include "collector/core/records.h"
#include "common/json.h"
#include "common/messages.h"

namespace ledgerline::collector {

/// The kind's word in payload types and ids, e.g. "catalog-version"; nothing for batches and
/// tombstones, which are no statements.
std::string_view statement_word(LeafKind kind);
/// "application/vnd.ledgerline.WORD.v1+json"
std::string statement_type(LeafKind kind);
/// SHA-256("ledgerline/WORD/v1" || NUL || body)
Digest statement_id(LeafKind kind, ByteView body);

/// `by` where nobody but the collector decided.
inline constexpr std::string_view kByCollector = "collector";

struct SignedStatement {
  LeafKind kind = LeafKind::approval;
  Digest id;
  Bytes bytes;  // Signed
};
Result<SignedStatement> sign_statement(LeafKind kind, std::string_view json, Signer& signer);

/// A statement as kept: parsed, nothing believed yet.
struct OpenStatement {
  Digest id;
  KeyId key;
  std::string json;
  SignedMessage message;  // for verify()
};
/// Errc::corrupt where the bytes are no Signed message of the kind.
Result<OpenStatement> open_statement(LeafKind kind, ByteView bytes);

/// Reads a statement's members in their order. The first fault stays; later reads give empty
/// values. Members must have exactly the names asked for, in that order.
class StatementReader {
 public:
  explicit StatementReader(const Json& object);

  std::string text(std::string_view name);
  /// Null or text.
  std::optional<std::string> optional_text(std::string_view name);
  uint64_t number(std::string_view name);
  Decimal decimal(std::string_view name);
  Timestamp time(std::string_view name);
  bool flag(std::string_view name);
  Digest digest(std::string_view name);
  std::optional<Digest> optional_digest(std::string_view name);
  /// Of any kind.
  const Json& any(std::string_view name);
  const std::vector<Json>& array(std::string_view name);
  StreamId stream(std::string_view name);

  void fault(std::string_view name, std::string_view expected);
  /// Errc::corrupt for the first fault, or for members beyond those asked for.
  Status end();

 private:
  const Json* next(std::string_view name, Json::Kind kind, std::string_view expected);

  const Json& object_;
  size_t at_ = 0;
  std::optional<Error> error_;
};

/// What was parsed must say the very same text again: there is one encoding of a statement.
/// Errc::corrupt.
Status check_canonical(std::string_view json, std::string_view again);

}  // namespace ledgerline::collector
