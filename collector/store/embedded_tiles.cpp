// The evidence log's tree: its frontier, its tiles of hashes, proofs over them, checkpoints.
//
// clang-format off
//   tile(level, n) := hash[256]      C2SP tlog-tiles, height 8: the roots of the perfect subtrees of
//                                    256^level leaves, from number 256 * n on; at level 0 leaf hashes
// clang-format on
//
// A tile is stored once, in the transaction that completes it, and never changes. What no full tile
// holds yet is at most the last 255 hashes of each level: computed from the leaves, or from the
// tiles one level below. So a proof reads a few rows, however long the log is.

#include "collector/store/embedded_store.h"
#include "common/check.h"

namespace ledgerline::collector {

namespace {

constexpr unsigned kHeight = 8;
constexpr uint64_t kWidth = uint64_t{1} << kHeight;

Key log_key() { return Key(Table::meta).text("log"); }
Key origin_key() { return Key(Table::meta).text("origin"); }
Key checkpoint_key() { return Key(Table::meta).text("checkpoint"); }
Key tile_key(unsigned level, uint64_t tile) { return Key(Table::tile).u32(level).u64(tile); }

/// How many tiles of the level are full in a log of that size.
uint64_t full_tiles(unsigned level, uint64_t size) { return size >> (kHeight * (level + 1)); }

Result<std::vector<Digest>> read_tile(Rows& rows, unsigned level, uint64_t tile) {
  TRY(const auto stored, rows.find_bytes(tile_key(level, tile)));
  if (!stored || stored->size() != kWidth * Digest::kSize) {
    return fail(Error(Errc::corrupt,
                      "the store lacks hashes of the evidence log: they were lost, or a version "
                      "without proofs wrote it, and then it has to be made anew")
                    .with("level", std::to_string(level))
                    .with("tile", std::to_string(tile)));
  }
  std::vector<Digest> out;
  out.reserve(kWidth);
  for (size_t i = 0; i < kWidth; ++i) {
    out.push_back(*Digest::from(ByteView(*stored).subspan(i * Digest::kSize, Digest::kSize)));
  }
  return out;
}

/// Of a power of two of hashes.
Digest perfect_root(std::vector<Digest> hashes) {
  for (; hashes.size() > 1; hashes.resize(hashes.size() / 2)) {
    for (size_t i = 0; i < hashes.size() / 2; ++i)
      hashes[i] = node_hash(hashes[2 * i], hashes[2 * i + 1]);
  }
  return hashes.front();
}

Result<std::vector<Digest>> leaf_hashes(Rows& rows, LeafNumber first, uint64_t count) {
  std::vector<Digest> out;
  const Key from = Key(Table::leaf).u64(first);
  const Key to = Key(Table::leaf).u64(first + count);
  TRY_VOID(rows.scan<LogEntry>(from, to, [&](ByteView, LogEntry entry) -> Result<bool> {
    if (entry.leaf != first + out.size()) return false;
    out.push_back(leaf_hash(entry.data.view()));
    return true;
  }));
  if (out.size() == count) return out;
  return fail(Error(Errc::corrupt, "the evidence log lacks a leaf")
                  .with("leaf", std::to_string(first + out.size())));
}

/// Hashes of the level from `first` on, from what lies below it.
Result<std::vector<Digest>> compute_hashes(Rows& rows, unsigned level, uint64_t first,
                                           uint64_t count) {
  if (level == 0) return leaf_hashes(rows, first, count);
  std::vector<Digest> out;
  for (uint64_t tile = first; tile < first + count; ++tile) {
    TRY(auto below, read_tile(rows, level - 1, tile));
    out.push_back(perfect_root(std::move(below)));
  }
  return out;
}

Status write_tile(Rows& rows, unsigned level, uint64_t tile) {
  TRY(const auto hashes, compute_hashes(rows, level, tile * kWidth, kWidth));
  Bytes value;
  value.reserve(kWidth * Digest::kSize);
  for (const Digest& hash : hashes)
    value.insert(value.end(), hash.view().begin(), hash.view().end());
  return rows.put_bytes(tile_key(level, tile), value);
}

/// The root of the perfect subtree number `index` of 2^height leaves, in a log of `size` leaves.
Result<Digest> read_node(Rows& rows, uint64_t size, unsigned height, uint64_t index) {
  const unsigned level = height / kHeight;
  const uint64_t count = uint64_t{1} << (height % kHeight);
  const uint64_t first = index * count;
  const uint64_t tile = first / kWidth;
  if (tile >= full_tiles(level, size)) {
    TRY(auto hashes, compute_hashes(rows, level, first, count));
    return perfect_root(std::move(hashes));
  }
  TRY(const auto hashes, read_tile(rows, level, tile));
  const auto begin = hashes.begin() + static_cast<std::ptrdiff_t>(first % kWidth);
  return perfect_root({begin, begin + static_cast<std::ptrdiff_t>(count)});
}

NodeReader nodes_of(Rows& rows, uint64_t size) {
  return [&rows, size](unsigned height, uint64_t index) {
    return read_node(rows, size, height, index);
  };
}

/// The log's size, where it is at least `wanted`.
Result<uint64_t> size_of_at_least(Rows& rows, uint64_t wanted) {
  TRY(const auto tree, read_tree(rows));
  if (wanted <= tree.size()) return tree.size();
  return fail(Error(Errc::reject, "the evidence log is not that long")
                  .with("asked", std::to_string(wanted))
                  .with("size", std::to_string(tree.size())));
}

}  // namespace

Result<LogTree> read_tree(Rows& rows) {
  TRY(auto row, rows.find<LogRow>(log_key()));
  if (!row) return LogTree();
  return LogTree::from(row->size, std::move(row->frontier));
}

Status write_tree(Rows& rows, uint64_t size_before, const LogTree& tree) {
  if (tree.size() == size_before) return {};
  for (unsigned level = 0; full_tiles(level, tree.size()) > 0; ++level) {
    for (uint64_t tile = full_tiles(level, size_before); tile < full_tiles(level, tree.size());
         ++tile) {
      // Damage in what a tile is computed from ends the proofs that need it, never custody.
      const auto written = write_tile(rows, level, tile);
      if (!written && written.error().code() != Errc::corrupt) return written;
    }
  }
  return rows.put(log_key(), LogRow{.size = tree.size(), .frontier = tree.frontier()});
}

Result<LogHead> EmbeddedStore::log_head() {
  return read([&](Rows& rows) -> Result<LogHead> {
    TRY(const auto tree, read_tree(rows));
    return LogHead{.size = tree.size(), .root = tree.root()};
  });
}

Result<std::vector<Digest>> EmbeddedStore::inclusion_proof(LeafNumber leaf, uint64_t size) {
  return read([&](Rows& rows) -> Result<std::vector<Digest>> {
    TRY(const uint64_t stored, size_of_at_least(rows, size));
    return ledgerline::inclusion_proof(leaf, size, nodes_of(rows, stored));
  });
}

Result<std::vector<Digest>> EmbeddedStore::consistency_proof(uint64_t old_size, uint64_t new_size) {
  return read([&](Rows& rows) -> Result<std::vector<Digest>> {
    TRY(const uint64_t stored, size_of_at_least(rows, new_size));
    return ledgerline::consistency_proof(old_size, new_size, nodes_of(rows, stored));
  });
}

// ---- Origin and checkpoint

Result<LogOrigin> EmbeddedStore::ensure_origin(const LogOrigin& origin) {
  return write([&](Rows& rows) -> Result<LogOrigin> {
    TRY(auto stored, rows.find<LogOrigin>(origin_key()));
    if (stored) return std::move(*stored);
    TRY_VOID(rows.put(origin_key(), origin));
    return origin;
  });
}

Result<LogOrigin> EmbeddedStore::log_origin() {
  return read([&](Rows& rows) { return rows.get<LogOrigin>(origin_key(), "evidence log"); });
}

Status EmbeddedStore::begin_epoch(const EpochPut& put) {
  CHECK_INVARIANT(put.epoch > put.expected_epoch);
  return write([&](Rows& rows) -> Status {
    TRY(auto origin, rows.get<LogOrigin>(origin_key(), "evidence log"));
    TRY(const auto tree, read_tree(rows));
    if (origin.epoch != put.expected_epoch || tree.size() != put.expected_leaves)
      return fail(Errc::conflict, "the evidence log has grown or begun another epoch meanwhile");
    origin.epoch = put.epoch;
    TRY_VOID(rows.put(origin_key(), origin));
    TRY_VOID(append_statement(rows, put.statement));
    return write_exceptions(rows, put.exceptions);
  });
}

Result<std::string> EmbeddedStore::stored_checkpoint() {
  return read([&](Rows& rows) -> Result<std::string> {
    TRY(const auto note, rows.find_bytes(checkpoint_key()));
    return note ? string_of(*note) : std::string();
  });
}

Status EmbeddedStore::put_checkpoint(const std::string& expected, const std::string& note) {
  CHECK_INVARIANT(!note.empty());
  return write([&](Rows& rows) -> Status {
    TRY(const auto stored, rows.find_bytes(checkpoint_key()));
    if ((stored ? string_of(*stored) : std::string()) != expected)
      return fail(Errc::conflict, "another checkpoint was stored meanwhile");
    return rows.put_bytes(checkpoint_key(), bytes_of(note));
  });
}

}  // namespace ledgerline::collector
