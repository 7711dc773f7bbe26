#include "collector/fold/bundle_writer.h"

#include <algorithm>
#include <set>

#include "collector/core/catalog_version.h"
#include "collector/core/closing.h"
#include "collector/core/commerce.h"
#include "collector/core/mapping.h"
#include "common/checkpoint.h"

namespace ledgerline::collector {

namespace {

struct CloseLeaf {
  LogEntry entry;
  SealedClose sealed;
  CloseStatement statement;
};

class BundleWriter {
 public:
  BundleWriter(Store& store, Signer& collector, const BundleRequest& request)
      : store_(store), collector_(collector), request_(request) {}

  Result<Bytes> run();

 private:
  Status add_document();
  Status add_checkpoint();
  Status add_approval();
  Status add_statement(const LogEntry& entry, ByteView signed_bytes);
  Result<InclusionPath> path_of(LeafNumber leaf);
  Status add_closes();
  Result<VersionState> version(LeafKind kind, const std::optional<Digest>& id);
  Status add_versions();
  Status add_entries(const VersionState& state, const std::set<std::string>& wanted);
  Status add_gaps();
  Status add_corrections();
  Status add_streams();
  Status add_stream(const CloseStatement::Stream& stream);
  Result<BatchNumber> first_batch(const CloseStatement::Stream& stream);
  /// What of the batches before `first` the run needs.
  struct Prelude {
    std::vector<BatchNumber> tables;  // declare meters
    BatchNumber clock = 1;            // where the newest boot or clock anchor stands
    MeterRows meters;                 // declared before `first`
  };
  Result<Prelude> prelude(const CloseStatement::Stream& stream, BatchNumber first);
  /// Whether readings of the run are on a monotonic clock before it shows a boot or an anchor.
  Result<bool> needs_clock(const CloseStatement::Stream& stream, BatchNumber first,
                           MeterRows meters);
  /// Errc::not_found where a tombstone stands for it.
  Result<BundleBatch> batch(const StreamId& stream, BatchNumber number, bool with_path);
  [[nodiscard]] std::set<SubjectTag> own_tags(const CloseStatement::Stream& stream) const;

  Store& store_;
  Signer& collector_;
  BundleRequest request_;
  Bundle out_;
  DocumentRow document_;
  LogHead head_;
  CloseLeaf close_;
  std::optional<Catalog> catalog_;  // whole
  std::set<LineKey> lines_;         // that are asked for
  std::set<std::string> devices_;   // of these lines
};

/// Every contract, account, card and meter that the entries of `from` name, and so on.
class Closure {
 public:
  explicit Closure(const Catalog& catalog) : catalog_(catalog) {}

  void contract(const Contract& contract) {
    if (!contracts_.insert(contract.name).second) return;
    accounts_.insert(contract.account);
    for (const Subscription& subscription : contract.subscriptions) card(subscription.rate_card);
  }
  void link(const Link& link) {
    const Contract* of = catalog_.contract_of(link.subscription);
    if (of != nullptr) contract(*of);
    const Asset* asset = catalog_.asset(link.asset);
    if (asset == nullptr) return;
    assets_.insert(asset->name);
    accounts_.insert(asset->account);
  }
  [[nodiscard]] bool holds(const std::string& entry) const {
    const auto json = parse_json(entry);
    if (!json) return false;
    const auto text = [&](std::string_view name) {
      const Json* value = json->find(name);
      return value == nullptr ? std::string() : value->text();
    };
    const std::string kind = text("kind");
    const std::string name = text("name");
    return (kind == "contract" && contracts_.contains(name)) ||
           (kind == "account" && accounts_.contains(name)) ||
           (kind == "rate_card" && cards_.contains(name)) ||
           (kind == "meter" && meters_.contains(name)) ||
           (kind == "asset" && assets_.contains(name));
  }

 private:
  void card(const std::string& name) {
    const auto versions = catalog_.rate_cards().find(name);
    if (!cards_.insert(name).second || versions == catalog_.rate_cards().end()) return;
    for (const RateCard& version : versions->second) {
      for (const Price& price : version.prices) meters_.insert(price.meter);
    }
  }

