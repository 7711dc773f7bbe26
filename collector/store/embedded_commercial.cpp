// Documents, periods and exceptions.

#include <algorithm>

#include "collector/core/exception_upsert.h"
#include "collector/store/embedded_store.h"
#include "common/check.h"

namespace ledgerline::collector {

namespace {

Key document_key(const std::string& id, uint32_t revision) {
  return Key(Table::document).text(id).u32(revision);
}
Key period_key(const std::string& tenant, const std::string& contract, Timestamp from) {
  return Key(Table::period).text(tenant).text(contract).time(from);
}
Key exception_key(const std::string& id) { return Key(Table::exception).text(id); }

Result<std::optional<DocumentRow>> newest_document(Rows& rows, const std::string& id) {
  const Key prefix = Key(Table::document).text(id);
  return rows.last<DocumentRow>(prefix, prefix.end());
}

Status put_document(Rows& rows, const DocumentPut& put) {
  TRY_VOID(check_stored_name("a document's id", put.row.id));
  CHECK_INVARIANT(put.row.revision == put.expected_revision + 1);
  TRY(const auto newest, newest_document(rows, put.row.id));
  if ((newest ? newest->revision : 0) != put.expected_revision) {
    return fail(Error(Errc::conflict, "the document has another revision by now")
                    .with("document", put.row.id));
  }
  return rows.put(document_key(put.row.id, put.row.revision), put.row);
}

Status raise_closed_until(Rows& rows, const std::string& tenant, Timestamp to) {
  for (const std::string& name : {tenant, std::string()}) {
    const Key key = Key(Table::closed_until).text(name);
    TRY(const auto stored, rows.find_u64(key));
    if (stored && Timestamp(static_cast<int64_t>(*stored)) >= to) continue;
    TRY_VOID(rows.put_u64(key, static_cast<uint64_t>(to.unix_ms())));
  }
  return {};
}

Status put_period(Rows& rows, const PeriodPut& put) {
  TRY_VOID(check_stored_name("a contract's name", put.row.contract));
  CHECK_INVARIANT(put.row.revision == put.expected_revision + 1 && put.row.from < put.row.to);
  const Key key = period_key(put.row.tenant, put.row.contract, put.row.from);
  TRY(const auto stored, rows.find<PeriodRow>(key));
  if ((stored ? stored->revision : 0) != put.expected_revision) {
    return fail(Error(Errc::conflict, "the period was changed meanwhile")
                    .with("contract", put.row.contract)
                    .with("from", to_rfc3339(put.row.from)));
  }
  if (put.row.closed) TRY_VOID(raise_closed_until(rows, put.row.tenant, put.row.to));
  return rows.put(key, put.row);
}

/// The kind is in the table, not in the record.
Key rule_key(RuleKind kind, const std::string& tenant, const std::string& rule,
             const std::string& about) {
  const Table table = kind == RuleKind::maintenance ? Table::maintenance_rule : Table::account_rule;
  return Key(table).text(tenant).text(rule).text(about);
}

Status put_rule(Rows& rows, const RulePut& put) {
  TRY_VOID(check_stored_name("a rule's name", put.row.rule));
  TRY_VOID(check_stored_name("what a rule is about", put.row.about));
  CHECK_INVARIANT(put.row.revision == put.expected_revision + 1);
  const Key key = rule_key(put.row.kind, put.row.tenant, put.row.rule, put.row.about);
  TRY(const auto stored, rows.find<RuleRow>(key));
  if ((stored ? stored->revision : 0) == put.expected_revision) return rows.put(key, put.row);
  return fail(Error(Errc::conflict, "the rule's state was changed meanwhile")
                  .with("rule", put.row.rule)
                  .with("about", put.row.about));
}

Status settle_touch(Rows& rows, const TouchedUsage& touch) {
  const Key key = Key(Table::touched).u64(touch.series).quarter(touch.quarter);
  TRY(const auto stored, rows.find<TouchedUsage>(key));
  if (!stored || stored->last_leaf != touch.last_leaf)
    return {};  // more came meanwhile: it stays to be looked at again
  TRY_VOID(rows.erase(key));
  return {};
}

Status check_cursor(Rows& rows, const std::optional<LeafNumber>& expected) {
  if (!expected) return {};
  TRY(const auto fold, rows.find<FoldRow>(Key(Table::meta).text("fold")));
  if ((fold ? fold->cursor : 0) == *expected) return {};
  return fail(Errc::conflict, "usage was added since it was read");
}

Status check_closes(Rows& rows, const std::optional<uint64_t>& expected) {
  if (!expected) return {};
  TRY(const uint64_t closes, count_of(rows, LeafKind::close));
  if (closes == *expected) return {};
  return fail(Errc::conflict, "a period was closed meanwhile");
}

Status decide(Rows& rows, const DocumentDecision& decision) {
  TRY(auto newest, newest_document(rows, decision.id));
  if (!newest) return fail(Errc::not_found, "there is no such document");
  if (newest->revision != decision.revision || newest->state != decision.expected) {
    return fail(Error(Errc::conflict, "the document was decided or revised meanwhile")
                    .with("document", decision.id));
  }
  newest->state = decision.state;
  newest->decided_by = decision.by;
  newest->decided_at = decision.at;
  if (decision.statement) {
    TRY(newest->decided_leaf, append_statement(rows, *decision.statement));
  }
  TRY_VOID(rows.put(document_key(decision.id, decision.revision), *newest));
  if (decision.delivery) TRY_VOID(insert_delivery(rows, *decision.delivery));
  return {};
}

Result<std::vector<PeriodRow>> periods_in(Rows& rows, ByteView from, ByteView end, size_t limit) {
  std::vector<PeriodRow> out;
  TRY_VOID(rows.scan<PeriodRow>(from, end, [&](ByteView, PeriodRow row) -> Result<bool> {
    if (out.size() == limit) return false;
    out.push_back(std::move(row));
    return true;
  }));
  return out;
}

bool matches(const DocumentFilter& filter, const DocumentRow& row) {
  return (filter.tenant.empty() || filter.tenant == row.tenant) &&
         (filter.contract.empty() || filter.contract == row.contract) &&
         (filter.connector.empty() || filter.connector == row.connector) &&
         (!filter.state || *filter.state == row.state);
}

bool matches(const ExceptionFilter& filter, const ExceptionRow& row) {
  return (filter.tenant.empty() || filter.tenant == row.tenant) &&
         (filter.kind.empty() || filter.kind == row.kind) &&
         (!filter.state || *filter.state == row.state);
}

}  // namespace

Status write_exceptions(Rows& rows, std::span<const ExceptionUpsert> upserts) {
  for (const ExceptionUpsert& upsert : upserts) {
    TRY_VOID(check_stored_name("an exception's id", upsert.row.id));
    const Key key = exception_key(upsert.row.id);
    TRY(const auto stored, rows.find<ExceptionRow>(key));
    const auto row = upserted(stored, upsert);
    if (row) TRY_VOID(rows.put(key, *row));
  }
  return {};
}

Status EmbeddedStore::put_documents(const CommercialChanges& changes) {
  return write([&](Rows& rows) -> Status {
    TRY_VOID(check_cursor(rows, changes.expected_cursor));
    TRY_VOID(check_closes(rows, changes.expected_closes));
    for (const DocumentPut& put : changes.documents) TRY_VOID(put_document(rows, put));
    for (const DeliveryRow& delivery : changes.deliveries)
      TRY_VOID(insert_delivery(rows, delivery));
    for (const PeriodPut& put : changes.periods) TRY_VOID(put_period(rows, put));
    for (const RulePut& put : changes.rules) TRY_VOID(put_rule(rows, put));
    for (const DocumentDecision& one : changes.decisions) TRY_VOID(decide(rows, one));
    for (const TouchedUsage& touch : changes.settled_touches) TRY_VOID(settle_touch(rows, touch));
    TRY_VOID(append_statements(rows, changes.statements));
    return write_exceptions(rows, changes.exceptions);
  });
}

Result<DocumentRow> EmbeddedStore::document(const std::string& id, uint32_t revision) {
  return read([&](Rows& rows) -> Result<DocumentRow> {
    if (revision != 0) return rows.get<DocumentRow>(document_key(id, revision), "document");
    TRY(auto newest, newest_document(rows, id));
    if (!newest) return fail(Errc::not_found, "there is no such document");
    return std::move(*newest);
  });
}

Result<std::vector<DocumentRow>> EmbeddedStore::list_documents(const DocumentFilter& filter) {
  return read([&](Rows& rows) -> Result<std::vector<DocumentRow>> {
    const Key prefix(Table::document);
    const Bytes from =
        filter.after.empty() ? prefix.bytes() : Key(Table::document).text(filter.after).end();
    std::vector<DocumentRow> out;
    std::optional<DocumentRow> newest;  // of the id the walk is at; revisions follow each other
    const auto take_newest = [&] {
      if (newest && matches(filter, *newest)) out.push_back(std::move(*newest));
      newest.reset();
    };
    TRY_VOID(
        rows.scan<DocumentRow>(from, prefix.end(), [&](ByteView, DocumentRow row) -> Result<bool> {
          if (newest && newest->id != row.id) take_newest();
          if (out.size() >= filter.limit) return false;
          newest = std::move(row);
          return true;
        }));
    if (out.size() < filter.limit) take_newest();
    return out;
  });
}

Result<std::optional<PeriodRow>> EmbeddedStore::period(const std::string& tenant,
                                                       const std::string& contract,
                                                       Timestamp from) {
  return read([&](Rows& rows) { return rows.find<PeriodRow>(period_key(tenant, contract, from)); });
}

Result<std::optional<RuleRow>> EmbeddedStore::rule_state(RuleKind kind, const std::string& tenant,
                                                         const std::string& rule,
                                                         const std::string& about) {
  return read([&](Rows& rows) -> Result<std::optional<RuleRow>> {
    TRY(auto row, rows.find<RuleRow>(rule_key(kind, tenant, rule, about)));
    if (row) row->kind = kind;
    return row;
  });
}

Result<std::optional<PeriodRow>> EmbeddedStore::newest_period(const std::string& tenant,
                                                              const std::string& contract) {
  return read([&](Rows& rows) {
    const Key prefix = Key(Table::period).text(tenant).text(contract);
    return rows.last<PeriodRow>(prefix, prefix.end());
  });
}

Result<std::vector<PeriodRow>> EmbeddedStore::list_periods(const std::string& tenant,
                                                           const std::string& contract,
                                                           Timestamp from, size_t limit) {
  return read([&](Rows& rows) {
    return periods_in(rows, period_key(tenant, contract, from),
                      Key(Table::period).text(tenant).text(contract).end(), limit);
  });
}

Result<std::vector<PeriodRow>> EmbeddedStore::list_all_periods(const std::string& after_tenant,
                                                               const std::string& after_contract,
                                                               Timestamp after_from, size_t limit) {
  return read([&](Rows& rows) {
    const Key all(Table::period);
    const Bytes from = after_contract.empty()
                           ? all.bytes()
                           : period_key(after_tenant, after_contract, after_from).end();
    return periods_in(rows, from, all.end(), limit);
  });
}

Status EmbeddedStore::upsert_exceptions(std::span<const ExceptionUpsert> upserts) {
  return write([&](Rows& rows) { return write_exceptions(rows, upserts); });
}

Result<ExceptionRow> EmbeddedStore::exception(const std::string& id) {
  return read([&](Rows& rows) { return rows.get<ExceptionRow>(exception_key(id), "exception"); });
}

Result<std::vector<ExceptionRow>> EmbeddedStore::list_exceptions(const ExceptionFilter& filter) {
  return read([&](Rows& rows) -> Result<std::vector<ExceptionRow>> {
    const Key prefix(Table::exception);
    const Bytes from = filter.after.empty() ? prefix.bytes() : exception_key(filter.after).end();
    std::vector<ExceptionRow> out;
    TRY_VOID(rows.scan<ExceptionRow>(from, prefix.end(),
                                     [&](ByteView, ExceptionRow row) -> Result<bool> {
                                       if (out.size() == filter.limit) return false;
                                       if (matches(filter, row)) out.push_back(std::move(row));
                                       return true;
                                     }));
    return out;
  });
}

Result<ExceptionAction> EmbeddedStore::act_on_exception(const ExceptionChange& change) {
  return write([&](Rows& rows) -> Result<ExceptionAction> {
    ExceptionAction action = change.action;
    const Key key = exception_key(action.exception);
    TRY(const auto row, rows.get<ExceptionRow>(key, "exception"));
    if (row.state == ExceptionState::resolved && !change.release)
      return fail(Errc::conflict, "the exception is resolved already");
    const Key prefix = Key(Table::exception_action).text(action.exception);
    TRY(const auto newest, rows.last<ExceptionAction>(prefix, prefix.end()));
    const uint32_t next = newest ? newest->number + 1 : 1;
    if (action.number != 0 && action.number != next)
      return fail(Errc::conflict, "somebody did something about the exception meanwhile");
    action.number = next;
    if (action.number > ExceptionAction::kPerExceptionMax)
      return fail(Errc::reject, "the exception has had too many actions: resolve it");
    TRY_VOID(rows.put(key, acted(row, action)));
    TRY_VOID(rows.put(Key(prefix).u32(action.number), action));
    if (change.release) TRY_VOID(release(rows, *change.release));
    TRY_VOID(append_statements(rows, change.statements));
    return action;
  });
}

Result<std::vector<ExceptionAction>> EmbeddedStore::exception_actions(const std::string& exception,
                                                                      uint32_t after,
                                                                      size_t limit) {
  return read([&](Rows& rows) -> Result<std::vector<ExceptionAction>> {
    const Key prefix = Key(Table::exception_action).text(exception);
    const Bytes from = Key(prefix).u32(after).end();
    std::vector<ExceptionAction> out;
    TRY_VOID(rows.scan<ExceptionAction>(from, prefix.end(),
                                        [&](ByteView, ExceptionAction action) -> Result<bool> {
                                          if (out.size() == limit) return false;
                                          out.push_back(std::move(action));
                                          return true;
                                        }));
    return out;
  });
}

}  // namespace ledgerline::collector
