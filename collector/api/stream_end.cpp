#include "collector/api/stream_end.h"

#include <algorithm>

namespace ledgerline::collector {

namespace {

/// What cannot be read leaves the meters as they are: the fold reports it.
void follow_batch(const LogEntry& entry, StreamEnd& end) {
  const auto batch = open_envelope(entry.sealed);
  if (!batch) return;
  end.totals = batch->manifest.totals;
  end.next_seq = std::max(end.next_seq, batch->manifest.last_seq + 1);
  const auto columns = open_columns(*batch, end.meters);
  // Decoding has applied the tables to a copy, so this cannot fail.
  if (columns) std::ignore = apply_meter_tables(columns->records, end.meters);
}

void follow_tombstone(const LogEntry& entry, StreamEnd& end) {
  const auto message = open_signed(entry.sealed, payload_type::kTombstone);
  if (!message) return;
  const auto tombstone = decode_tombstone(message->body, end.meters);
  if (!tombstone) return;
  end.totals = tombstone->totals;
  end.next_seq = std::max(end.next_seq, tombstone->last_seq + 1);
  std::ignore = apply_meter_tables(tombstone->records, end.meters);
}

}  // namespace

Result<StreamEnd> read_stream_end(Store& store, const StreamRow& row) {
  const StreamId& stream = row.grant.stream;
  StreamEnd end;
  TRY(const auto folded, store.fold_state(stream));
  if (folded) end = {folded->next_seq, folded->totals, folded->meters};
  if (folded && folded->folded_number == row.head_number) return end;
  TRY(const FoldCursor cursor, store.fold_cursor());
  for (LeafNumber next = cursor.cursor; next < cursor.log_size;) {
    TRY(const auto entries, store.read_log(next));
    if (entries.empty()) break;
    for (const LogEntry& entry : entries) {
      if (entry.stream != stream) continue;
      if (entry.kind == LeafKind::batch) follow_batch(entry, end);
      if (entry.kind == LeafKind::tombstone) follow_tombstone(entry, end);
    }
    next = entries.back().leaf + 1;
  }
  return end;
}

}  // namespace ledgerline::collector
