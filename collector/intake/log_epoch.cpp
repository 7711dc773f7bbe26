#include "collector/intake/log_epoch.h"

#include "collector/intake/log_checkpoint.h"
#include "common/io/log.h"
#include "common/io/system.h"

namespace ledgerline::collector {

using io::kv;

namespace {

constexpr int kConflictsMax = 5;  // other writers that may be first

Result<EpochPut> epoch_put(const EpochStatement& statement, const EpochCause& cause,
                           Signer& signer) {
  TRY(const SignedStatement made, sign_statement(LeafKind::epoch, statement.json(), signer));
  EpochPut out{.expected_epoch = cause.epoch,
               .expected_leaves = statement.log_leaves,
               .epoch = statement.epoch,
               .statement = {},
               .exceptions = {}};
  out.statement.kind = made.kind;
  out.statement.id = made.id;
  out.statement.sealed = made.bytes;
  out.statement.at = statement.at;
  if (cause.by_itself)
    out.exceptions.push_back(new_epoch_opened(statement, cause.reason, statement.at));
  return out;
}

/// Whether the log as it is holds what was signed, or a later epoch has accounted for it.
Result<bool> log_contains(Store& store, const LogOrigin& ours, const ShownCheckpoint& shown) {
  TRY(const LogHead head, store.log_head());
  const Contained contained = judge_shown(shown, ours, head);
  if (contained != Contained::by_proof) return contained == Contained::yes;
  const Checkpoint& before = shown.checkpoint;
  TRY(const auto proof, store.consistency_proof(before.size, head.size));
  return verify_consistency(before.size, before.root, head.size, head.root, proof).has_value();
}

}  // namespace

LogOrigin first_epoch(const PublicKey& collector) {
  return {.collector = collector.id().hex(), .log = "ledgerline", .epoch = 1};
}

Result<std::optional<uint32_t>> begin_epoch(Store& store, Signer& signer, const EpochCause& cause,
                                            Timestamp now) {
  for (int attempt = 1;; ++attempt) {
    TRY(const LogOrigin origin, store.log_origin());
    TRY_VOID(check_own_log(origin, signer));
    if (origin.epoch != cause.epoch) return std::nullopt;
    TRY(const LogHead head, store.log_head());
    const EpochStatement statement{.collector = origin.collector,
                                   .log = origin.log,
                                   .epoch = next_epoch(origin, cause.shown),
                                   .log_leaves = head.size,
                                   .root = head.root,
                                   .shown = cause.shown ? cause.shown->note : std::string(),
                                   .by = std::string(kByCollector),
                                   .at = now,
                                   .reason = cause.reason};
    TRY(const EpochPut put, epoch_put(statement, cause, signer));
    const Status stored = store.begin_epoch(put);
    if (stored) {
      io::log_error("log_epoch_begun", {kv("epoch", statement.epoch), kv("leaves", head.size),
                                        kv("reason", cause.reason),
                                        kv("action", "nothing is rated before recover --resume")});
      return statement.epoch;
    }
    if (stored.error().code() != Errc::conflict || attempt == kConflictsMax)
      return fail(stored.error());
  }
}

Result<std::optional<uint32_t>> begin_epoch_for_note(Store& store, Signer& signer,
                                                     std::string_view note,
                                                     const std::string& whose, Timestamp now) {
  TRY(const LogOrigin ours, store.log_origin());
  TRY_VOID(check_own_log(ours, signer));
  const auto shown = shown_checkpoint(note, ours, signer.public_key());
  if (!shown) return std::nullopt;
  TRY(const bool contained, log_contains(store, ours, *shown));
  if (contained) return std::nullopt;
  const std::string reason = whose + " a checkpoint of epoch " +
                             std::to_string(shown->origin.epoch) + " with " +
                             std::to_string(shown->checkpoint.size) +
                             " leaves that this collector signed and does not hold";
  return begin_epoch(store, signer, {.epoch = ours.epoch, .shown = shown, .reason = reason}, now);
}

Status keep_checkpoint(const std::string& file, const std::string& note) {
  if (file.empty()) return {};
  return io::write_file_durably(file, note);
}

Result<std::optional<uint32_t>> begin_epoch_if_put_back(Store& store, Signer& signer,
                                                        const std::string& file, Timestamp now) {
  if (file.empty()) return std::nullopt;
  const auto note = io::read_file(file, CheckpointNote::kSizeMax);
  if (note) return begin_epoch_for_note(store, signer, *note, "the file " + file + " shows", now);
  if (note.error().code() != Errc::not_found)
    io::log_warn("checkpoint_file_unreadable", {kv("error", note.error())});
  return std::nullopt;
}

Result<std::optional<Timestamp>> epoch_began(Store& store) {
  TRY(const uint64_t count, store.statement_count(LeafKind::epoch));
  if (count == 0) return std::nullopt;
  TRY(const auto newest, store.statements(LeafKind::epoch, count, 1));
  if (newest.empty()) return fail(Errc::corrupt, "the newest epoch statement is gone");
  return newest.front().received_at;
}

}  // namespace ledgerline::collector
