// exceptions show: all that a person needs to decide, and the command lines to do it with.

#include "collector/api/commands.h"
#include "collector/api/exception_text.h"
#include "collector/api/setup.h"
#include "collector/api/state_names.h"
#include "collector/core/documents.h"
#include "collector/core/exceptions.h"
#include "common/exit_code.h"
#include "common/printable.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kBatchesShown = 20;
constexpr QuarterHour kUsageFrom{0};
constexpr QuarterHour kUsageUntil{std::numeric_limits<int32_t>::max()};

struct Evidence {
  std::vector<LogEntry> entries;  // at most kBatchesShown, without their bytes
  size_t leaves = 0;
  bool ends_only = false;  // the first and the last of those concerned
};

Result<Evidence> evidence_of(Store& store, const ExceptionRow& row) {
  Evidence out;
  std::vector<LeafNumber> leaves;
  if (row.first_leaf) {
    leaves.push_back(*row.first_leaf);
    if (row.last_leaf && *row.last_leaf != *row.first_leaf) leaves.push_back(*row.last_leaf);
    out.ends_only = leaves.size() == 2;
  } else if (row.series != 0) {
    TRY(leaves, store.evidence(row.series, kUsageFrom, kUsageUntil));
  }
  out.leaves = leaves.size();
  leaves.resize(std::min(leaves.size(), kBatchesShown));
  for (const LeafNumber leaf : leaves) {
    TRY(LogEntry entry, store.leaf(leaf));
    entry.sealed.clear();
    out.entries.push_back(std::move(entry));
  }
  return out;
}

