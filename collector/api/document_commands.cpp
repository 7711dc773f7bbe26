// documents, approve, refuse, requeue.

#include <algorithm>

#include "collector/api/commands.h"
#include "collector/api/document_text.h"
#include "collector/api/operator_key.h"
#include "collector/api/pages.h"
#include "collector/api/setup.h"
#include "collector/api/state_names.h"
#include "collector/api/table.h"
#include "collector/core/approvals.h"
#include "collector/core/documents.h"
#include "collector/core/exceptions.h"
#include "collector/dispatch/approval_of.h"
#include "common/exit_code.h"
#include "common/json.h"
#include "common/printable.h"

namespace ledgerline::collector {

namespace {

Json number(uint64_t value) { return Json::number(std::to_string(value)); }
Json string(std::string_view text) { return Json::string(std::string(text)); }

/// Empty where the document is about no amount.
std::string total_of(const DocumentRow& row) {
  return row.currency.empty() ? std::string() : row.total.text() + " " + row.currency;
}

const std::string& about(const DocumentRow& row) {
  return row.asset.empty() ? row.contract : row.asset;
}

Json as_json(const DocumentRow& row, const std::optional<DeliveryRow>& delivery) {
  Json out = Json::object(
      {{"id", string(row.id)},
       {"revision", number(row.revision)},
       {"kind", string(row.kind)},
       {"tenant", string(row.tenant)},
       {"account", string(row.account)},
       {"contract", string(row.contract)},
       {"asset", string(row.asset)},
       {"period_from", string(to_rfc3339(row.period_from))},
       {"period_until", string(to_rfc3339(row.period_to))},
       {"state", string(name_of(row.state))},
       {"total", row.currency.empty() ? Json::null() : string(row.total.text())},
       {"currency", string(row.currency)},
       {"connector", string(row.connector)},
       {"external_id", string(row.external_id)},
       {"decided_by", string(row.decided_by)},
       {"decided_at", row.decided_at ? string(to_rfc3339(*row.decided_at)) : Json::null()}});
  if (delivery) {
    out.set("delivery",
            Json::object({{"state", string(name_of(delivery->state))},
                          {"attempts", number(delivery->attempt)},
                          {"next_attempt_at", string(to_rfc3339(delivery->next_attempt_at))},
                          {"reply", string(delivery->reply)}}));
  }
  return out;
}

Result<int> show_document(Store& store, const CommandLine& options, std::ostream& out) {
  TRY(const DocumentRow row, store.document(options.document));
  TRY(const auto delivery, store.delivery(delivery_id(row)));
  TRY(Json body, parse_json(row.body));
  if (options.json) {
    Json whole = as_json(row, delivery);
    whole.set("body", std::move(body));
    out << whole.dump() << "\n";
    return kExitOk;
  }
  out << row.id << " revision " << row.revision << ": " << row.kind << " for " << row.account
      << (row.asset.empty() ? ", contract " : ", asset ") << about(row) << "\nperiod "
      << to_rfc3339(row.period_from) << " until " << to_rfc3339(row.period_to) << "\n"
      << (row.currency.empty() ? "" : total_of(row) + ", ") << name_of(row.state);
  if (!row.external_id.empty())
    out << ", " << row.connector << " id " << printable(row.external_id);
  out << "\n\n";
  print_body(body, out);
  if (delivery) {
    out << "\ndelivery " << name_of(delivery->state) << " after " << delivery->attempt
        << " attempts: " << printable(delivery->reply) << "\n";
  }
  return kExitOk;
}

/// Approved, or approved anew where the store says so and nobody's signature does.
Result<DocumentVerdict> approved(Store& store, const DocumentRow& row, const std::string& by,
                                 Timestamp now) {
  if (row.state != DocumentState::approved) return approve(row, by, now);
  TRY(const auto why_not, why_unapproved(store, row));
  TRY(const auto delivery, store.delivery(delivery_id(row)));
  if (!why_not || !delivery || delivery->state != DeliveryState::held)
    return approve(row, by, now);  // says that it does not wait
  return DocumentVerdict{
      .state = DocumentState::approved, .by = by, .at = now, .delivery = std::nullopt};
}

/// The newest of those that were raised when this delivery came to a stand.
Result<std::string> exception_about(Store& store, const DeliveryRow& delivery) {
  std::optional<ExceptionRow> newest;
  for (const auto kind : {exception_kind::kDeliveryRejected, exception_kind::kDeliveryConflict,
                          exception_kind::kDeliveryHeld, exception_kind::kDeliveryUnapproved}) {
    auto row = store.exception(exception_id(kind, {delivery.id}));
    if (!row && row.error().code() == Errc::not_found) continue;
    if (!row) return fail(row.error());
    if (!newest || newest->last_seen < row->last_seen) newest = std::move(*row);
  }
  if (newest) return newest->id;
  return fail(Error(Errc::not_found, "no exception is about the delivery").with("id", delivery.id));
}

}  // namespace

Result<int> documents(const CollectorConfig& config, const CommandLine& options,
                      std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  return documents(*store, options, out);
}

Result<int> documents(Store& store, const CommandLine& options, std::ostream& out) {
  if (!options.document.empty()) return show_document(store, options, out);
  Json list = Json::array();
  TextTable table(
      {"ID", "ABOUT", "KIND", "FROM", "UNTIL", "TOTAL", "STATE", "DELIVERY", "EXTERNAL ID"});
  const auto read = [&](const std::string& after) {
    return store.list_documents({.after = after, .limit = kPage});
  };
  const auto visit = [&](const DocumentRow& row) -> Status {
    TRY(const auto delivery, store.delivery(delivery_id(row)));
    if (options.json) {
      list.push(as_json(row, delivery));
    } else {
      table.add({row.id, about(row), row.kind, to_rfc3339(row.period_from),
                 to_rfc3339(row.period_to), total_of(row), std::string(name_of(row.state)),
                 delivery ? std::string(name_of(delivery->state)) : "-", row.external_id});
    }
    return {};
  };
  TRY_VOID(each_page<DocumentRow>(read, visit));
  if (options.json) {
    out << list.dump() << "\n";
  } else {
    table.print(out);
  }
  return kExitOk;
}

Result<int> decide(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                   std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  TRY(const ActingOperator acting, acting_operator(config, *store, options.key, clock.now()));
  TRY(const DocumentRow row, store->document(options.document));
  const bool approving = options.verb == CommandLine::Verb::approve;
  const Timestamp now = clock.now();
  TRY(const DocumentVerdict verdict,
      approving ? approved(*store, row, acting.name, now) : refuse(row, acting.name, now));
  const auto said = decision_about(row, approving, acting.name, now, options.reason);
  TRY(const StatementPut statement,
      signed_put(LeafKind::approval, said.json(), *acting.signer, now));
  CommercialChanges changes;
  changes.decisions.push_back({.id = row.id,
                               .revision = row.revision,
                               .expected = row.state,
                               .state = verdict.state,
                               .by = verdict.by,
                               .at = verdict.at,
                               .delivery = verdict.delivery,
                               .statement = statement});
  TRY_VOID(store->put_documents(changes));
  out << row.id << " " << name_of(verdict.state) << " by " << printable(verdict.by) << ": "
      << row.total.text() << " " << row.currency << " for " << row.account << "\n";
  if (row.state == DocumentState::approved)
    out << "its delivery is held: ledgerline-collector requeue " << row.id << "\n";
  return kExitOk;
}

Result<DeliveryRelease> release_of(const DeliveryRow& delivery, Timestamp now) {
  const auto stands = {DeliveryState::rejected, DeliveryState::conflict, DeliveryState::held};
  if (std::find(stands.begin(), stands.end(), delivery.state) == stands.end()) {
    return fail(Errc::conflict,
                "the delivery is " + std::string(name_of(delivery.state)) +
                    ": only a rejected, held or conflicting one is tried again by hand");
  }
  return DeliveryRelease{.id = delivery.id,
                         .expected = delivery.state,
                         .state = DeliveryState::retry,
                         .next_attempt_at = now,
                         .at = now};
}

Result<int> requeue(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                    std::ostream& out) {
  CommandLine action = options;
  action.verb = CommandLine::Verb::requeue_exception;
  {
    TRY(auto store, open_existing_store(config));
    TRY(const DocumentRow row, store->document(options.document));
    TRY(const auto delivery, store->delivery(delivery_id(row)));
    if (!delivery)
      return fail(Errc::not_found, "the document has no delivery: it waits for approval");
    TRY_VOID(release_of(*delivery, clock.now()));
    TRY(action.exception, exception_about(*store, *delivery));
  }
  return act_on_exception(config, action, clock, out);
}

}  // namespace ledgerline::collector
