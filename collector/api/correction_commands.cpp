// correct add, void, withdraw, list: what an operator says about usage, signed into the evidence
// log. What it changes is shown before anything is written.

#include <set>

#include "collector/api/commands.h"
#include "collector/api/operator_key.h"
#include "collector/api/pages.h"
#include "collector/api/setup.h"
#include "collector/api/table.h"
#include "collector/core/mapping.h"
#include "collector/fold/contract_usage.h"
#include "collector/fold/evidence.h"
#include "collector/fold/logged_catalog.h"
#include "collector/fold/tenant.h"
#include "common/exit_code.h"
#include "common/printable.h"

namespace ledgerline::collector {

namespace {

constexpr uint64_t kCorrectionsMax = 100'000;
constexpr size_t kPeriodsShown = 20;
constexpr size_t kShortId = 16;

struct Logged {
  Digest id;
  Correction correction;
};

/// Those that cannot be read are left out: they change nothing.
Result<std::vector<Logged>> logged_corrections(Store& store) {
  std::vector<Logged> out;
  for (uint64_t number = 1;; number += kPage) {
    TRY(const auto page, store.statements(LeafKind::correction, number, kPage));
    for (const LogEntry& leaf : page) {
      const auto statement = open_statement(leaf.kind, leaf.sealed);
      if (!statement) continue;
      auto correction = Correction::parse(statement->json);
      if (correction) out.push_back({leaf.data, std::move(*correction)});
    }
    if (page.size() < kPage) return out;
  }
}

const Logged* ended_by(const std::vector<Logged>& all, const Digest& id) {
  for (const Logged& one : all) {
    if (one.correction.withdraws == id) return &one;
  }
  return nullptr;
}

/// By its id or the beginning of it.
Result<Logged> to_withdraw(Store& store, const std::string& id) {
  TRY(const auto all, logged_corrections(store));
  const Logged* found = nullptr;
  for (const Logged& one : all) {
    if (id.empty() || !one.id.hex().starts_with(id)) continue;
    if (found != nullptr && found->id != one.id)
      return fail(Error(Errc::reject, "several corrections begin so").with("id", id));
    found = &one;
  }
  if (found == nullptr)
    return fail(Error(Errc::not_found, "there is no such correction").with("id", id));
  if (found->correction.action == CorrectionAction::withdraw) {
    return fail(Errc::reject,
                "a withdraw cannot be withdrawn: make the correction that it ended again");
  }
  if (ended_by(all, found->id) != nullptr)
    return fail(Error(Errc::reject, "it is withdrawn already").with("id", found->id.hex()));
  return *found;
}

Result<Timestamp> time_of(const std::string& option, const std::string& text) {
  auto time = parse_rfc3339(text);
  if (!time) return fail(Error(time.error()).with(option, text));
  return time;
}

/// What the options say, without who says it.
Result<Correction> requested(Store& store, const Catalog& catalog, const CommandLine& options) {
  Correction out;
  if (options.verb == CommandLine::Verb::withdraw_correction) {
    TRY(Logged ended, to_withdraw(store, options.correction));
    out = std::move(ended.correction);
    out.action = CorrectionAction::withdraw;
    out.value.reset();
    out.withdraws = ended.id;
  } else {
    out.device = options.device;
    out.subject = options.subject;
    out.meter = options.meter;
    const CatalogMeter* meter = catalog.meter(options.meter);
    out.unit = options.unit.empty() && meter != nullptr ? meter->unit : options.unit;
    TRY(out.from, time_of("--from", options.from));
  }
  if (options.verb == CommandLine::Verb::add_usage) {
    const auto value = Decimal::parse(options.value);
    if (!value) return fail(Error(value.error()).with("--value", options.value));
    out.value = *value;
  }
  if (options.verb == CommandLine::Verb::void_usage) {
    out.action = CorrectionAction::void_usage;
    TRY(out.until, time_of("--until", options.until));
  }
  out.references = options.references;
  out.reason = options.reason;
  return out;
}

/// One correction before it is made.
class Preview {
 public:
  Preview(Store& store, const Catalog& catalog, const Correction& correction)
      : store_(store),
        catalog_(catalog),
        mapping_(catalog),
        correction_(correction),
        row_(row_of(correction, statement_id(LeafKind::correction, bytes_of(correction.json())),
                    0)) {}

  Status print(std::ostream& out) {
    out << to_string(correction_.action) << " device " << printable(correction_.device)
        << ", subject \"" << printable(correction_.subject) << "\", meter "
        << printable(correction_.meter) << ", from " << to_rfc3339(row_.from)
        << (correction_.until ? " until " + to_rfc3339(row_.until) : std::string()) << "\n";
    TRY_VOID(print_usage(out));
    return print_periods(out);
  }

 private:
  struct Sum {
    std::string quantity;
    uint64_t readings = 0;
  };

  Result<Sum> sum(const std::vector<SeriesRow>& series, Period span,
                  const std::vector<CorrectionRow>& rows, bool with_added) {
    std::vector<SeriesId> ids;
    for (const SeriesRow& one : series) ids.push_back(one.id);
    TRY(const auto used, exact_usage(store_, ids, span.from, span.until, Corrections(rows)));
    MeterUsage total;
    for (const SeriesRow& one : series) {
      const auto found = used.find(one.id);
      if (found != used.end()) TRY_VOID(total.add(found->second, one.key.scale));
    }
    if (with_added && correction_.value) {
      const Decimal value = correction_.value->trimmed();
      UsageValue added;
      added.add(static_cast<int64_t>(value.coefficient()),
                {.time_ms = row_.from.unix_ms(), .stream = {}, .seq = 0});
      TRY_VOID(total.add(added, value.scale()));
    }
    const CatalogMeter* meter = catalog_.meter(correction_.meter);
    return Sum{total.quantity(meter->aggregation).trimmed().text(), total.count()};
  }

