// recover: for a collector that lost its store, or got an older copy of it back.

#include "collector/api/commands.h"
#include "collector/api/exception_text.h"
#include "collector/api/pages.h"
#include "collector/api/setup.h"
#include "collector/api/table.h"
#include "collector/intake/log_epoch.h"
#include "common/check.h"
#include "common/exit_code.h"
#include "common/io/log.h"
#include "common/io/private_file.h"
#include "common/printable.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kReasonMax = 400;
constexpr const char* kReasonTooLong = "a reason is text of at most 400 bytes";

Result<std::vector<ExceptionRow>> exceptions_of(Store& store, std::string_view kind) {
  std::vector<ExceptionRow> out;
  TRY_VOID(each_page<ExceptionRow>(
      [&](const std::string& after) {
        return store.list_exceptions({.kind = std::string(kind), .after = after, .limit = kPage});
      },
      [&](const ExceptionRow& row) -> Status {
        out.push_back(row);
        return {};
      }));
  return out;
}

struct Standing {
  RecoveryMode mode;
  uint32_t epoch = 0;  // of the evidence log; 0: it has not begun
  bool rating_halted = false;
  Recovering lost;
  std::vector<ExceptionRow> let_in;   // not looked at yet
  std::vector<ExceptionRow> unknown;  // not let in
};

Result<Standing> read_standing(Store& store) {
  Standing out;
  TRY(out.mode, store.recovery_mode());
  TRY(out.epoch, epoch_in_force(store));
  TRY(out.rating_halted, rating_halted(store));
  TRY(out.lost, store.recovering());
  TRY(out.let_in, exceptions_of(store, exception_kind::kIntroduced));
  TRY(out.unknown, exceptions_of(store, exception_kind::kUnknownStream));
  return out;
}

/// The old store may have signed what this one does not hold, so the log goes on under another
/// origin.
Status begin_recovery(Store& store, Signer& signer, const std::string& reason, Timestamp now) {
  TRY(const LogOrigin origin, store.ensure_origin(first_epoch(signer.public_key())));
  TRY_VOID(begin_epoch(
      store, signer,
      {.epoch = origin.epoch, .shown = std::nullopt, .reason = reason, .by_itself = false}, now));
  io::log_warn("recover_mode_begun", {io::kv("reason", reason)});
  TRY(RecoveryMode mode, store.recovery_mode());
  mode.active = true;
  mode.reason = reason;
  mode.since = now;
  mode.ended_at = std::nullopt;
  return store.put_recovery_mode(mode);
}

/// Of the epoch in force. One that begins meanwhile halts rating again.
Status resume_rating(Store& store, const std::string& reason, Timestamp now) {
  if (reason.size() > kReasonMax) return fail(Errc::reject, kReasonTooLong);
  TRY(const uint32_t epoch, epoch_in_force(store));
  TRY(RecoveryMode mode, store.recovery_mode());
  if (epoch <= mode.resumed_epoch)
    return fail(Errc::conflict, "rating is not halted: there is nothing to resume");
  mode.resumed_epoch = epoch;
  mode.resume_reason = reason;
  mode.resumed_at = now;
  // The exception first: killed in between, rating is still halted and this command can be given
  // again; the other way round nothing would ever close the exception.
  std::vector<ExceptionUpsert> looked_at;
  TRY(auto rows, exceptions_of(store, exception_kind::kNewEpoch));
  for (ExceptionRow& row : rows) {
    row.detail = "rating was resumed: " + reason;
    row.last_seen = now;
    looked_at.push_back({UpsertMode::clear, std::move(row)});
  }
  TRY_VOID(store.upsert_exceptions(looked_at));
  TRY_VOID(store.put_recovery_mode(mode));
  io::log_warn("rating_resumed", {io::kv("epoch", epoch), io::kv("reason", reason)});
  return {};
}

Status change_mode(Store& store, Signer* signer, const CommandLine& options, Timestamp now) {
  if (options.resume) return resume_rating(store, options.reason, now);
  TRY(RecoveryMode mode, store.recovery_mode());
  if (options.end) {
    if (!mode.active) return fail(Errc::conflict, "the collector is not in recover mode");
    mode.active = false;
    mode.ended_at = now;
    io::log_warn("recover_mode_ended", {});
    return store.put_recovery_mode(mode);
  }
  if (options.reason.empty()) return {};
  if (options.reason.size() > kReasonMax) return fail(Errc::reject, kReasonTooLong);
  if (mode.active) return fail(Errc::conflict, "the collector is in recover mode already");
  CHECK_INVARIANT(signer != nullptr);
  return begin_recovery(store, *signer, options.reason, now);
}

