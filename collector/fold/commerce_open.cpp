// Exceptions that are open already: what a look at their cause does not write again is closed.
#include "collector/core/exceptions.h"
#include "collector/fold/commerce_runner.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kOpenMax = 100'000;  // remembered of all contracts; later ones wait for the next
                                      // start or change of the catalog
constexpr size_t kClearsMax = 500;    // in one transaction

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
  std::map<std::string, ContractHints> found;
  size_t count = 0;
  ExceptionFilter filter{.tenant = tenant_};
  for (bool more = true; more && count < kOpenMax;) {
    TRY(const auto rows, store_.list_exceptions(filter));
    for (const ExceptionRow& row : rows) {
      const bool late = row.kind == exception_kind::kLate;
      const bool held =
          row.kind == exception_kind::kSilentDevice || row.kind == exception_kind::kNotRated;
      if (row.contract.empty() || (!late && !held)) continue;
      ContractHints& hints = found[row.contract];
      (late ? hints.late : hints.held_open).insert(row.id);
      ++count;
    }
    more = rows.size() == filter.limit;
    if (more) filter.after = rows.back().id;
  }
  hints_ = std::move(found);
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
