// What the log says: checkpoint, statements, versions.
#include <algorithm>

#include "collector/core/approvals.h"
#include "collector/core/catalog_version.h"
#include "collector/core/operators.h"
#include "collector/core/verification.h"

namespace ledgerline::collector {

namespace {

Error refuse(std::string what) { return Error(Errc::corrupt, std::move(what)); }

std::string count_text(size_t count, const std::string& one) {
  return std::to_string(count) + " " + one + (count == 1 ? "" : "s");
}

/// Without the rest of the statement's members: each kind reads its own.
std::string member_text(const Json& json, std::string_view name) {
  const Json* value = json.find(name);
  return value != nullptr && value->is(Json::Kind::string) ? value->text() : std::string();
}

}  // namespace

Status Verification::check_checkpoint() {
  const auto note = open_checkpoint(bundle_.checkpoint);
  if (!note) return fail(refuse("the checkpoint: " + note.error().message()));
  const bool ours =
      std::any_of(keys_.collectors.begin(), keys_.collectors.end(),
                  [&](const PublicKey& key) { return verify_checkpoint(*note, key).has_value(); });
  if (!ours) return fail(refuse("the checkpoint is not signed by the collector"));
  checkpoint_ = note->checkpoint;
  std::string text = "checkpoint: the collector signed its log of " +
                     count_text(checkpoint_.size, "leaf") + ", " + checkpoint_.origin;
  bool witnessed = false;
  for (const Witness& witness : keys_.witnesses) {
    TRY(const auto signatures, cosignatures_of(*note, witness));
    if (signatures.empty()) continue;
    witnessed = true;
    text += "; witness " + witness.name + " saw it at " +
            to_rfc3339(Timestamp(signatures.front().at_unix_s * 1000));
  }
  if (!witnessed) {
    report_.not_proven.push_back(
        "that the collector shows everybody the same log: no witness that --keys knows has signed "
        "the checkpoint (devices compare checkpoints on their own)");
  }
  proven(std::move(text));
  return {};
}

Status Verification::check_signer(const OpenStatement& statement, const std::string& by,
                                  const std::string& name) const {
  const auto signed_by = [&](const std::vector<PublicKey>& keys) {
    return std::any_of(keys.begin(), keys.end(), [&](const PublicKey& key) {
      return verify(statement.message, key).has_value();
    });
  };
  if (by == kByCollector) {
    if (signed_by(keys_.collectors)) return {};
    return fail(refuse("the " + name + " says it is the collector's, whose signature it lacks"));
  }
  const auto found = keys_.operators.find(by);
  if (found == keys_.operators.end())
    return fail(refuse("the " + name + " is by \"" + by + "\", an operator that --keys lacks"));
  if (signed_by(found->second)) return {};
  return fail(refuse("the " + name + " says it is by \"" + by + "\", whose signature it lacks"));
}

Result<Verification::Statement> Verification::checked(const BundleStatement& part) const {
  const std::string name =
      std::string(statement_word(part.kind)) + " at leaf " + std::to_string(part.path.index);
  const auto open = open_statement(part.kind, part.signed_bytes);
  if (!open) return fail(refuse("the " + name + " cannot be read"));
  const auto json = parse_json(open->json);
  if (!json) return fail(refuse("the " + name + " is no JSON"));
  const std::string by = member_text(*json, "by");
  if (needs_person(part.kind) && by == kByCollector)
    return fail(refuse("the " + name + " is signed by nobody but the collector"));
  TRY_VOID(check_signer(*open, by, name));
  if (!verify_inclusion(leaf_hash(open->id.view()), part.path.index, checkpoint_.size,
                        part.path.hashes, checkpoint_.root))
    return fail(refuse("the " + name + " is not in the log of the checkpoint"));
  return Statement{part.kind, part.path.index, open->id, open->json, part.signed_bytes};
}

Status Verification::check_statements() {
  std::map<std::string, size_t> counts;
  for (const BundleStatement& part : bundle_.statements) {
    TRY(statements_.emplace_back(), checked(part));
    ++counts[std::string(statement_word(part.kind))];
    if (part.kind == LeafKind::correction) TRY_VOID(take_correction(statements_.back()));
  }
  corrections_.emplace(correction_rows_);
  std::string text = "statements: signed by whom they name, and leaves of that log:";
  for (const auto& [word, count] : counts) text += " " + count_text(count, word);
  proven(std::move(text));
  return {};
}

Status Verification::take_correction(const Statement& statement) {
  // The fold's own reading of it.
  const LogEntry leaf{.leaf = statement.leaf,
                      .kind = LeafKind::correction,
                      .data = statement.id,
                      .stream = {},
                      .number = 0,
                      .received_at = {},
                      .sealed = statement.signed_bytes};
  CorrectionFold folded = fold_correction(leaf);
  if (!folded.row) {
    return fail(
        refuse("the correction at leaf " + std::to_string(statement.leaf) + " cannot be taken"));
  }
  correction_rows_.push_back(std::move(*folded.row));
  if (folded.usage) added_.push_back(std::move(*folded.usage));
  return {};
}

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
  proven("document: " + close_.document->id + " of contract " + close_.contract + ", " +
         period_text() + ", is the one that the close statement (revision " +
         std::to_string(close_.revision) + ", by " + close_.by + " at " + to_rfc3339(close_.at) +
         ") names by its hash");
  return {};
}

