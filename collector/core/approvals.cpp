#include "collector/core/approvals.h"

#include <algorithm>

#include "collector/core/operators.h"

namespace ledgerline::collector {

namespace {

constexpr std::string_view kApproved = "approved";
constexpr std::string_view kRefused = "refused";

Json text(std::string value) { return Json::string(std::move(value)); }
Json number(uint64_t value) { return Json::number(std::to_string(value)); }

tl::unexpected<Error> nobody(const std::string& why) {
  return fail(Errc::reject, "approved by nobody whose signature counts: " + why);
}

/// The operator who signed it, by the key and the name that the statement gives.
const OperatorRow* signer_of(const OpenStatement& open, const ApprovalStatement& statement,
                             std::span<const OperatorRow> operators) {
  const auto found = std::find_if(operators.begin(), operators.end(), [&](const OperatorRow& row) {
    return row.key == open.key && row.name == statement.by;
  });
  return found == operators.end() ? nullptr : &*found;
}

Status check_signature(const OpenStatement& open, const ApprovalStatement& statement,
                       std::span<const OperatorRow> operators) {
  const OperatorRow* row = signer_of(open, statement, operators);
  if (row == nullptr) return nobody("its key is no operator's of the name " + statement.by);
  TRY(const PublicKey key, PublicKey::from_der(row->algorithm, row->public_key));
  if (key.id() != open.key || !verify(open.message, key))
    return nobody("the signature is not that of operator " + row->name);
  if (in_force_at(*row, statement.at)) return {};
  return nobody("the key of operator " + row->name + " was not in force at " +
                to_rfc3339(statement.at));
}

}  // namespace

std::string ApprovalStatement::json() const {
  return Json::object({{"format", Json::number(1)},
                       {"tenant", text(tenant)},
                       {"document", text(document)},
                       {"revision", number(revision)},
                       {"sha256", text(sha256.hex())},
                       {"verdict", text(std::string(approved ? kApproved : kRefused))},
                       {"by", text(by)},
                       {"at", text(to_rfc3339(at))},
                       {"reason", text(reason)}})
      .dump();
}

Result<ApprovalStatement> ApprovalStatement::parse(std::string_view json) {
  TRY(const Json parsed, parse_json(json));
  StatementReader in(parsed);
  ApprovalStatement out;
  if (in.number("format") != 1) in.fault("format", "1");
  out.tenant = in.text("tenant");
  out.document = in.text("document");
  out.revision = static_cast<uint32_t>(in.number("revision"));
  out.sha256 = in.digest("sha256");
  out.approved = in.text("verdict") == kApproved;
  out.by = in.text("by");
  out.at = in.time("at");
  out.reason = in.text("reason");
  TRY_VOID(in.end());
  TRY_VOID(check_canonical(json, out.json()));
  return out;
}

ApprovalStatement decision_about(const DocumentRow& document, bool approved, const std::string& by,
                                 Timestamp at, const std::string& reason) {
  ApprovalStatement out;
  out.tenant = document.tenant;
  out.document = document.id;
  out.revision = document.revision;
  out.sha256 = ledgerline::sha256(bytes_of(document.body));
  out.approved = approved;
  out.by = by;
  out.at = at;
  out.reason = reason;
  return out;
}

Result<bool> needs_approval(const DocumentRow& document) {
  TRY(const Json body, parse_json(document.body));
  const Json* approval = body.find("approval");
  return approval != nullptr && approval->text() != "auto";
}

Status check_approval(const DocumentRow& document, const std::optional<LogEntry>& leaf,
                      std::span<const OperatorRow> operators) {
  if (!leaf) return nobody("the evidence log holds no approval of it");
  const auto open = open_statement(LeafKind::approval, leaf->sealed);
  if (leaf->kind != LeafKind::approval || !open || open->id != leaf->data)
    return nobody("leaf " + std::to_string(leaf->leaf) + " is no approval");
  const auto statement = ApprovalStatement::parse(open->json);
  if (!statement) return nobody(statement.error().text());
  TRY_VOID(check_signature(*open, *statement, operators));
  if (statement->tenant != document.tenant || statement->document != document.id ||
      statement->revision != document.revision)
    return fail(Errc::reject, "the approval is of another document: " + statement->document +
                                  " revision " + std::to_string(statement->revision));
  if (!statement->approved)
    return fail(Errc::reject, "operator " + statement->by + " refused the document");
  if (statement->sha256 == sha256(bytes_of(document.body))) return {};
  return fail(Errc::reject, "the approval is of another body: what operator " + statement->by +
                                " approved has SHA-256 " + statement->sha256.hex());
}

}  // namespace ledgerline::collector