/// As a shell takes it as one word.
std::string word(const std::string& text) {
  const bool plain = !text.empty() && text.find_first_not_of(
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789._:/@%+=,-") == std::string::npos;
  if (plain) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

class Remedies {
 public:
  Remedies(const ExceptionRow& row, const CollectorConfig& config, const CommandLine& options)
      : row_(row), catalog_(config.catalog) {
    if (options.config != CommandLine().config) config_ = " --config " + word(options.config);
  }

  /// Command lines, those that look first.
  std::vector<std::string> lines() {
    look();
    mend();
    const ExceptionPolicy* policy = exception_policy(row_.kind);
    if (policy == nullptr) return out_;
    for (const ExceptionActionKind action : policy->actions) act(action);
    return out_;
  }

 private:
  void add(const std::string& words) { out_.push_back("ledgerline-collector " + words + config_); }

  void look() {
    if (!row_.document.empty()) add("documents " + word(row_.document));
    if (row_.meter.empty()) return;
    std::string usage = "usage --by quarter --meter " + word(row_.meter);
    if (!row_.device.empty()) usage += " --device " + word(row_.device);
    if (!row_.subject.empty()) usage += " --subject " + word(row_.subject);
    add(usage);
  }

  void mend() {
    namespace kind = exception_kind;
    if (row_.kind == kind::kFork) {
      add("revoke " + word(row_.tenant) + " " + word(row_.device) + " --reason WHY");
      add("enroll REQUEST --replace --reason WHY");
    }
    if (row_.kind == kind::kRollback || row_.kind == kind::kRecovery)
      add("enroll REQUEST --replace --reason WHY");
    if (row_.kind == kind::kRecovery) add("status");
    if (row_.kind == kind::kLostBatches) add("documents");
    if (row_.kind == kind::kNewEpoch) {
      for (const char* words : {"catalog diff", "correct list", "gaps", "operator list",
                                "documents", "recover --resume --reason WHY"})
        add(words);
    }
    if (row_.kind == kind::kUnknownStream) add("recover --reason WHY");
    if (row_.kind == kind::kIntroduced)
      add("revoke " + word(row_.tenant) + " " + word(row_.device) + " --reason WHY");
    for (const auto one :
         {kind::kUnknownMeter, kind::kWrongUnit, kind::kNotRated, kind::kSilentDevice}) {
      if (row_.kind != one) continue;
      add("catalog load --key FILE --reason WHY");
      out_.back() += "    after a change in " + catalog_;
    }
  }

  void act(ExceptionActionKind action) {
    std::string words = "exceptions " + std::string(to_string(action)) + " " + row_.id;
    if (action == ExceptionActionKind::assign) words += " --to PERSON --key FILE";
    if (action == ExceptionActionKind::map) words += " --subscription SUBSCRIPTION";
    if (action != ExceptionActionKind::assign) words += " --key FILE --reason WHY";
    add(words);
  }

  const ExceptionRow& row_;
  std::string catalog_;
  std::string config_;
  std::vector<std::string> out_;
};

struct Whole {
  ExceptionRow row;
  Evidence evidence;
  std::optional<DocumentRow> document;
  std::optional<DeliveryRow> delivery;
  std::vector<ExceptionAction> history;
  std::vector<std::string> commands;
};

Result<Whole> read_whole(Store& store, const CollectorConfig& config, const CommandLine& options) {
  Whole out;
  TRY(out.row, find_exception(store, options.exception));
  TRY(out.evidence, evidence_of(store, out.row));
  if (!out.row.document.empty()) {
    TRY(out.document, document_of(store, out.row));
    TRY(out.delivery, store.delivery(delivery_id(*out.document)));
  }
  TRY(out.history, store.exception_actions(out.row.id));
  if (out.row.state == ExceptionState::open)
    out.commands = Remedies(out.row, config, options).lines();
  return out;
}

Json as_json(const Whole& whole, Timestamp now) {
  Json out = as_json(whole.row, now);
  Json batches = Json::array();
  for (const LogEntry& entry : whole.evidence.entries) {
    batches.push(Json::object({{"leaf", Json::number(static_cast<int64_t>(entry.leaf))},
                               {"stream", Json::string(entry.stream.hex())},
                               {"batch", Json::number(static_cast<int64_t>(entry.number))},
                               {"received_at", Json::string(to_rfc3339(entry.received_at))}}));
  }
  out.set("batches", std::move(batches));
  out.set("leaves", Json::number(static_cast<int64_t>(whole.evidence.leaves)));
  Json history = Json::array();
  for (const ExceptionAction& action : whole.history) history.push(as_json(action));
  out.set("history", std::move(history));
  Json commands = Json::array();
  for (const std::string& line : whole.commands) commands.push(Json::string(line));
  out.set("commands", std::move(commands));
  return out;
}

void print_state(const ExceptionRow& row, Timestamp now, std::ostream& out) {
  const bool open = row.state == ExceptionState::open;
  out << row.id << ": " << row.kind << ", " << (open ? "open" : "resolved") << "\n"
      << "for       " << row.owner
      << (row.assignee.empty() ? ", not assigned" : ", assigned to " + printable(row.assignee))
      << "\nsince     " << to_rfc3339(row.first_seen) << " (" << age_text(now - row.first_seen)
      << "), last seen " << to_rfc3339(row.last_seen) << "\n";
  if (open && row.deadline)
    out << "deadline  " << to_rfc3339(*row.deadline) << " (" << due_text(row, now) << ")\n";
  const std::pair<const char*, const std::string*> parts[] = {{"tenant    ", &row.tenant},
                                                              {"device    ", &row.device},
                                                              {"subject   ", &row.subject},
                                                              {"meter     ", &row.meter},
                                                              {"contract  ", &row.contract}};
  for (const auto& [name, value] : parts) {
    if (!value->empty()) out << name << printable(*value) << "\n";
  }
  out << "how much  " << row.count << (row.count == 1 ? " reading or occurrence" : " readings");
  if (!row.meter.empty()) out << ", " << row.value.text() << " " << printable(row.unit);
  out << "\nwhat      " << printable(row.detail) << "\n";
  if (!open) {
    out << "resolved  " << to_rfc3339(row.resolved_at.value_or(row.last_seen)) << " by "
        << printable(row.resolved_by) << ": " << printable(row.resolution) << "\n";
  }
}

void print_evidence(const Evidence& evidence, std::ostream& out) {
  if (evidence.leaves == 0) return;
  out << "\nevidence" << (evidence.ends_only ? ", the first and the last" : "") << "\n";
  for (const LogEntry& entry : evidence.entries) {
    out << "  leaf " << entry.leaf << ": batch " << entry.number << " of stream "
        << entry.stream.hex() << ", received " << to_rfc3339(entry.received_at) << "\n";
  }
  if (evidence.leaves > evidence.entries.size())
    out << "  and " << evidence.leaves - evidence.entries.size() << " more\n";
}

void print(const Whole& whole, Timestamp now, std::ostream& out) {
  print_state(whole.row, now, out);
  if (whole.document) {
    out << "document  " << whole.document->id << " revision " << whole.document->revision << ": "
        << whole.document->total.text() << " " << whole.document->currency << ", "
        << name_of(whole.document->state);
    if (whole.delivery)
      out << "; delivery " << name_of(whole.delivery->state) << " after " << whole.delivery->attempt
          << " attempts: " << printable(whole.delivery->reply);
    out << "\n";
  }
  print_evidence(whole.evidence, out);
  if (!whole.commands.empty()) {
    const ExceptionPolicy* policy = exception_policy(whole.row.kind);
    out << "\nto do: " << (policy == nullptr ? "" : policy->remedy) << "\n";
    for (const std::string& line : whole.commands) out << "  " << printable(line) << "\n";
  }
  if (!whole.history.empty()) out << "\ndone so far\n";
  for (const ExceptionAction& action : whole.history) {
    out << "  " << action.number << ". " << to_rfc3339(action.at) << " " << printable(action.by)
        << ": " << to_string(action.kind);
    if (!action.detail.empty()) out << " " << printable(action.detail);
    if (!action.reason.empty()) out << " (" << printable(action.reason) << ")";
    out << "\n";
  }
}

}  // namespace

Result<int> show_exception(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                           std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  TRY(const Whole whole, read_whole(*store, config, options));
  if (options.json) {
    out << as_json(whole, clock.now()).dump() << "\n";
  } else {
    print(whole, clock.now(), out);
  }
  return kExitOk;
}

}  // namespace ledgerline::collector