  const Catalog& catalog_;
  std::set<std::string> contracts_;
  std::set<std::string> accounts_;
  std::set<std::string> cards_;
  std::set<std::string> meters_;
  std::set<std::string> assets_;
};

std::string text_of(const Json& json, std::string_view name) {
  const Json* value = json.find(name);
  return value == nullptr ? std::string() : value->text();
}

Result<std::set<LineKey>> lines_of(const std::string& body, uint32_t number) {
  TRY(const Json json, parse_json(body));
  std::set<LineKey> out;
  const Json* lines = json.find("lines");
  if (lines == nullptr) return fail(Errc::not_found, "the document has no rated lines");
  for (const Json& line : lines->items()) {
    if (number == 0 || text_of(line, "number") == std::to_string(number))
      out.insert({text_of(line, "subscription"), text_of(line, "meter")});
  }
  if (out.empty()) return fail(Errc::not_found, "the document has no such line");
  return out;
}

/// A boot ends the clock anchor before it.
bool tells_time(const Record& record) {
  return std::holds_alternative<BootRecord>(record.kind) ||
         std::holds_alternative<ClockAnchor>(record.kind);
}

Error lost_batch(BatchNumber number) {
  return Error(Errc::not_found,
               "a tombstone stands for a batch that the line needs, so it cannot be proven")
      .with("batch", std::to_string(number));
}

/// RFC 6962 path in the version's own tree.
Result<InclusionPath> entry_path(const std::vector<Digest>& leaves, uint64_t index) {
  const NodeReader node = [&](unsigned level, uint64_t at) -> Result<Digest> {
    LogTree tree;
    const uint64_t size = uint64_t{1} << level;
    for (uint64_t i = at * size; i < (at + 1) * size; ++i) tree.append(leaves.at(i).view());
    return tree.root();
  };
  InclusionPath out{.index = index, .hashes = {}};
  TRY(out.hashes, inclusion_proof(index, leaves.size(), node));
  return out;
}

Result<Bytes> BundleWriter::run() {
  TRY_VOID(add_document());
  TRY_VOID(add_checkpoint());
  TRY_VOID(add_approval());
  TRY_VOID(add_closes());
  TRY_VOID(add_versions());
  TRY_VOID(add_gaps());
  TRY_VOID(add_corrections());
  TRY_VOID(add_streams());
  return write_bundle(std::move(out_), request_.at, collector_);
}

Status BundleWriter::add_document() {
  TRY(document_, store_.document(request_.document));
  TRY(lines_, lines_of(document_.body, request_.line));
  out_.question = {document_.id, document_.revision, request_.line};
  out_.documents.push_back(document_.body);
  return {};
}

Status BundleWriter::add_approval() {
  if (!document_.decided_leaf) return {};
  TRY(const LogEntry entry, store_.leaf(*document_.decided_leaf));
  return add_statement(entry, entry.sealed);
}

Status BundleWriter::add_checkpoint() {
  TRY(head_, store_.log_head());
  TRY(const LogOrigin origin, store_.log_origin());
  TRY(out_.checkpoint, sign_checkpoint({to_string(origin), head_.size, head_.root}, collector_));
  return {};
}

Result<InclusionPath> BundleWriter::path_of(LeafNumber leaf) {
  InclusionPath out{.index = leaf, .hashes = {}};
  TRY(out.hashes, store_.inclusion_proof(leaf, head_.size));
  return out;
}

Status BundleWriter::add_statement(const LogEntry& entry, ByteView signed_bytes) {
  BundleStatement out{.kind = entry.kind, .path = {}, .signed_bytes = copy_of(signed_bytes)};
  TRY(out.path, path_of(entry.leaf));
  out_.statements.push_back(std::move(out));
  return {};
}

Status BundleWriter::add_closes() {
  TRY(const auto leaves, store_.statements_about(closes_of(document_.tenant, document_.contract,
                                                           document_.period_from)));
  std::optional<CloseLeaf> before;
  for (const LogEntry& entry : leaves) {
    CloseLeaf leaf{.entry = entry, .sealed = {}, .statement = {}};
    TRY(leaf.sealed, decode_sealed_close(entry.sealed));
    TRY(const auto open, open_statement(LeafKind::close, leaf.sealed.statement));
    TRY(leaf.statement, CloseStatement::parse(open.json));
    const bool asked = leaf.statement.document && leaf.statement.document->id == document_.id;
    if (!asked) {
      before = std::move(leaf);
      continue;
    }
    if (before) TRY_VOID(add_statement(before->entry, before->sealed.statement));
    TRY_VOID(add_statement(leaf.entry, leaf.sealed.statement));
    close_ = std::move(leaf);
    return {};
  }
  return fail(Errc::not_found,
              "no close statement names the document: only billing summaries and "
              "adjustments can be proven");
}

Result<VersionState> BundleWriter::version(LeafKind kind, const std::optional<Digest>& id) {
  VersionState state;
  if (!id) return state;
  for (uint64_t number = 1;;) {
    TRY(const auto page, store_.statements(kind, number));
    if (page.empty()) return fail(Errc::corrupt, "a version that a close names is not in the log");
    for (const LogEntry& entry : page) {
      TRY(const auto version, open_version(kind, entry.sealed));
      TRY_VOID(state.apply(version));
      if (entry.data != *id) continue;
      TRY(const auto sealed, decode_sealed_version(entry.sealed));
      TRY_VOID(add_statement(entry, sealed.statement));
      return state;
    }
    number += page.size();
  }
}

Status BundleWriter::add_entries(const VersionState& state, const std::set<std::string>& wanted) {
  std::vector<Digest> leaves;
  for (const auto& [text, entry] : state.entries()) leaves.push_back(entry_hash(entry));
  uint64_t index = 0;
  for (const auto& [text, entry] : state.entries()) {
    if (wanted.contains(text)) {
      BundleEntry out{.version = *state.id(), .path = {}, .entry = entry};
      TRY(out.path, entry_path(leaves, index));
      out_.entries.push_back(std::move(out));
    }
    ++index;
  }
  return {};
}

Status BundleWriter::add_versions() {
  TRY(const auto catalog, version(LeafKind::catalog_version, close_.statement.catalog));
  TRY(const auto mapping, version(LeafKind::mapping_version, close_.statement.mapping));
  TRY(catalog_, catalog_from_entries(document_.tenant, catalog.texts(), mapping.texts()));
  const Contract* contract = catalog_->contract(document_.contract);
  if (contract == nullptr)
    return fail(Errc::corrupt, "the contract is not in the version that its close names");
  Closure closure(*catalog_);
  closure.contract(*contract);
  // Of each device of the contract: links to it, what else its subjects have, and "*"; all of them
  // where "*" is the contract's, since then it matters which subjects have links of their own.
  std::map<std::string, std::set<std::string>> subjects;
  std::set<std::string> whole;
  for (const Link& link : catalog_->links()) {
    if (catalog_->contract_of(link.subscription) != contract) continue;
    subjects[link.device].insert(link.subject);
    subjects[link.device].insert(std::string(kEverySubject));
    if (link.subject == kEverySubject) whole.insert(link.device);
  }
  std::set<std::pair<std::string, std::string>> links;
  for (const Link& link : catalog_->links()) {
    const auto device = subjects.find(link.device);
    if (device == subjects.end()) continue;
    devices_.insert(link.device);
    if (!whole.contains(link.device) && !device->second.contains(link.subject)) continue;
    links.insert({link.device, link.subject});
    closure.link(link);
  }
  std::set<std::string> wanted;
  for (const std::string& text : catalog.texts()) {
    if (closure.holds(text)) wanted.insert(text);
  }
  TRY_VOID(add_entries(catalog, wanted));
  wanted.clear();
  for (const std::string& text : mapping.texts()) {
    TRY(const Json json, parse_json(text));
    if (links.contains({text_of(json, "device"), text_of(json, "subject")})) wanted.insert(text);
  }
  return add_entries(mapping, wanted);
}

Status BundleWriter::add_gaps() {
  if (close_.statement.gaps.empty()) return {};
  for (uint64_t number = 1;;) {
    TRY(const auto page, store_.statements(LeafKind::gap_acceptance, number));
    if (page.empty()) return {};
    for (const LogEntry& entry : page) {
      const auto& gaps = close_.statement.gaps;
      if (std::find(gaps.begin(), gaps.end(), entry.data) != gaps.end())
        TRY_VOID(add_statement(entry, entry.sealed));
    }
    number += page.size();
  }
}

Status BundleWriter::add_corrections() {
  for (const std::string& device : devices_) {
    TRY(const auto rows, store_.corrections(document_.tenant, device));
    for (const CorrectionRow& row : rows) {
      // What the log held later belongs to a later booking.
      if (row.leaf >= close_.statement.log_leaves) continue;
      TRY(const LogEntry entry, store_.leaf(row.leaf));
      TRY_VOID(add_statement(entry, entry.sealed));
    }
  }
  return {};
}

Status BundleWriter::add_streams() {
  for (const CloseStatement::Stream& stream : close_.statement.streams)
    TRY_VOID(add_stream(stream));
  for (const Bytes& heartbeat : close_.sealed.heartbeats) {
    TRY(const auto message, open_signed(heartbeat, payload_type::kHeartbeat));
    TRY(const auto read, decode_heartbeat(message.body));
    out_.heartbeats.push_back({read.stream, heartbeat});
  }
  return {};
}

std::set<SubjectTag> BundleWriter::own_tags(const CloseStatement::Stream& stream) const {
  std::set<SubjectTag> out;
  for (const Link& link : catalog_->links()) {
    if (link.device != stream.device) continue;
    const bool own = std::any_of(lines_.begin(), lines_.end(), [&](const LineKey& line) {
      return line.first == link.subscription;
    });
    if (own) out.insert(subject_tag(stream.stream, link.subject));
  }
  return out;
}

Result<BundleBatch> BundleWriter::batch(const StreamId& stream, BatchNumber number,
                                        bool with_path) {
  const auto leaf = store_.batch_leaf(stream, number);
  if (!leaf && leaf.error().code() == Errc::not_found) return fail(lost_batch(number));
  if (!leaf) return fail(leaf.error());
  TRY(LogEntry entry, store_.leaf(*leaf));
  if (entry.kind != LeafKind::batch) return fail(lost_batch(number));
  BundleBatch out{.stream = stream,
                  .number = number,
                  .received_at = entry.received_at,
                  .path = std::nullopt,
                  .sealed = std::move(entry.sealed)};
  if (with_path) {
    TRY(out.path, path_of(*leaf));
  }
  return out;
}

Result<BatchNumber> BundleWriter::first_batch(const CloseStatement::Stream& stream) {
  BatchNumber first = stream.batch;
  const QuarterHour from = QuarterHour::of(close_.statement.period.from);
  const QuarterHour to = QuarterHour::of(close_.statement.period.until).next();
  SeriesFilter filter{.tenant = document_.tenant, .device = stream.device};
  for (;;) {
    TRY(const auto series, store_.list_series(filter));
    for (const SeriesRow& row : series) {
      TRY(const auto leaves, store_.evidence(row.id, from, to));
      for (const LeafNumber leaf : leaves) {
        if (leaf >= close_.statement.log_leaves) break;
        TRY(const LogEntry entry, store_.leaf(leaf));
        if (entry.stream != stream.stream) continue;
        first = std::min(first, entry.number);
        break;  // ascending, and so are the numbers of a stream
      }
    }
    if (series.size() < filter.limit) return first;
    filter.after = series.back().id;
  }
}

Result<BundleWriter::Prelude> BundleWriter::prelude(const CloseStatement::Stream& stream,
                                                    BatchNumber first) {
  Prelude out;
  for (BatchNumber number = 1; number < first; ++number) {
    const auto part = batch(stream.stream, number, false);
    if (!part && part.error().code() == Errc::not_found) continue;
    if (!part) return fail(part.error());
    TRY(const auto open, open_envelope(part->sealed));
    const auto columns = open_columns(open, out.meters);
    if (!columns) continue;  // an exception says so
    bool declares = false;
    for (const Record& record : columns->records) {
      declares = declares || std::holds_alternative<MeterTable>(record.kind);
      if (tells_time(record)) out.clock = number;
    }
    TRY_VOID(apply_meter_tables(columns->records, out.meters));
    if (declares || number == 1) out.tables.push_back(number);
  }
  return out;
}

Result<bool> BundleWriter::needs_clock(const CloseStatement::Stream& stream, BatchNumber first,
                                       MeterRows meters) {
  for (BatchNumber number = first; number <= stream.batch; ++number) {
    TRY(const auto part, batch(stream.stream, number, false));
    TRY(const auto open, open_envelope(part.sealed));
    TRY(const auto columns, open_columns(open, meters));
    TRY_VOID(apply_meter_tables(columns.records, meters));
    const bool monotonic =
        std::any_of(columns.flags.begin(), columns.flags.end(),
                    [](uint8_t flags) { return (flags & Columns::kFlagMonotonic) != 0; });
    if (monotonic) return true;
    if (std::any_of(columns.records.begin(), columns.records.end(), tells_time)) return false;
  }
  return false;
}

Status BundleWriter::add_stream(const CloseStatement::Stream& stream) {
  TRY(const StreamRow row, store_.stream(stream.stream));
  out_.grants.push_back(row.signed_grant);
  if (stream.batch == 0) return {};
  TRY(BatchNumber first, first_batch(stream));
  TRY(const Prelude before, prelude(stream, first));
  TRY(const bool by_clock, needs_clock(stream, first, before.meters));
  if (by_clock) first = std::min(first, before.clock);
  for (const BatchNumber number : before.tables) {
    if (number >= first) break;
    TRY(auto part, batch(stream.stream, number, true));
    TRY(part.sealed, withhold_others(part.sealed, {}));
    out_.batches.push_back(std::move(part));
  }
  const auto own = own_tags(stream);
  const bool every =
      std::any_of(catalog_->links().begin(), catalog_->links().end(), [&](const Link& link) {
        return link.device == stream.device && link.subject == kEverySubject &&
               catalog_->contract_of(link.subscription) != nullptr &&
               catalog_->contract_of(link.subscription)->name == document_.contract;
      });
  for (BatchNumber number = first; number <= stream.batch; ++number) {
    TRY(BundleBatch part, batch(stream.stream, number, number == stream.batch));
    if (!every) {
      TRY(part.sealed, withhold_others(part.sealed, own));
    }
    out_.batches.push_back(std::move(part));
  }
  return {};
}

}  // namespace

Result<Bytes> make_bundle(Store& store, Signer& collector, const BundleRequest& request) {
  return BundleWriter(store, collector, request).run();
}

}  // namespace ledgerline::collector
