// Exceptions that are open already: what a look at their cause does not write again is closed.
#include "collector/core/exceptions.h"
#include "collector/fold/commerce_runner.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kClearsMax = 500;  // in one transaction

/// Of the kinds that a look at the series opens and closes.
bool is_uncounted(std::string_view kind) {
  return kind == exception_kind::kUnmappedSubject || kind == exception_kind::kUnknownMeter ||
         kind == exception_kind::kWrongUnit;
}

ExceptionUpsert cleared(const Contract& contract, const std::string& id, const char* why,
                        Timestamp now) {
  ExceptionUpsert out;
  out.mode = UpsertMode::clear;
  out.row.id = id;
  out.row.contract = contract.name;
  out.row.last_seen = now;
  out.row.detail = why;
  return out;
}

}  // namespace

Status CommerceRunner::load_open() {
  if (open_loaded_) return {};
  std::map<std::string, ContractHints> contracts;
  std::map<SeriesId, OpenSeries> series;
  size_t of_contracts = 0;
  size_t of_series = 0;
  bool complete = true;
  ExceptionFilter filter{.tenant = tenant_};
  for (bool more = true; more;) {
    TRY(const auto rows, store_.list_exceptions(filter));
    for (const ExceptionRow& row : rows) {
      const bool late = row.kind == exception_kind::kLate;
      const bool held =
          row.kind == exception_kind::kSilentDevice || row.kind == exception_kind::kNotRated;
      if (is_uncounted(row.kind)) {
        complete = complete && of_series < options_.open_max;
        if (!complete) continue;
        series[row.series].kinds.insert(row.kind);
        ++of_series;
      } else if (!row.contract.empty() && (late || held) && of_contracts < options_.open_max) {
        ContractHints& hints = contracts[row.contract];
        (late ? hints.late : hints.held_open).insert(row.id);
        ++of_contracts;
      }
    }
    more = rows.size() == filter.limit && (complete || of_contracts < options_.open_max);
    if (more) filter.after = rows.back().id;
  }
  hints_ = std::move(contracts);
  open_series_ = std::move(series);
  open_series_complete_ = complete;
  open_loaded_ = true;
  return {};
}

std::vector<ExceptionUpsert> CommerceRunner::held_changes(const Contract& contract,
                                                          const std::vector<ExceptionUpsert>& look,
                                                          Timestamp now) {
  std::set<std::string> gone = hints_[contract.name].held_open;
  std::vector<ExceptionUpsert> out;
  for (const ExceptionUpsert& upsert : look) {
    const bool open = gone.contains(upsert.row.id);
    const bool clears = upsert.mode == UpsertMode::clear;
    if (open == clears) out.push_back(upsert);
    gone.erase(upsert.row.id);
  }
  for (const std::string& id : gone)
    out.push_back(cleared(contract, id, "the contract's periods do not wait for it any more", now));
  return out;
}

Status CommerceRunner::write_held(const Contract& contract,
                                  const std::vector<ExceptionUpsert>& look, Timestamp now,
                                  CommerceReport& report) {
  CommercialChanges changes;
  changes.exceptions = held_changes(contract, look, now);
  if (changes.exceptions.empty()) return {};
  TRY(const bool written, write(changes, report));
  if (!written) return {};
  std::set<std::string>& open = hints_[contract.name].held_open;
  for (const ExceptionUpsert& upsert : changes.exceptions) {
    if (upsert.mode == UpsertMode::clear) {
      open.erase(upsert.row.id);
    } else {
      open.insert(upsert.row.id);
    }
  }
  return {};
}

Status CommerceRunner::clear_late(const Contract& contract, Timestamp now, CommerceReport& report) {
  const ContractHints& hints = hints_[contract.name];
  // What could not be compared may be what keeps one of them open.
  if (hints.audit_passed || hints.late.empty()) return {};
  CommercialChanges changes;
  for (const std::string& id : hints.late) {
    if (changes.exceptions.size() == kClearsMax) break;
    changes.exceptions.push_back(
        cleared(contract, id,
                "under the present links, nothing of it came after its period was closed", now));
  }
  TRY_VOID(write(changes, report));  // which takes them out of the hints
  return {};
}

}  // namespace ledgerline::collector
