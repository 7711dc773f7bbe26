#include "collector/core/epoch_statement.h"

#include <algorithm>

#include "collector/core/exceptions.h"
#include "common/check.h"

namespace ledgerline::collector {

namespace {

Json text(const std::string& value) { return Json::string(value); }
Json number(uint64_t value) { return Json::number(std::to_string(value)); }

}  // namespace

std::string EpochStatement::json() const {
  return Json::object({{"format", Json::number(1)},
                       {"collector", text(collector)},
                       {"log", text(log)},
                       {"epoch", number(epoch)},
                       {"log_leaves", number(log_leaves)},
                       {"root", text(root.hex())},
                       {"shown", shown.empty() ? Json::null() : text(shown)},
                       {"by", text(by)},
                       {"at", text(to_rfc3339(at))},
                       {"reason", text(reason)}})
      .dump();
}

Result<EpochStatement> EpochStatement::parse(std::string_view json) {
  TRY(const Json parsed, parse_json(json));
  StatementReader in(parsed);
  EpochStatement out;
  if (in.number("format") != 1) in.fault("format", "1");
  out.collector = in.text("collector");
  out.log = in.text("log");
  const uint64_t epoch = in.number("epoch");
  if (epoch < 2 || epoch > UINT32_MAX) in.fault("epoch", "a number from 2, below 2^32");
  out.epoch = static_cast<uint32_t>(epoch);
  out.log_leaves = in.number("log_leaves");
  out.root = in.digest("root");
  out.shown = in.optional_text("shown").value_or("");
  out.by = in.text("by");
  out.at = in.time("at");
  out.reason = in.text("reason");
  TRY_VOID(in.end());
  TRY_VOID(check_canonical(json, out.json()));
  return out;
}

std::optional<ShownCheckpoint> shown_checkpoint(std::string_view note, const LogOrigin& ours,
                                                const PublicKey& collector) {
  auto opened = open_checkpoint(note);
  if (!opened) return std::nullopt;
  auto origin = parse_log_origin(opened->checkpoint.origin);
  if (!origin || origin->collector != ours.collector || origin->log != ours.log)
    return std::nullopt;
  // Whoever shows it may have added lines of other names: they are not this collector's to log.
  for (const NoteSignature& signature : opened->signatures) {
    const CheckpointNote own{opened->checkpoint, opened->text, {signature}};
    if (!verify_checkpoint(own, collector)) continue;
    return ShownCheckpoint{std::move(*origin), opened->checkpoint, note_text(own)};
  }
  return std::nullopt;
}

Contained judge_shown(const ShownCheckpoint& shown, const LogOrigin& ours, const LogHead& head) {
  if (shown.origin.epoch < ours.epoch) return Contained::yes;
  if (shown.origin.epoch > ours.epoch || shown.checkpoint.size > head.size) return Contained::no;
  if (shown.checkpoint.size < head.size) return Contained::by_proof;
  return shown.checkpoint.root == head.root ? Contained::yes : Contained::no;
}

uint32_t next_epoch(const LogOrigin& ours, const std::optional<ShownCheckpoint>& shown) {
  const uint32_t newest = std::max(ours.epoch, shown ? shown->origin.epoch : 0);
  CHECK_INVARIANT(newest < UINT32_MAX);  // of what this collector itself signed
  return newest + 1;
}

ExceptionUpsert new_epoch_opened(const EpochStatement& statement, const std::string& why,
                                 Timestamp now) {
  const std::string epoch = std::to_string(statement.epoch);
  ExceptionRow out = new_exception(exception_kind::kNewEpoch, {statement.log, epoch}, {}, now);
  out.count = 1;
  out.detail =
      "epoch " + epoch + " of the evidence log began at " + std::to_string(statement.log_leaves) +
      " leaves: " + why +
      ". This store was put back from an older copy, or another one took its place. What "
      "devices sent since comes back by itself; what people decided since (catalog "
      "versions, corrections, gap acceptances, approvals, revocations) does not, so nothing is "
      "rated before recover --resume";
  return {UpsertMode::add, std::move(out)};
}

}  // namespace ledgerline::collector
