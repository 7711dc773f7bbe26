// exceptions list, assign, requeue, ignore.

#include <algorithm>
#include <set>

#include "collector/api/commands.h"
#include "collector/api/exception_text.h"
#include "collector/api/operator_key.h"
#include "collector/api/pages.h"
#include "collector/api/setup.h"
#include "collector/api/table.h"
#include "collector/core/documents.h"
#include "collector/core/exception_statement.h"
#include "collector/core/exceptions.h"
#include "common/exit_code.h"
#include "common/printable.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kShortId = 11;     // "ex-" and 8 digits
constexpr size_t kAboutWidth = 34;  // so that a line fits 100 columns
constexpr size_t kNameWidth = 16;

bool wanted(const ExceptionRow& row, const CommandLine& options, Timestamp now) {
  return (options.owner.empty() || options.owner == row.owner) &&
         (options.assignee.empty() || options.assignee == row.assignee) &&
         (!options.overdue || is_overdue(row, now));
}

Result<std::vector<ExceptionRow>> wanted_rows(Store& store, const CommandLine& options,
                                              Timestamp now) {
  ExceptionFilter filter{.kind = options.kind, .limit = kPage};
  if (options.state == "all") filter.state.reset();
  if (options.state == "resolved") filter.state = ExceptionState::resolved;
  std::vector<ExceptionRow> out;
  const auto read = [&](const std::string& after) {
    filter.after = after;
    return store.list_exceptions(filter);
  };
  const auto visit = [&](const ExceptionRow& row) -> Status {
    if (wanted(row, options, now)) out.push_back(row);
    return {};
  };
  TRY_VOID(each_page<ExceptionRow>(read, visit));
  const auto place = [](const ExceptionRow& row) {
    return std::tuple(row.deadline.value_or(Timestamp(INT64_MAX)), row.first_seen, row.id);
  };
  std::sort(out.begin(), out.end(),
            [&](const ExceptionRow& a, const ExceptionRow& b) { return place(a) < place(b); });
  return out;
}

/// Cut to whole characters, with a mark.
std::string cut(const std::string& text, size_t width) {
  const std::string shown = printable(text);
  const auto begins = [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; };
  const auto length = static_cast<size_t>(std::count_if(shown.begin(), shown.end(), begins));
  if (length <= width) return shown;
  size_t at = 0;
  for (size_t n = 0; at < shown.size(); ++at) {
    if (begins(shown[at]) && n++ == width - 1) break;
  }
  return shown.substr(0, at) + "…";
}

bool short_ids_differ(const std::vector<ExceptionRow>& rows) {
  std::set<std::string> ids;
  for (const ExceptionRow& row : rows) ids.insert(row.id.substr(0, kShortId));
  return ids.size() == rows.size();
}

void print_table(const std::vector<ExceptionRow>& rows, Timestamp now, std::ostream& out) {
  const bool brief = short_ids_differ(rows);
  TextTable table({"ID", "KIND", "FOR", "AGE", "DUE", "ABOUT"});
  for (const ExceptionRow& row : rows) {
    const bool open = row.state == ExceptionState::open;
    table.add({brief ? row.id.substr(0, kShortId) : row.id, row.kind,
               cut(row.assignee.empty() ? row.owner : row.assignee, kNameWidth),
               age_text(now - row.first_seen), open ? due_text(row, now) : "resolved",
               cut(about_text(row), kAboutWidth)});
  }
  table.print(out);
}

ExceptionActionKind action_of(CommandLine::Verb verb) {
  switch (verb) {
    case CommandLine::Verb::map_exception:
      return ExceptionActionKind::map;
    case CommandLine::Verb::requeue:
    case CommandLine::Verb::requeue_exception:
      return ExceptionActionKind::requeue;
    case CommandLine::Verb::ignore_exception:
      return ExceptionActionKind::ignore;
    default:
      return ExceptionActionKind::assign;
  }
}

void print_done(const ExceptionRow& row, const ExceptionAction& action, std::ostream& out) {
  out << row.id << " (" << row.kind << ", " << printable(about_text(row)) << "): ";
  switch (action.kind) {
    case ExceptionActionKind::assign:
      out << "assigned to " << printable(action.detail) << "\n";
      return;
    case ExceptionActionKind::requeue:
      out << "tried again; it is looked up first, and this closes once the document is there\n";
      return;
    case ExceptionActionKind::ignore:
      out << "resolved by " << printable(action.by) << "\n";
      return;
    case ExceptionActionKind::map:
      return;
  }
}

