#include "collector/core/catalog_version.h"

#include <algorithm>
#include <set>

#include "common/merkle.h"
#include "common/check.h"

namespace ledgerline::collector {

namespace {

Error misfit(const CatalogVersion& version, const std::string& what) {
  return Error(Errc::corrupt, "a logged version " + what)
      .with("version", std::to_string(version.number));
}

}  // namespace

Digest entry_hash(const VersionEntry& entry) {
  static const std::string kLabel("ledgerline/entry/v1\0", 20);
  return sha256({bytes_of(kLabel), entry.salt.view(), bytes_of(entry.text)});
}

Digest entries_root(const std::map<std::string, VersionEntry>& entries) {
  LogTree tree;
  for (const auto& [text, entry] : entries) tree.append(entry_hash(entry).view());
  return tree.root();
}

std::string CatalogVersion::json() const {
  return Json::object({{"format", Json::number(1)},
                       {"tenant", Json::string(tenant)},
                       {"number", Json::number(std::to_string(number))},
                       {"previous", previous ? Json::string(previous->hex()) : Json::null()},
                       {"entries", Json::number(std::to_string(entries))},
                       {"root", Json::string(root.hex())},
                       {"by", Json::string(by)},
                       {"at", Json::string(to_rfc3339(at))},
                       {"reason", Json::string(reason)}})
      .dump();
}

Result<CatalogVersion> CatalogVersion::parse(std::string_view json) {
  TRY(const Json parsed, parse_json(json));
  StatementReader in(parsed);
  CatalogVersion out;
  if (in.number("format") != 1) in.fault("format", "1");
  out.tenant = in.text("tenant");
  out.number = in.number("number");
  out.previous = in.optional_digest("previous");
  out.entries = in.number("entries");
  out.root = in.digest("root");
  out.by = in.text("by");
  out.at = in.time("at");
  out.reason = in.text("reason");
  TRY_VOID(in.end());
  TRY_VOID(check_canonical(json, out.json()));
  return out;
}

Result<OpenVersion> open_version(LeafKind kind, ByteView sealed) {
  TRY(SealedVersion parts, decode_sealed_version(sealed));
  OpenVersion out;
  TRY(out.signature, open_statement(kind, parts.statement));
  TRY(out.statement, CatalogVersion::parse(out.signature.json));
  out.added = std::move(parts.added);
  out.removed = std::move(parts.removed);
  return out;
}

Result<SignedVersion> sign_version(LeafKind kind, const NextVersion& version, Signer& signer) {
  TRY(auto statement, sign_statement(kind, version.statement.json(), signer));
  SignedVersion out{.id = statement.id,
                    .sealed = encode(SealedVersion{.statement = std::move(statement.bytes),
                                                   .added = version.added,
                                                   .removed = version.removed})};
  if (out.sealed.size() > SealedVersion::kSizeMax) {
    return fail(Error(Errc::reject, "a version of the catalog is too large: load it in parts")
                    .with("bytes", std::to_string(out.sealed.size()))
                    .with("at_most", std::to_string(SealedVersion::kSizeMax)));
  }
  return out;
}

Status VersionState::apply(const OpenVersion& version) {
  const CatalogVersion& statement = version.statement;
  if (statement.number != number() + 1 || statement.previous != id_)
    return fail(misfit(statement, "does not follow the one before it"));
  if (newest_ && newest_->tenant != statement.tenant)
    return fail(misfit(statement, "is of another tenant than the one before it"));

  auto entries = entries_;
  const std::set<Digest> removed(version.removed.begin(), version.removed.end());
  const size_t gone = std::erase_if(
      entries, [&](const auto& one) { return removed.contains(entry_hash(one.second)); });
  if (gone != version.removed.size())
    return fail(misfit(statement, "removes an entry that is not there"));
  for (const VersionEntry& entry : version.added) {
    if (!entries.emplace(entry.text, entry).second)
      return fail(misfit(statement, "adds an entry that is there already"));
  }
  if (entries.size() > kEntriesMax || entries.size() != statement.entries ||
      entries_root(entries) != statement.root)
    return fail(misfit(statement, "has other entries than its signed root says"));

  newest_ = statement;
  id_ = version.signature.id;
  entries_ = std::move(entries);
  return {};
}

Result<std::optional<NextVersion>> VersionState::next(
    const std::vector<std::string>& texts, const VersionAuthor& author,
    const std::function<EntrySalt()>& salt) const {
  CHECK_INVARIANT(std::is_sorted(texts.begin(), texts.end()));
  if (texts.size() > kEntriesMax) {
    return fail(Error(Errc::reject, "there are too many entries")
                    .with("entries_max", std::to_string(kEntriesMax)));
  }
  NextVersion out;
  std::map<std::string, VersionEntry> entries;
  for (const std::string& text : texts) {
    const auto kept = entries_.find(text);
    if (kept == entries_.end()) out.added.push_back({.salt = salt(), .text = text});
    entries.emplace(text, kept == entries_.end() ? out.added.back() : kept->second);
  }
  for (const auto& [text, entry] : entries_) {
    if (!entries.contains(text)) out.removed.push_back(entry_hash(entry));
  }
  if (newest_ && out.added.empty() && out.removed.empty()) return std::nullopt;
  out.statement = {.tenant = author.tenant,
                   .number = number() + 1,
                   .previous = id_,
                   .entries = entries.size(),
                   .root = entries_root(entries),
                   .by = author.by,
                   .at = author.at,
                   .reason = author.reason};
  return out;
}

std::vector<std::string> VersionState::texts() const {
  std::vector<std::string> out;
  for (const auto& [text, entry] : entries_) out.push_back(text);
  return out;
}

}  // namespace ledgerline::collector
