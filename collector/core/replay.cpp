#include "collector/core/replay.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "collector/core/catalog_version.h"
#include "collector/core/operators.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kShortId = 8;

std::string batches_of(const LogEntry& leaf) {
  return (leaf.kind == LeafKind::tombstone ? "tombstone up to batch " : "batch ") +
         std::to_string(leaf.number) + " of stream " + leaf.stream.hex();
}

tl::unexpected<Error> wrong(const LogEntry& leaf, const StreamGrant* grant, std::string what) {
  return fail(Errc::corrupt, leaf_name(leaf, grant) + ": " + std::move(what));
}

/// Only what extends the chain has a leaf.
Result<ChainedBatch> linked(const LogEntry& leaf, const ReplayedStream& stream,
                            const ChainedBatch& batch, const std::optional<BatchId>& before) {
  LinkageState state{.head_number = stream.head_number, .head_id = stream.head_id};
  state.linked.emplace(0, stream.grant_id);
  if (before) state.linked.emplace(batch.first - 1, *before);
  const Linkage linkage = link_group(state, {batch});
  if (linkage.fates.front() == Fate::linked) return batch;
  return wrong(leaf, &stream.grant,
               "it does not follow on batch " + std::to_string(stream.head_number) +
                   ", the newest before it in the log: a leaf was removed, added or exchanged");
}

Result<Bytes> signed_part(const LogEntry& leaf) {
  if (leaf.kind != LeafKind::close) return leaf.sealed;
  TRY(SealedClose sealed, decode_sealed_close(leaf.sealed));
  return std::move(sealed.statement);
}

Result<OpenStatement> opened(const LogEntry& leaf) {
  if (leaf.kind == LeafKind::catalog_version || leaf.kind == LeafKind::mapping_version) {
    TRY(OpenVersion version, open_version(leaf.kind, leaf.sealed));
    return std::move(version.signature);
  }
  TRY(const Bytes bytes, signed_part(leaf));
  return open_statement(leaf.kind, bytes);
}

struct Author {
  std::string by;
  Timestamp at;
};

Result<Author> author_of(const std::string& json) {
  TRY(const Json parsed, parse_json(json));
  const Json* by = parsed.find("by");
  const Json* at = parsed.find("at");
  if (by == nullptr || at == nullptr)
    return fail(Errc::corrupt, "the statement does not say who made it and when");
  const auto time = parse_rfc3339(at->text());
  if (!time) return fail(Errc::corrupt, "the statement's time cannot be read");
  return Author{by->text(), *time};
}

Status check_author(LeafKind kind, const OpenStatement& statement, const PublicKey& collector,
                    std::span<const OperatorRow> operators) {
  TRY(const Author author, author_of(statement.json));
  if (author.by == kByCollector) {
    if (needs_person(kind)) return fail(Errc::corrupt, "it is signed by nobody but the collector");
    if (verify(statement.message, collector)) return {};
    return fail(Errc::corrupt, "it says that it is the collector's, whose signature it lacks");
  }
  for (const OperatorRow& row : operators) {
    if (row.key != statement.key || row.name != author.by || !in_force_at(row, author.at)) continue;
    TRY(const PublicKey key, PublicKey::from_der(row.algorithm, row.public_key));
    if (verify(statement.message, key)) return {};
    return fail(Errc::corrupt, "the signature of operator " + author.by + " is wrong");
  }
  return fail(Errc::corrupt,
              "it is not signed with a key that was then operator " + author.by + "'s");
}

std::string text(const std::string& value) { return value.empty() ? "nothing" : value; }
std::string text(uint64_t value) { return std::to_string(value); }
std::string text(const Decimal& value) { return value.trimmed().text(); }
std::string text(Timestamp value) { return to_rfc3339(value); }
std::string text(const Digest& value) { return value.hex(); }
std::string text(const BatchId& value) { return value.hex(); }
template <class T>
std::string text(const std::optional<T>& value) {
  return value ? text(*value) : "nothing";
}

class Comparison {
 public:
  template <class T>
  void member(const std::string& what, const T& there, const T& here) {
    if (there == here) return;
    out.push_back(what + " there " + text(there) + ", here " + text(here));
  }
  std::vector<std::string> out;
};

void compare(const CloseStatement::Line& there, const CloseStatement::Line& here,
             Comparison& comparison) {
  const std::string about = "subscription " + there.subscription + ", meter " + there.meter + ": ";
  comparison.member(about + "quantity", there.quantity, here.quantity);
  comparison.member(about + "amount", there.amount, here.amount);
  comparison.member(about + "readings", there.readings, here.readings);
  comparison.member(about + "unit", there.unit, here.unit);
}