Result<uint32_t> newest_action(Store& store, const std::string& exception) {
  uint32_t newest = 0;
  for (;;) {
    TRY(const auto page, store.exception_actions(exception, newest, kPage));
    if (page.empty()) return newest;
    newest = page.back().number;
  }
}

}  // namespace

Result<ExceptionRow> find_exception(Store& store, const std::string& id) {
  auto exact = store.exception(id);
  if (exact || exact.error().code() != Errc::not_found) return exact;
  const auto begins = [&](const ExceptionRow& row) { return row.id.starts_with(id); };
  // In the order of ids, those that begin so stand right behind it.
  TRY(const auto rows, store.list_exceptions({.state = std::nullopt, .after = id, .limit = 2}));
  if (rows.empty() || !begins(rows[0]))
    return fail(Error(Errc::not_found, "there is no such exception").with("id", id));
  if (rows.size() == 2 && begins(rows[1]))
    return fail(Error(Errc::reject, "several exceptions begin so: give more of it").with("id", id));
  return rows[0];
}

Result<DocumentRow> document_of(Store& store, const ExceptionRow& row) {
  TRY(const DocumentRow newest, store.document(row.document));
  for (uint32_t revision = newest.revision; revision > 0; --revision) {
    TRY(const DocumentRow document, store.document(row.document, revision));
    if (exception_id(row.kind, {delivery_id(document)}) == row.id) return document;
  }
  return newest;
}

Result<ExceptionAction> requested_action(const ExceptionRow& row, const CommandLine& options,
                                         const std::string& by, Timestamp now) {
  const ExceptionActionKind kind = action_of(options.verb);
  TRY_VOID(allowed(row.kind, kind));
  // A delivery that somebody left alone may be tried again later.
  if (row.state == ExceptionState::resolved && kind != ExceptionActionKind::requeue)
    return fail(Errc::conflict, "the exception is resolved already: " + row.resolution);
  if (options.reason.empty() && kind != ExceptionActionKind::assign)
    return fail(Errc::reject, "--reason says why: it is kept with the exception");
  return ExceptionAction{.exception = row.id,
                         .kind = kind,
                         .by = by,
                         .at = now,
                         .reason = options.reason,
                         .detail = kind == ExceptionActionKind::assign ? options.to : ""};
}

Result<ExceptionAction> record_action(Store& store, const ExceptionRow& row, ExceptionChange change,
                                      Signer& signer) {
  TRY(const uint32_t newest, newest_action(store, row.id));
  ExceptionAction& action = change.action;
  action.number = newest + 1;
  TRY(change.statements.emplace_back(),
      signed_put(LeafKind::exception_action, statement_of(action, row.tenant).json(), signer,
                 action.at));
  return store.act_on_exception(change);
}

Result<int> list_exceptions(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                            std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  const Timestamp now = clock.now();
  TRY(const auto rows, wanted_rows(*store, options, now));
  if (options.json) {
    Json list = Json::array();
    for (const ExceptionRow& row : rows) list.push(as_json(row, now));
    out << list.dump() << "\n";
  } else if (rows.empty()) {
    out << "no such exceptions: nothing waits for a person\n";
  } else {
    print_table(rows, now, out);
  }
  return kExitOk;
}

Result<int> act_on_exception(const CollectorConfig& config, const CommandLine& options,
                             Clock& clock, std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  TRY(const ActingOperator acting, acting_operator(config, *store, options.key, clock.now()));
  TRY(const ExceptionRow row, find_exception(*store, options.exception));
  ExceptionChange change;
  TRY(change.action, requested_action(row, options, acting.name, clock.now()));
  if (change.action.kind == ExceptionActionKind::requeue) {
    TRY(const DocumentRow document, document_of(*store, row));
    const std::string id = delivery_id(document);
    TRY(const auto delivery, store->delivery(id));
    if (!delivery)
      return fail(Error(Errc::not_found, "the delivery is not in the outbox").with("id", id));
    TRY(change.release, release_of(*delivery, clock.now()));
    change.action.detail = id;
  }
  TRY(const ExceptionAction done, record_action(*store, row, std::move(change), *acting.signer));
  print_done(row, done, out);
  return kExitOk;
}

}  // namespace ledgerline::collector
