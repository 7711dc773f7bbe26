// documents, approve, refuse, requeue, exceptions.

#include <algorithm>

#include "collector/api/commands.h"
#include "collector/api/document_text.h"
#include "collector/api/setup.h"
#include "collector/api/state_names.h"
#include "collector/api/table.h"
#include "collector/core/documents.h"
#include "collector/core/exceptions.h"
#include "common/exit_code.h"
#include "common/json.h"
#include "common/printable.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kPage = 1000;

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

template <class Row, class Read>
Status each_page(Read read, const std::function<Status(const Row&)>& visit) {
  std::string after;
  for (;;) {
    TRY(const std::vector<Row> page, read(after));
    for (const Row& row : page) TRY_VOID(visit(row));
    if (page.size() < kPage) return {};
    after = page.back().id;
  }
}

std::string age_text(Duration age) {
  const int64_t seconds = std::max<int64_t>(age.count() / 1000, 0);
  if (seconds < 120) return std::to_string(seconds) + "s";
  if (seconds < 2 * 3600) return std::to_string(seconds / 60) + "m";
  if (seconds < 2 * 86400) return std::to_string(seconds / 3600) + "h";
  return std::to_string(seconds / 86400) + "d";
}

std::string about(const ExceptionRow& row) {
  std::string out;
  for (const std::string* part :
       {&row.device, &row.subject, &row.meter, &row.contract, &row.document}) {
    if (part->empty()) continue;
    if (!out.empty()) out += " ";
    out += *part;
  }
  return out;
}

std::string_view action_of(const ExceptionRow& row) {
  const ExceptionPolicy* policy = exception_policy(row.kind);
  return policy == nullptr ? std::string_view() : policy->action;
}

/// Some lines each: who, how much, why, what to do. A table of all that fits no terminal.
void print(const ExceptionRow& row, Timestamp now, std::ostream& out) {
  out << row.kind << "  " << printable(about(row)) << "\n    " << row.count << " readings, "
      << row.value.text() << " " << printable(row.unit) << ", for " << row.owner << ", "
      << age_text(now - row.first_seen) << " old\n    " << printable(row.detail) << "\n";
  if (row.state == ExceptionState::open) {
    out << "    to do: " << action_of(row) << "\n";
  } else {
    out << "    resolved: " << printable(row.resolution) << "\n";
  }
}

Json as_json(const ExceptionRow& row, Timestamp now) {
  return Json::object({{"id", string(row.id)},
                       {"kind", string(row.kind)},
                       {"state", string(row.state == ExceptionState::open ? "open" : "resolved")},
                       {"owner", string(row.owner)},
                       {"tenant", string(row.tenant)},
                       {"device", string(row.device)},
                       {"subject", string(row.subject)},
                       {"meter", string(row.meter)},
                       {"contract", string(row.contract)},
                       {"document", string(row.document)},
                       {"count", number(row.count)},
                       {"value", string(row.value.text())},
                       {"unit", string(row.unit)},
                       {"first_seen", string(to_rfc3339(row.first_seen))},
                       {"last_seen", string(to_rfc3339(row.last_seen))},
                       {"age_s", Json::number((now - row.first_seen).count() / 1000)},
                       {"detail", string(row.detail)},
                       {"action", string(action_of(row))},
                       {"resolution", string(row.resolution)}});
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
  TRY(const DocumentRow row, store->document(options.document));
  const bool approving = options.verb == CommandLine::Verb::approve;
  TRY(const DocumentVerdict verdict,
      approving ? approve(row, options.by, clock.now()) : refuse(row, options.by, clock.now()));
  TRY_VOID(store->decide_document({.id = row.id,
                                   .revision = row.revision,
                                   .expected = row.state,
                                   .state = verdict.state,
                                   .by = verdict.by,
                                   .at = verdict.at,
                                   .delivery = verdict.delivery}));
  out << row.id << " " << name_of(verdict.state) << " by " << printable(verdict.by) << ": "
      << row.total.text() << " " << row.currency << " for " << row.account << "\n";
  return kExitOk;
}

Result<int> requeue(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                    std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  TRY(const DocumentRow row, store->document(options.document));
  TRY(const auto delivery, store->delivery(delivery_id(row)));
  if (!delivery)
    return fail(Errc::not_found, "the document has no delivery: it waits for approval");
  const auto stands = {DeliveryState::rejected, DeliveryState::conflict, DeliveryState::held};
  if (std::find(stands.begin(), stands.end(), delivery->state) == stands.end()) {
    return fail(Errc::conflict,
                "the delivery is " + std::string(name_of(delivery->state)) +
                    ": only a rejected, held or conflicting one is tried again by hand");
  }
  TRY_VOID(store->release_delivery({.id = delivery->id,
                                    .expected = delivery->state,
                                    .state = DeliveryState::retry,
                                    .next_attempt_at = clock.now(),
                                    .at = clock.now()}));
  out << row.id << " is tried again; it is looked up at " << row.connector << " first\n";
  return kExitOk;
}

Result<int> exceptions(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                       std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  Json list = Json::array();
  ExceptionFilter filter{.limit = kPage};
  if (options.all) filter.state.reset();
  size_t seen = 0;
  const auto read = [&](const std::string& after) {
    filter.after = after;
    return store->list_exceptions(filter);
  };
  const auto visit = [&](const ExceptionRow& row) -> Status {
    ++seen;
    if (options.json) {
      list.push(as_json(row, clock.now()));
    } else {
      print(row, clock.now(), out);
    }
    return {};
  };
  TRY_VOID(each_page<ExceptionRow>(read, visit));
  if (options.json) {
    out << list.dump() << "\n";
  } else if (seen == 0) {
    out << "no exceptions: nothing waits for a person\n";
  }
  return kExitOk;
}

}  // namespace ledgerline::collector
