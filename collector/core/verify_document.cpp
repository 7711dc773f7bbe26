// The document: the one that the close names, and what it says beside its quantities.
#include <algorithm>

#include "collector/core/approvals.h"
#include "collector/core/document_parts.h"
#include "collector/core/verification.h"

namespace ledgerline::collector {

namespace {

Error refuse(std::string what) { return Error(Errc::corrupt, std::move(what)); }

std::string member_text(const Json& json, std::string_view name) {
  const Json* value = json.find(name);
  return value != nullptr && value->is(Json::Kind::string) ? value->text() : std::string();
}

std::string dumped(const Json& json, std::string_view name) {
  const Json* value = json.find(name);
  return value == nullptr ? std::string() : value->dump();
}

Result<Decimal> total_of(const Json& lines) {
  Decimal out;
  for (const Json& line : lines.items()) {
    TRY(const Decimal amount, Decimal::parse(member_text(line, "amount")));
    TRY(out, add(out, amount));
  }
  return out;
}

}  // namespace

Status Verification::check_document() {
  const std::string& body = bundle_.documents.front();
  const Digest hash = sha256(bytes_of(body));
  std::vector<CloseStatement> closes;
  for (const Statement& statement : statements_) {
    if (statement.kind != LeafKind::close) continue;
    TRY(closes.emplace_back(), CloseStatement::parse(statement.json));
  }
  const auto found = std::find_if(closes.begin(), closes.end(), [&](const CloseStatement& one) {
    return one.document && one.document->sha256 == hash;
  });
  if (found == closes.end())
    return fail(refuse("no close statement names the document byte for byte"));
  close_ = *found;
  if (close_.document->id != bundle_.question.document)
    return fail(refuse("the document is another one than was asked for"));
  const auto parsed = parse_json(body);
  if (!parsed) return fail(refuse("the document is no JSON"));
  document_ = *parsed;
  for (const CloseStatement& one : closes) {
    const bool same = one.tenant == close_.tenant && one.contract == close_.contract &&
                      one.period == close_.period;
    if (same && one.revision + 1 == close_.revision) before_ = one;
  }
  if (close_.revision > 1 && !before_)
    return fail(refuse("the close statement that the adjustment is the difference to is missing"));
  const bool named = member_text(document_, "contract") == close_.contract &&
                     member_text(document_, "tenant") == close_.tenant;
  if (!named) return fail(refuse("the document is of another contract than its close statement"));
  if (close_.document->revision != bundle_.question.revision)
    return fail(refuse("the document is of another revision than was asked for"));
  proven("document: " + close_.document->id + " of contract " + close_.contract + ", " +
         period_text() + ", is the one that the close statement (revision " +
         std::to_string(close_.revision) + ", by " + close_.by + " at " + to_rfc3339(close_.at) +
         ") names by its hash");
  return {};
}

Status Verification::check_header() {
  const Account* account = catalog_->account(contract_->account);
  if (account == nullptr)
    return fail(refuse("the account of the contract is not among the entries shown"));
  TRY(const Json period, period_json(contract_->rule.zone(), close_.period, close_.zone_database));
  const std::vector<std::pair<std::string, Json>> wanted{
      {"kind", Json::string(std::string(close_.revision == 1 ? kBillingSummary : kAdjustment))},
      {"id", Json::string(close_.document->id)},
      {"account", account_json(*account)},
      {"approval", Json::string(contract_->approval == Approval::automatic ? "auto" : "manual")},
      {"currency", Json::string(contract_->currency)},
      {"period", period}};
  for (const auto& [name, value] : wanted) {
    if (dumped(document_, name) == value.dump()) continue;
    return fail(refuse("the document's " + name + " is " + dumped(document_, name) +
                       ", but contract and close statement give " + value.dump()));
  }
  if (bundle_.question.line != 0) {
    report_.not_proven.push_back("the document's other lines and its total");
    return {};
  }
  const Json* lines = document_.find("lines");
  if (lines == nullptr) return fail(refuse("the document has no lines"));
  const auto total = total_of(*lines);
  const auto stated = Decimal::parse(member_text(document_, "untaxed_total"));
  if (!total || !stated || *total != *stated)
    return fail(refuse("the document's total is not the sum of its lines"));
  return {};
}

Status Verification::check_approval() {
  bool approved = false;
  for (const Statement& statement : statements_) {
    if (statement.kind != LeafKind::approval) continue;
    TRY(const auto said, ApprovalStatement::parse(statement.json));
    const bool about_it = said.tenant == close_.tenant && said.document == close_.document->id &&
                          said.revision == bundle_.question.revision &&
                          said.sha256 == close_.document->sha256;
    if (!about_it) {
      return fail(refuse("the approval at leaf " + std::to_string(statement.leaf) +
                         " is of another document"));
    }
    if (!said.approved) {
      return fail(
          refuse("operator " + said.by + " refused the document at " + to_rfc3339(said.at)));
    }
    approved = true;
    proven("approval: approved by " + said.by + " at " + to_rfc3339(said.at) +
           ", who signed the document's hash");
  }
  if (!approved && contract_->approval != Approval::automatic) {
    report_.not_proven.push_back(
        "that anybody approved the document: its contract asks for it, and no approval is shown");
  }
  return {};
}

Status Verification::compare_lines(const LineKey& key, const std::vector<RatedLine>& lines) {
  const std::string name = key.first + ", " + key.second;
  const Json* all = document_.find("lines");
  if (all == nullptr) return fail(refuse("the document has no lines"));
  std::optional<Adjusts> adjusts;
  if (before_) {
    adjusts.emplace();
    for (const CloseStatement::Line& line : before_->lines)
      adjusts->booked[{line.subscription, line.meter}] = line.quantity;
  }
  size_t at = 0;
  for (size_t i = 0; i < all->items().size(); ++i) {
    const Json& stated = all->items()[i];
    if (member_text(stated, "subscription") != key.first ||
        member_text(stated, "meter") != key.second)
      continue;
    if (at == lines.size()) break;
    const RatedLine& line = lines[at++];
    const std::string expected = line_json(line, i, adjusts).dump();
    if (stated.dump() != expected) {
      return fail(refuse("line " + std::to_string(i + 1) + " of the document is " + stated.dump() +
                         ", but the evidence comes to " + expected));
    }
    proven("line " + std::to_string(i + 1) + ": " + line.billable_quantity.text() + " " +
           line.unit + " x " + line.unit_price.text() + " " + contract_->currency + " = " +
           line.amount.text() + " " + contract_->currency + " (rate card " + line.rate_card +
           ", version " + std::to_string(line.rate_card_version) + ", tier from " +
           line.tier_from.text() + ")");
  }
  const auto stated = std::count_if(all->items().begin(), all->items().end(), [&](const Json& one) {
    return member_text(one, "subscription") == key.first && member_text(one, "meter") == key.second;
  });
  if (static_cast<size_t>(stated) != lines.size())
    return fail(refuse("the document has another number of lines for " + name +
                       " than its price has tiers in use"));
  return {};
}

}  // namespace ledgerline::collector