void compare_lines(const CloseStatement& there, const CloseStatement& here,
                   Comparison& comparison) {
  using Key = std::pair<std::string, std::string>;
  std::map<Key, std::pair<CloseStatement::Line, CloseStatement::Line>> lines;
  for (const CloseStatement::Line& line : there.lines)
    lines[{line.subscription, line.meter}].first = line;
  for (const CloseStatement::Line& line : here.lines)
    lines[{line.subscription, line.meter}].second = line;
  for (auto& [key, both] : lines) {
    for (CloseStatement::Line* line : {&both.first, &both.second}) {
      line->subscription = key.first;
      line->meter = key.second;
    }
    compare(both.first, both.second, comparison);
  }
}

void compare_streams(const CloseStatement& there, const CloseStatement& here,
                     Comparison& comparison) {
  std::map<StreamId, std::pair<CloseStatement::Stream, CloseStatement::Stream>> streams;
  for (const CloseStatement::Stream& stream : there.streams) streams[stream.stream].first = stream;
  for (const CloseStatement::Stream& stream : here.streams) streams[stream.stream].second = stream;
  for (const auto& [id, both] : streams) {
    const std::string about = "stream " + id.hex() + ": ";
    comparison.member(about + "device", both.first.device, both.second.device);
    comparison.member(about + "batch", both.first.batch, both.second.batch);
    comparison.member(about + "chain value", both.first.batch_id, both.second.batch_id);
    comparison.member(about + "next seq", both.first.next_seq, both.second.next_seq);
    comparison.member(about + "complete through", both.first.complete_through,
                      both.second.complete_through);
  }
}

void compare_documents(const CloseStatement& there, const CloseStatement& here,
                       Comparison& comparison) {
  const auto no_document = CloseStatement::Document{.id = {}, .revision = 0, .sha256 = {}};
  const auto& a = there.document ? *there.document : no_document;
  const auto& b = here.document ? *here.document : no_document;
  comparison.member("document", a.id, b.id);
  comparison.member("the document's revision", uint64_t{a.revision}, uint64_t{b.revision});
  comparison.member("the document's SHA-256", a.sha256, b.sha256);
}

/// A row's text as JSON: its key and its figures.
struct LedgerText {
  std::string about;
  std::string figures;
};

Result<LedgerText> read_row(const std::string& row) {
  TRY(const Json json, parse_json(row));
  const auto& parts = json.items();
  if (parts.size() != 9) return fail(Errc::corrupt, "a row of the ledger has not nine members");
  return LedgerText{"tenant " + parts[0].text() + ", subscription " + parts[1].text() +
                        ", period " + parts[2].text() + " to " + parts[3].text() + ", meter " +
                        parts[4].text(),
                    parts[5].text() + " = " + parts[6].text() + " by rate card " + parts[7].text() +
                        " version " + parts[8].text()};
}

}  // namespace

std::string leaf_name(const LogEntry& leaf, const StreamGrant* grant) {
  const std::string_view word = statement_word(leaf.kind);
  std::string out = "leaf " + std::to_string(leaf.leaf) + ", ";
  if (!word.empty()) return out + std::string(word) + " " + std::to_string(leaf.number);
  out += batches_of(leaf);
  if (grant != nullptr) out += " of device " + grant->device;
  return out;
}

Status check_grant(const StreamRow& row, const PublicKey& collector) {
  const std::string name =
      "the grant of stream " + row.grant.stream.hex() + " of device " + row.grant.device;
  const auto message = open_signed(row.signed_grant, payload_type::kGrant);
  if (!message || !verify(*message, collector))
    return fail(Errc::corrupt, name + " is not signed by the collector");
  const auto grant = decode_grant(message->body);
  const bool same = grant && grant->stream == row.grant.stream &&
                    grant->tenant == row.grant.tenant && grant->device == row.grant.device &&
                    grant->key == row.grant.key && grant_id(message->body) == row.grant_id;
  if (same) return {};
  return fail(Errc::corrupt, name + " is not the one that was signed");
}

Result<ChainedBatch> check_batch(const LogEntry& leaf, const ReplayedStream& stream) {
  const auto batch = open_envelope(leaf.sealed);
  if (!batch) return wrong(leaf, &stream.grant, batch.error().text());
  if (const auto status = verify_envelope(*batch, stream.key); !status)
    return wrong(leaf, &stream.grant, status.error().text());
  const Manifest& manifest = batch->manifest;
  const bool same =
      batch->id.view().size() == leaf.data.view().size() &&
      std::equal(batch->id.view().begin(), batch->id.view().end(), leaf.data.view().begin());
  if (!same || manifest.stream != leaf.stream || manifest.number != leaf.number) {
    return wrong(leaf, &stream.grant,
                 "its bytes are batch " + std::to_string(manifest.number) + " of stream " +
                     manifest.stream.hex() + " with the id " + batch->id.hex().substr(0, kShortId) +
                     "...");
  }
  return linked(leaf, stream, {manifest.number, batch->id, manifest.previous, 0}, {});
}