Status Verification::check_approval() {
  bool decided = false;
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
    decided = true;
    proven(std::string("approval: ") + (said.approved ? "approved" : "refused") + " by " + said.by +
           " at " + to_rfc3339(said.at) + ", who signed the document's hash");
  }
  const std::string rule = member_text(document_, "approval");
  if (!decided && !rule.empty() && rule != "auto") {
    report_.not_proven.push_back(
        "that anybody approved the document: it needs approval, and none is shown");
  }
  return {};
}

Result<std::vector<std::string>> Verification::entries_of(const std::optional<Digest>& version,
                                                          LeafKind kind) {
  const std::string name = std::string(statement_word(kind));
  if (!version) return std::vector<std::string>();
  const auto statement =
      std::find_if(statements_.begin(), statements_.end(),
                   [&](const Statement& one) { return one.kind == kind && one.id == *version; });
  if (statement == statements_.end())
    return fail(refuse("the " + name + " that the close statement names is missing"));
  TRY(const auto body, CatalogVersion::parse(statement->json));
  std::vector<std::string> out;
  for (const BundleEntry& entry : bundle_.entries) {
    if (entry.version != *version) continue;
    const Digest hash = entry_hash(entry.entry);
    if (!verify_inclusion(leaf_hash(hash.view()), entry.path.index, body.entries, entry.path.hashes,
                          body.root)) {
      return fail(refuse("an entry of " + name + " " + std::to_string(body.number) +
                         " is not what " + body.by + " signed: " + entry_name(entry.entry.text)));
    }
    out.push_back(entry.entry.text);
  }
  proven(name + " " + std::to_string(body.number) + ": signed by " + body.by + " at " +
         to_rfc3339(body.at) + "; " + std::to_string(out.size()) + " of its " +
         std::to_string(body.entries) + " entries are shown");
  return out;
}

Status Verification::check_versions() {
  TRY(const auto catalog, entries_of(close_.catalog, LeafKind::catalog_version));
  TRY(const auto mapping, entries_of(close_.mapping, LeafKind::mapping_version));
  const size_t used = catalog.size() + mapping.size();
  if (used != bundle_.entries.size())
    return fail(refuse("an entry is of a version that the close statement does not name"));
  auto built = catalog_from_entries(close_.tenant, catalog, mapping);
  if (!built) return fail(refuse("the catalog's entries: " + built.error().text()));
  catalog_ = std::move(*built);
  mapping_.emplace(*catalog_);
  contract_ = catalog_->contract(close_.contract);
  if (contract_ == nullptr)
    return fail(refuse("the contract \"" + close_.contract + "\" is not among the entries shown"));
  const auto regular = contract_->rule.containing(close_.period.from);
  if (!regular || close_.period.until > regular->until)
    return fail(refuse("the period is not one of the contract's"));
  report_.not_proven.push_back(
      "that no newer catalog or mapping version was in force, and that no other entry speaks of "
      "the "
      "same device and subject: `ledgerline-collector replay` checks both against the whole log");
  return {};
}

std::string Verification::period_text() const {
  return to_rfc3339(close_.period.from) + " to " + to_rfc3339(close_.period.until);
}

}  // namespace ledgerline::collector