Json as_json(const std::vector<ExceptionRow>& rows, Timestamp now) {
  Json out = Json::array();
  for (const ExceptionRow& row : rows) out.push(as_json(row, now));
  return out;
}

Json as_json(const Standing& standing, Timestamp now) {
  const RecoveryMode& mode = standing.mode;
  const auto time = [](const std::optional<Timestamp>& t) {
    return t ? Json::string(to_rfc3339(*t)) : Json::null();
  };
  return Json::object({{"active", Json::boolean(mode.active)},
                       {"reason", Json::string(mode.reason)},
                       {"since", time(mode.since)},
                       {"ended_at", time(mode.ended_at)},
                       {"log_epoch", Json::number(std::to_string(standing.epoch))},
                       {"rating_halted", Json::boolean(standing.rating_halted)},
                       {"resumed_at", time(mode.resumed_at)},
                       {"resume_reason", Json::string(mode.resume_reason)},
                       {"recovering_streams", Json::number(std::to_string(standing.lost.streams))},
                       {"recovering_batches", Json::number(std::to_string(standing.lost.batches))},
                       {"let_in", as_json(standing.let_in, now)},
                       {"unknown", as_json(standing.unknown, now)}});
}

void print_devices(const std::vector<ExceptionRow>& rows, Timestamp now, std::ostream& out) {
  TextTable table({"EXCEPTION", "DEVICE", "SINCE", "WHAT"});
  for (const ExceptionRow& row : rows) {
    table.add({row.id.substr(0, 11), row.tenant + "/" + row.device, age_text(now - row.first_seen),
               printable(row.detail)});
  }
  table.print(out);
}

void print(const Standing& standing, Timestamp now, std::ostream& out) {
  const RecoveryMode& mode = standing.mode;
  if (mode.active) {
    out << "recover mode since " << to_rfc3339(mode.since.value_or(now)) << ": "
        << printable(mode.reason)
        << "\nA device that this store does not know is let in where it shows a grant that this "
           "collector signed and holds its key.\nEnd it with recover --end once all are here: "
           "whoever holds an old key of a device is let in as well.\n";
  } else {
    out << "not in recover mode"
        << (mode.ended_at ? "; it ended at " + to_rfc3339(*mode.ended_at) : std::string()) << "\n";
  }
  out << "evidence log: epoch " << standing.epoch << "\n";
  if (standing.rating_halted) {
    out << "nothing is rated: " << kHowToResume << "\n";
  } else if (mode.resumed_at) {
    out << "rating was resumed at " << to_rfc3339(*mode.resumed_at) << ": "
        << printable(mode.resume_reason) << "\n";
  }
  out << "still to come back: " << standing.lost.batches << " batches of " << standing.lost.streams
      << " streams; no period that needs them closes\n";
  if (!standing.let_in.empty()) {
    out << "\nlet in, to be looked at one by one, because revocations were lost with the store "
           "(revoke the device, or exceptions ignore):\n";
    print_devices(standing.let_in, now, out);
  }
  if (!standing.unknown.empty()) {
    out << "\nnot known and not let in:\n";
    print_devices(standing.unknown, now, out);
  }
}

}  // namespace

Result<int> recover(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                    std::ostream& out) {
  // There may be no store yet: it was lost. The key must be there, or it is another collector.
  std::unique_ptr<Signer> signer;
  const bool begins = !options.reason.empty() && !options.resume;
  if (begins) {
    const auto key = io::read_private_file(config.key_file());
    if (!key)
      return fail(Error(Errc::config,
                        "without the key that signed their grants no device can be let in: put the "
                        "collector's key back first (" +
                            key.error().text() + ")"));
    TRY(signer, load_or_make_signer(config));
  }
  TRY(auto store, begins ? open_store(config) : open_existing_store(config));
  return recover(*store, signer.get(), options, clock, out);
}

Result<int> recover(Store& store, Signer* signer, const CommandLine& options, Clock& clock,
                    std::ostream& out) {
  const Timestamp now = clock.now();
  TRY_VOID(change_mode(store, signer, options, now));
  TRY(const Standing standing, read_standing(store));
  if (options.json) {
    out << as_json(standing, now).dump() << "\n";
  } else {
    print(standing, now, out);
    if (options.end)
      out << "\nThe broker's access list is written anew at the next enroll or revoke, from this "
             "store: a device that was not let in loses its topics then.\n";
  }
  return kExitOk;
}

}  // namespace ledgerline::collector