Result<BatchNumber> first_of_tombstone(const LogEntry& leaf) {
  const auto message = open_signed(leaf.sealed, payload_type::kTombstone);
  if (!message) return wrong(leaf, nullptr, message.error().text());
  const auto tombstone = decode_tombstone(message->body);
  if (!tombstone) return wrong(leaf, nullptr, tombstone.error().text());
  return tombstone->first_batch;
}

Result<ChainedBatch> check_tombstone(const LogEntry& leaf, const ReplayedStream& stream,
                                     const std::optional<BatchId>& before) {
  const auto message = open_signed(leaf.sealed, payload_type::kTombstone);
  if (!message) return wrong(leaf, &stream.grant, message.error().text());
  if (const auto status = verify(*message, stream.key); !status)
    return wrong(leaf, &stream.grant, status.error().text());
  const auto tombstone = decode_tombstone(message->body);
  if (!tombstone) return wrong(leaf, &stream.grant, tombstone.error().text());
  const bool same = tombstone_id(message->body) == leaf.data && tombstone->stream == leaf.stream &&
                    tombstone->last_batch == leaf.number;
  if (!same) return wrong(leaf, &stream.grant, "its bytes are another tombstone");
  return linked(
      leaf, stream,
      {tombstone->last_batch, tombstone->last_id, tombstone->previous, tombstone->first_batch},
      before);
}

Result<OpenStatement> check_statement(const LogEntry& leaf, const PublicKey& collector,
                                      std::span<const OperatorRow> operators) {
  auto statement = opened(leaf);
  if (!statement) return wrong(leaf, nullptr, statement.error().text());
  if (statement->id != leaf.data) return wrong(leaf, nullptr, "its bytes are another statement");
  const auto status = check_author(leaf.kind, *statement, collector, operators);
  if (!status) return wrong(leaf, nullptr, status.error().text());
  return statement;
}

std::vector<std::string> close_differences(const CloseStatement& there,
                                           const CloseStatement& here) {
  Comparison comparison;
  compare_lines(there, here, comparison);
  comparison.member("period from", there.period.from, here.period.from);
  comparison.member("period until", there.period.until, here.period.until);
  comparison.member("revision", uint64_t{there.revision}, uint64_t{here.revision});
  comparison.member("leaves", there.log_leaves, here.log_leaves);
  comparison.member("catalog", there.catalog, here.catalog);
  comparison.member("mapping", there.mapping, here.mapping);
  comparison.member("zone database", there.zone_database, here.zone_database);
  compare_streams(there, here, comparison);
  comparison.member("accepted gaps", uint64_t{there.gaps.size()}, uint64_t{here.gaps.size()});
  for (size_t i = 0; i < std::min(there.gaps.size(), here.gaps.size()); ++i)
    comparison.member("accepted gap", there.gaps[i], here.gaps[i]);
  compare_documents(there, here, comparison);
  comparison.member("by", there.by, here.by);
  comparison.member("at", there.at, here.at);
  return comparison.out;
}

Result<std::vector<LedgerDifference>> ledger_differences(std::vector<std::string> there,
                                                         std::vector<std::string> here,
                                                         size_t limit) {
  std::sort(there.begin(), there.end());
  std::sort(here.begin(), here.end());
  std::map<std::string, std::pair<std::string, std::string>> rows;
  std::vector<std::string> only;
  std::set_difference(there.begin(), there.end(), here.begin(), here.end(),
                      std::back_inserter(only));
  for (const std::string& row : only) {
    TRY(LedgerText text, read_row(row));
    rows[text.about].first = std::move(text.figures);
  }
  only.clear();
  std::set_difference(here.begin(), here.end(), there.begin(), there.end(),
                      std::back_inserter(only));
  for (const std::string& row : only) {
    TRY(LedgerText text, read_row(row));
    rows[text.about].second = std::move(text.figures);
  }
  std::vector<LedgerDifference> out;
  for (const auto& [about, figures] : rows) {
    if (out.size() == limit) break;
    out.push_back({about, text(figures.first), text(figures.second)});
  }
  return out;
}

}  // namespace ledgerline::collector
