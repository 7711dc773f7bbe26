#pragma once
// The approval statement: an operator's decision about one document, bound to its body's bytes.
// What nobody approved is not sent. Pure.

#include <span>

#include "collector/core/statement.h"

namespace ledgerline::collector {

struct ApprovalStatement {
  std::string tenant;
  std::string document;
  uint32_t revision = 1;
  Digest sha256;  // of the document's body
  bool approved = true;
  std::string by;
  Timestamp at;
  std::string reason;  // may be empty

  [[nodiscard]] std::string json() const;
  /// Errc::corrupt, naming the member.
  static Result<ApprovalStatement> parse(std::string_view json);
};

ApprovalStatement decision_about(const DocumentRow& document, bool approved, const std::string& by,
                                 Timestamp at, const std::string& reason);

/// Whether a person has to approve it: its body says so. Errc::reject where the body is no JSON.
Result<bool> needs_approval(const DocumentRow& document);

/// Whether this leaf of the evidence log lets the document leave: signed by an operator whose key
/// was in force then, about this very body. Errc::reject says why not.
Status check_approval(const DocumentRow& document, const std::optional<LogEntry>& leaf,
                      std::span<const OperatorRow> operators);

}  // namespace ledgerline::collector
