#pragma once
// The evidence log's Merkle tree (RFC 6962, section 2.1), kept as its frontier: the roots of the
// perfect subtrees that cover the leaves from left to right, one per set bit of the size. Appending
// needs no other node. Pure.

#include <vector>

#include "common/ids.h"

namespace ledgerline::collector {

/// SHA-256(0x00 || data)
Digest leaf_hash(ByteView data);
/// SHA-256(0x01 || left || right)
Digest node_hash(const Digest& left, const Digest& right);

class LogTree {
 public:
  LogTree() = default;
  /// Errc::corrupt where the number of subtrees does not fit the size.
  static Result<LogTree> from(uint64_t size, std::vector<Digest> frontier);

  /// `data` is what the leaf says, not its hash.
  void append(ByteView data);

  [[nodiscard]] uint64_t size() const { return size_; }
  /// The largest subtree first.
  [[nodiscard]] const std::vector<Digest>& frontier() const { return frontier_; }
  /// Merkle tree hash of all leaves; of none: SHA-256 of the empty text.
  [[nodiscard]] Digest root() const;

 private:
  uint64_t size_ = 0;
  std::vector<Digest> frontier_;
};

}  // namespace ledgerline::collector
