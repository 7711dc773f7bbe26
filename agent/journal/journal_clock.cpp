// The boots of the agent and the time: what the collector's signatures prove to be past, and the
// boots that wait until the clock can be believed. Their readings are in the file like any other;
// only sealing waits, because a sealed batch can be given no anchor any more.

#include <algorithm>

#include "agent/journal/journal_impl.h"
#include "common/check.h"
#include "common/messages.h"

namespace ledgerline::agent {

void wait_for_time(Boots& boots, const Boots::Waiting& boot) {
  if (boots.waiting.size() == Boots::kWaitingMax) boots.waiting.erase(boots.waiting.begin());
  boots.waiting.push_back(boot);
}

Status Journal::Impl::load_clock(const io::LmdbTxn& txn) {
  floor = grant->issued_at;
  TRY(const auto stored, get_checked(txn, keys::stream(keys::StreamPart::receipt)));
  // One that a newer version of the agent kept may not be readable: the floor is lower then.
  const auto message =
      stored ? open_signed(*stored, payload_type::kReceipt) : fail(Errc::not_found, "no receipt");
  const auto receipt = message ? decode_receipt(message->body) : fail(message.error());
  if (receipt) floor = std::max(floor, receipt->issued_at);
  TRY(const auto known, get_checked(txn, keys::stream(keys::StreamPart::boots)));
  if (known) {
    TRY(boots, values::decode_boots(*known));
  }
  return {};
}

std::optional<ClockAnchor> Journal::Impl::anchor_of(const std::string& machine) const {
  return !machine.empty() && machine == boots.machine ? state.anchor : std::nullopt;
}

Boots Journal::Impl::boots_of(const std::string& machine) const {
  Boots out{.machine = machine, .waiting = {}};
  if (machine.empty() || machine != boots.machine) return out;
  out.waiting = boots.waiting;
  // An older version of the agent may have run in between, and sealed them.
  std::erase_if(out.waiting, [this](const auto& each) { return each.run < state.first_run; });
  return out;
}

Status Journal::Impl::place(io::LmdbTxn& txn, const std::vector<Boots::Waiting>& waiting,
                            const ClockAnchor& anchor, StreamState& next) const {
  for (const Boots::Waiting& boot : waiting) {
    const Bytes key = keys::run(boot.run);
    TRY(const ByteView value, require_checked(txn, key));
    TRY(const StoredRun run, values::decode_run(value));
    TRY(Columns columns, decode_section(run.section, run.first_seq, meters));
    if (columns.size() != 0 || columns.records.empty())
      return fail(Errc::corrupt, "a stored run is not the boot record that waits for a time");
    columns.records.push_back({columns.first_seq, anchor});
    const Bytes section = encode_section(columns, meters);
    next.unsealed_records += 1;
    next.unsealed_bytes += section.size() - run.section.size();
    const StoredRun placed{.first_seq = run.first_seq,
                           .readings = 0,
                           .records = static_cast<uint16_t>(columns.records.size()),
                           .section = section};
    TRY_VOID(put_checked(txn, key, values::encode(placed)));
  }
  return {};
}

Status Journal::Impl::put_anchor(const ClockAnchor& anchor) {
  StreamState next = state;
  next.anchor = anchor;
  const Boots none{.machine = boots.machine, .waiting = {}};
  TRY(auto txn, begin_growing());
  if (boots.waiting.empty()) {
    ColumnsBuilder run(next.next_seq);
    run.add(anchor);
    TRY_VOID(put_run(txn, run.columns(), next));
  } else {
    TRY_VOID(place(txn, boots.waiting, anchor, next));
    TRY_VOID(put_checked(txn, keys::stream(keys::StreamPart::boots), values::encode(none)));
  }
  TRY_VOID(put_state(txn, next));
  TRY_VOID(commit(std::move(txn), std::move(next)));
  boots = none;
  return {};
}

Result<ClockVerdict> Journal::observe_clocks(const ClockAnchor& now) {
  auto& j = *impl_;
  TRY_VOID(j.must_be_booted());
  const ClockVerdict verdict = judge_clock(j.floor, j.state.anchor, now);
  if (verdict == ClockVerdict::believed) {
    const Status put = j.with_room([&] { return j.put_anchor(now); });
    // Without a page left the next call tries again.
    if (!put && put.error().code() == Errc::full) return ClockVerdict::unchanged;
    TRY_VOID(put);
  }
  return j.doubt.note(verdict, now) ? verdict : ClockVerdict::unchanged;
}

ClockStatus Journal::Impl::clock_status() const {
  ClockStatus out{.anchored = !grant || boots.waiting.empty(),
                  .doubt = doubt.why(),
                  .doubts = doubt.times(),
                  .floor = floor};
  if (doubt.why() != ClockVerdict::unchanged) out.doubted_for = clock.monotonic() - doubt.since();
  if (!boots.waiting.empty()) out.waiting = state.next_seq - boots.waiting.front().first_seq;
  return out;
}

}  // namespace ledgerline::agent
