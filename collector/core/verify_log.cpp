// What the log says: checkpoint, statements, versions.
#include <algorithm>
#include <set>

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
                     std::to_string(checkpoint_.size) + " leaves, " + checkpoint_.origin;
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
  }
  std::string text = "statements: signed by whom they name, and leaves of that log:";
  for (const auto& [word, count] : counts) text += " " + count_text(count, word);
  proven(std::move(text));
  return {};
}

Status Verification::check_corrections() {
  std::set<Digest> seen;
  for (const Statement& statement : statements_) {
    // The same statement twice in the log counts once.
    if (statement.kind != LeafKind::correction || !seen.insert(statement.id).second) continue;
    TRY_VOID(take_correction(statement));
  }
  for (const auto& [device, rows] : correction_rows_) corrections_.emplace(device, rows);
  report_.not_proven.push_back(
      "that no other correction of these devices and no other acceptance of a gap was in the log");
  return {};
}

Status Verification::take_correction(const Statement& statement) {
  const std::string name = "the correction at leaf " + std::to_string(statement.leaf);
  if (statement.leaf >= close_.log_leaves)
    return fail(refuse(name + " is later than what the close statement rests on"));
  // The fold's own reading of it: one that breaks the rules changes nothing.
  const LogEntry leaf{.leaf = statement.leaf,
                      .kind = LeafKind::correction,
                      .data = statement.id,
                      .stream = {},
                      .number = 0,
                      .received_at = {},
                      .sealed = statement.signed_bytes};
  CorrectionFold folded = fold_correction(leaf);
  if (!folded.row) return {};
  if (folded.row->tenant != close_.tenant) return fail(refuse(name + " is of another tenant"));
  correction_rows_[folded.row->device].push_back(std::move(*folded.row));
  if (folded.usage) added_.push_back(std::move(*folded.usage));
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
  if (body.tenant != close_.tenant)
    return fail(refuse("the " + name + " that the close statement names is of another tenant"));
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
  report_.not_proven.push_back(
      "that no newer catalog or mapping version was in force, and that no other entry is about the "
      "same device and subject, another version of the same rate card, or another device of the "
      "subscription: `ledgerline-collector replay` checks it against the whole log");
  return check_period();
}

Status Verification::check_period() {
  const auto regular = contract_->rule.containing(close_.period.from);
  if (!regular || close_.period.until <= close_.period.from)
    return fail(refuse("the period is not one of the contract's"));
  const Timestamp until =
      contract_->until ? std::min(regular->until, *contract_->until) : regular->until;
  if (close_.period.until != until) {
    return fail(refuse("the period ends at " + to_rfc3339(close_.period.until) +
                       ", the contract's at " + to_rfc3339(until)));
  }
  if (close_.period.from != regular->from) {
    report_.not_proven.push_back("that the contract is not billed for more than its period from " +
                                 to_rfc3339(regular->from) +
                                 ": the document begins within it, as it may after a change of the "
                                 "contract");
  }
  return {};
}

std::string Verification::period_text() const {
  return to_rfc3339(close_.period.from) + " to " + to_rfc3339(close_.period.until);
}

}  // namespace ledgerline::collector
