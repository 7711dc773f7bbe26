// Custody: batches become leaves of the evidence log together with their stream's new head and
// receipt.

#include <algorithm>

#include "collector/store/embedded_store.h"
#include "common/check.h"

namespace ledgerline::collector {

namespace {

Key linked_key(const StreamId& stream, BatchNumber number) {
  return Key(Table::linked).id(stream.view()).u64(number);
}
Key parked_key(const StreamId& stream, BatchNumber number) {
  return Key(Table::parked).id(stream.view()).u64(number);
}

/// The entry as the log's next leaf; its leaf number is the tree's size.
Status append_leaf(Rows& rows, LogTree& tree, const LogEntry& entry) {
  CHECK_INVARIANT(entry.leaf == tree.size());
  TRY_VOID(rows.put(Key(Table::leaf).u64(entry.leaf), entry));
  tree.append(entry.data.view());
  return {};
}

Key statements_key(LeafKind kind) { return Key(Table::statement).u32(static_cast<uint32_t>(kind)); }

/// The bytes to link: those that came, or those that were parked, which leave their place.
Result<SideBatch> take_batch(Rows& rows, StreamRow& row, const LinkedBatch& link) {
  SideBatch batch{
      .number = link.number, .id = link.id, .sealed = link.sealed, .received_at = link.received_at};
  const auto place = std::find(row.parked.begin(), row.parked.end(), link.number);
  if (place == row.parked.end()) {
    CHECK_INVARIANT(!link.sealed.empty());
    return batch;
  }
  if (link.sealed.empty()) {
    TRY(batch, rows.get<SideBatch>(parked_key(row.grant.stream, link.number), "parked batch"));
    CHECK_INVARIANT(batch.id == link.id);
  }
  TRY(const bool was_there, rows.erase(parked_key(row.grant.stream, link.number)));
  if (!was_there) return fail(Errc::corrupt, "a parked batch is gone");
  row.parked.erase(place);
  return batch;
}

/// What is parked up to the tombstone's end is given up with the rest.
Status unpark_upto(Rows& rows, StreamRow& row, BatchNumber last) {
  const auto end = std::upper_bound(row.parked.begin(), row.parked.end(), last);
  for (auto it = row.parked.begin(); it != end; ++it)
    TRY_VOID(rows.erase(parked_key(row.grant.stream, *it)));
  row.parked.erase(row.parked.begin(), end);
  return {};
}

Status link_batch(Rows& rows, LogTree& tree, StreamRow& row, const LinkedBatch& link) {
  CHECK_INVARIANT(link.tombstone ? link.number > row.head_number
                                 : link.number == row.head_number + 1);
  const StreamId& stream = row.grant.stream;
  TRY(const bool known, rows.contains(linked_key(stream, link.number)));
  if (known) return fail(Errc::corrupt, "a batch beyond the stream's head is in the log");

  if (link.tombstone) TRY_VOID(unpark_upto(rows, row, link.number));
  TRY(auto batch, take_batch(rows, row, link));
  const LogEntry entry{.leaf = tree.size(),
                       .kind = link.tombstone ? LeafKind::tombstone : LeafKind::batch,
                       .data = link.tombstone.value_or(*Digest::from(batch.id.view())),
                       .stream = stream,
                       .number = batch.number,
                       .received_at = batch.received_at,
                       .sealed = std::move(batch.sealed)};
  TRY_VOID(append_leaf(rows, tree, entry));
  TRY_VOID(rows.put(linked_key(stream, link.number), LinkedRow{.id = link.id, .leaf = entry.leaf}));
  row.head_number = link.number;
  row.head_id = link.id;
  row.tombstones += link.tombstone ? 1 : 0;
  return {};
}

Status park_batch(Rows& rows, StreamRow& row, const SideBatch& batch) {
  CHECK_INVARIANT(batch.number > row.head_number);
  const auto place = std::lower_bound(row.parked.begin(), row.parked.end(), batch.number);
  if (place == row.parked.end() || *place != batch.number) {
    if (row.parked.size() == Receipt::kParkedMax) {
      return fail(Errc::reject, "the stream has too many parked batches");
    }
    row.parked.insert(place, batch.number);
  }
  return rows.put(parked_key(row.grant.stream, batch.number), batch);
}

Status admit_one(Rows& rows, LogTree& tree, const AdmitChange& change) {
  const Key key = Key(Table::stream).id(change.stream.view());
  TRY(auto row, rows.get<StreamRow>(key, "stream"));
  if (row.revision != change.expected_revision) {
    return fail(Error(Errc::conflict, "the stream was changed meanwhile")
                    .with("stream", change.stream.hex()));
  }
  for (const LinkedBatch& link : change.links) TRY_VOID(link_batch(rows, tree, row, link));
  for (const SideBatch& batch : change.parks) TRY_VOID(park_batch(rows, row, batch));
  for (const SideBatch& batch : change.forks) {
    TRY_VOID(rows.put(
        Key(Table::fork).id(change.stream.view()).u64(batch.number).id(batch.id.view()), batch));
  }
  TRY_VOID(write_exceptions(rows, change.exceptions));
  row.duplicates += change.duplicates;
  if (change.status) row.status = *change.status;
  if (change.receipt_number != 0) {
    CHECK_INVARIANT(change.receipt_number > row.receipt_number);
    row.receipt_number = change.receipt_number;
    row.receipt = change.receipt;
  }
  if (change.presented_upto > row.presented_upto) {
    row.presented_upto = change.presented_upto;
    row.presented_receipt = change.presented_receipt;
  }
  row.rolled_back = change.rolled_back.value_or(row.rolled_back);
  ++row.revision;
  return write_stream(rows, row);
}

}  // namespace

Result<uint64_t> count_of(Rows& rows, LeafKind kind) {
  const Key prefix = statements_key(kind);
  TRY(const auto newest, rows.last_key(prefix, prefix.end()));
  if (!newest) return 0;
  return big_endian64(ByteView(*newest).last(8));
}

Result<LeafNumber> append_statement(Rows& rows, const StatementPut& put) {
  CHECK_INVARIANT(put.kind != LeafKind::batch && put.kind != LeafKind::tombstone);
  TRY(auto tree, read_tree(rows));
  const uint64_t size_before = tree.size();
  TRY(const uint64_t count, count_of(rows, put.kind));
  if (put.expected_count && *put.expected_count != count)
    return fail(Errc::conflict, "another statement of this kind was logged meanwhile");
  const LogEntry entry{.leaf = tree.size(),
                       .kind = put.kind,
                       .data = put.id,
                       .stream = {},
                       .number = count + 1,
                       .received_at = put.at,
                       .sealed = put.sealed};
  TRY_VOID(append_leaf(rows, tree, entry));
  TRY_VOID(rows.put_u64(statements_key(put.kind).u64(entry.number), entry.leaf));
  if (!put.about.empty()) {
    TRY_VOID(check_stored_name("what a statement is about", put.about));
    TRY_VOID(rows.put_nothing(Key(Table::statement_about).text(put.about).u64(entry.leaf)));
  }
  TRY_VOID(write_tree(rows, size_before, tree));
  return entry.leaf;
}

Status append_statements(Rows& rows, std::span<const StatementPut> statements) {
  for (const StatementPut& put : statements) TRY_VOID(append_statement(rows, put));
  return {};
}

Result<LeafNumber> EmbeddedStore::admit(std::span<const AdmitChange> changes) {
  return write([&](Rows& rows) -> Result<LeafNumber> {
    TRY(auto tree, read_tree(rows));
    const uint64_t size_before = tree.size();
    for (const AdmitChange& change : changes) TRY_VOID(admit_one(rows, tree, change));
    TRY_VOID(write_tree(rows, size_before, tree));
    return tree.size();
  });
}

Result<std::optional<BatchId>> EmbeddedStore::batch_id(const StreamId& stream, BatchNumber number) {
  return read([&](Rows& rows) -> Result<std::optional<BatchId>> {
    TRY(const auto row, rows.find<LinkedRow>(linked_key(stream, number)));
    if (!row) return std::nullopt;
    return row->id;
  });
}

Result<LeafNumber> EmbeddedStore::batch_leaf(const StreamId& stream, BatchNumber number) {
  return read([&](Rows& rows) -> Result<LeafNumber> {
    TRY(const auto row, rows.get<LinkedRow>(linked_key(stream, number), "linked batch"));
    return row.leaf;
  });
}

Result<SideBatch> EmbeddedStore::parked(const StreamId& stream, BatchNumber number) {
  return read(
      [&](Rows& rows) { return rows.get<SideBatch>(parked_key(stream, number), "parked batch"); });
}

Result<std::vector<SideBatch>> EmbeddedStore::forks(const StreamId& stream) {
  return read([&](Rows& rows) -> Result<std::vector<SideBatch>> {
    const Key prefix = Key(Table::fork).id(stream.view());
    std::vector<SideBatch> out;
    TRY_VOID(
        rows.scan<SideBatch>(prefix, prefix.end(), [&](ByteView, SideBatch batch) -> Result<bool> {
          out.push_back(std::move(batch));
          return true;
        }));
    return out;
  });
}

Result<std::vector<LogEntry>> EmbeddedStore::read_log(LeafNumber from,
                                                      const ReadLogLimits& limits) {
  return read([&](Rows& rows) -> Result<std::vector<LogEntry>> {
    std::vector<LogEntry> out;
    size_t bytes = 0;
    const Key first = Key(Table::leaf).u64(from);
    TRY_VOID(rows.scan<LogEntry>(first, Key(Table::leaf).end(),
                                 [&](ByteView, LogEntry entry) -> Result<bool> {
                                   bytes += entry.sealed.size();
                                   if (!out.empty() && bytes > limits.bytes) return false;
                                   out.push_back(std::move(entry));
                                   return out.size() < limits.count;
                                 }));
    return out;
  });
}

Result<LogEntry> EmbeddedStore::leaf(LeafNumber leaf) {
  return read([&](Rows& rows) { return rows.get<LogEntry>(Key(Table::leaf).u64(leaf), "leaf"); });
}

Result<uint64_t> EmbeddedStore::statement_count(LeafKind kind) {
  return read([&](Rows& rows) { return count_of(rows, kind); });
}

Result<std::vector<LogEntry>> EmbeddedStore::statements(LeafKind kind, uint64_t number,
                                                        size_t limit) {
  return read([&](Rows& rows) -> Result<std::vector<LogEntry>> {
    const Key prefix = statements_key(kind);
    std::vector<LeafNumber> leaves;
    TRY_VOID(rows.scan_u64(Key(prefix).u64(number), prefix.end(), [&](uint64_t leaf) {
      if (leaves.size() == limit) return false;
      leaves.push_back(leaf);
      return true;
    }));
    std::vector<LogEntry> out;
    for (const LeafNumber leaf : leaves) {
      TRY(out.emplace_back(), rows.get<LogEntry>(Key(Table::leaf).u64(leaf), "leaf"));
    }
    return out;
  });
}

Result<std::vector<LogEntry>> EmbeddedStore::statements_about(const std::string& about) {
  return read([&](Rows& rows) -> Result<std::vector<LogEntry>> {
    const Key prefix = Key(Table::statement_about).text(about);
    std::vector<LeafNumber> leaves;
    TRY_VOID(rows.scan_keys(prefix, prefix.end(), [&](ByteView key) -> Result<bool> {
      leaves.push_back(big_endian64(key.last(8)));
      return true;
    }));
    std::vector<LogEntry> out;
    for (const LeafNumber leaf : leaves) {
      TRY(out.emplace_back(), rows.get<LogEntry>(Key(Table::leaf).u64(leaf), "leaf"));
    }
    return out;
  });
}

}  // namespace ledgerline::collector