  /// In whole quarter hours around it.
  Status print_usage(std::ostream& out) {
    const Period span{QuarterHour::of(row_.from).start(),
                      QuarterHour::of(row_.until - Duration(1)).end()};
    std::vector<SeriesRow> series;
    TRY_VOID(for_each_series(store_, row_.tenant, row_.device, [&](const SeriesRow& one) -> Status {
      const bool concerned = one.key.subject == row_.subject && one.key.meter == row_.meter;
      if (concerned && series_fault(catalog_, one.key).empty()) series.push_back(one);
      return {};
    }));
    TRY(auto rows, store_.corrections(row_.tenant, row_.device));
    TRY(const Sum before, sum(series, span, rows, false));
    rows.push_back(row_);
    TRY(const Sum after, sum(series, span, rows, true));
    out << "usage from " << to_rfc3339(span.from) << " until " << to_rfc3339(span.until) << ": "
        << before.quantity << " -> " << after.quantity << " " << printable(correction_.unit)
        << " (readings " << before.readings << " -> " << after.readings << ")\n";
    return {};
  }

  Status print_periods(std::ostream& out) {
    size_t shown = 0;
    for (const MappedSpan& span :
         mapping_.spans(row_.device, row_.subject, {row_.from, row_.until})) {
      const Contract* contract =
          span.link == nullptr ? nullptr : catalog_.contract_of(span.link->subscription);
      if (contract == nullptr) {
        out << "from " << to_rfc3339(span.from) << " until " << to_rfc3339(span.until)
            << ": linked to no contract, nobody is billed\n";
        continue;
      }
      TRY_VOID(print_contract(*contract, {span.from, span.until}, shown, out));
    }
    return {};
  }

  Status print_contract(const Contract& contract, Period span, size_t& shown, std::ostream& out) {
    TRY(const auto newest, store_.newest_period(row_.tenant, contract.name));
    for (Timestamp t = std::max(span.from, contract.rule.anchor()); t < span.until;) {
      const auto period = contract.rule.containing(t);
      if (!period || (contract.until && t >= *contract.until)) break;
      const bool closed = newest && t < newest->to;
      if (shown++ == kPeriodsShown) {
        out << "and further periods until " << to_rfc3339(span.until) << "\n";
        return {};
      }
      out << "contract " << contract.name << ", period " << to_rfc3339(period->from) << " to "
          << to_rfc3339(period->until)
          << (closed ? ": closed, gets an adjustment where the difference is billed\n"
                     : ": open, its bill will have it\n");
      t = period->until;
    }
    return {};
  }

  Store& store_;
  const Catalog& catalog_;
  Mapping mapping_;
  const Correction& correction_;
  CorrectionRow row_;
};

Status check_room(Store& store) {
  TRY(const uint64_t count, store.statement_count(LeafKind::correction));
  if (count < kCorrectionsMax) return {};
  return fail(Errc::reject, "the log holds " + std::to_string(kCorrectionsMax) +
                                " corrections, and no more are taken");
}

Json as_json(const Logged& one, const Logged* ended) {
  Json out = parse_json(one.correction.json()).value();
  out.set("id", Json::string(one.id.hex()));
  out.set("withdrawn_by", ended != nullptr ? Json::string(ended->id.hex()) : Json::null());
  return out;
}

}  // namespace

Result<int> correct(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                    std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  TRY(const Catalog catalog, catalog_in_force(*store));
  TRY(const auto tenant, tenant_of(catalog, *store));
  if (!tenant) return fail(Errc::not_found, "no device is enrolled yet");
  TRY(Correction correction, requested(*store, catalog, options));
  correction.tenant = *tenant;
  correction.at = clock.now();
  ActingOperator acting{.signer = nullptr, .name = "dry-run"};
  if (!options.dry_run) {
    TRY(acting, acting_operator(config, *store, options.key, correction.at));
  }
  correction.by = acting.name;
  TRY_VOID(store->device(*tenant, correction.device));
  TRY_VOID(check_correction(correction, catalog));
  TRY_VOID(check_room(*store));
  TRY_VOID(Preview(*store, catalog, correction).print(out));
  if (options.dry_run) return kExitOk;
  CommercialChanges changes;
  TRY(changes.statements.emplace_back(),
      signed_put(LeafKind::correction, correction.json(), *acting.signer, correction.at));
  TRY_VOID(store->put_documents(changes));
  out << "correction " << changes.statements.front().id.hex() << " by " << acting.name
      << " is logged; a running collector counts it within seconds\n";
  return kExitOk;
}

Result<int> list_corrections(const CollectorConfig& config, const CommandLine& options,
                             std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  TRY(const auto all, logged_corrections(*store));
  if (options.json) {
    Json list = Json::array();
    for (const Logged& one : all) list.push(as_json(one, ended_by(all, one.id)));
    out << list.dump() << "\n";
    return kExitOk;
  }
  TextTable table({"ID", "AT", "BY", "ACTION", "DEVICE", "SUBJECT", "METER", "FROM", "UNTIL",
                   "VALUE", "REASON"});
  for (const Logged& one : all) {
    const Correction& it = one.correction;
    const bool ended = ended_by(all, one.id) != nullptr;
    table.add({one.id.hex().substr(0, kShortId), to_rfc3339(it.at), it.by,
               std::string(to_string(it.action)) + (ended ? " (withdrawn)" : ""), it.device,
               it.subject, it.meter, to_rfc3339(it.from), it.until ? to_rfc3339(*it.until) : "",
               it.value ? it.value->trimmed().text() + " " + it.unit : "", it.reason});
  }
  table.print(out);
  return kExitOk;
}

}  // namespace ledgerline::collector
