#pragma once
// The evidence log's Merkle tree (RFC 6962, section 2.1) and its proofs. A leaf's audit path proves
// that it is in the tree of a root; a consistency proof, that a later tree begins with all leaves
// of an earlier one. Pure: who makes a proof reads nodes, who verifies one needs nothing else.

#include <functional>
#include <span>
#include <vector>

#include "common/ids.h"

namespace ledgerline {

/// SHA-256(0x00 || data)
Digest leaf_hash(ByteView data);
/// SHA-256(0x01 || left || right)
Digest node_hash(const Digest& left, const Digest& right);
/// Of the tree without leaves: SHA-256 of the empty text.
Digest empty_root();

/// No proof of a tree of up to 2^63 leaves has more hashes.
inline constexpr size_t kMerkleProofMax = 64;
inline constexpr uint64_t kMerkleSizeMax = uint64_t{1} << 63;

/// The root of the perfect subtree over the leaves [index * 2^level, (index + 1) * 2^level).
using NodeReader = std::function<Result<Digest>(unsigned level, uint64_t index)>;

/// The audit path of a leaf in the tree of `size` leaves, from the leaf's sibling upwards.
/// Errc::reject where the tree has no such leaf; else what the reader says.
Result<std::vector<Digest>> inclusion_proof(LeafNumber leaf, uint64_t size, const NodeReader& node);
/// Empty where old_size is 0 or new_size. Errc::reject where old_size is above new_size.
Result<std::vector<Digest>> consistency_proof(uint64_t old_size, uint64_t new_size,
                                              const NodeReader& node);
/// Merkle tree hash of the first `size` leaves.
Result<Digest> root_of(uint64_t size, const NodeReader& node);

/// Errc::corrupt where the proof does not lead from the leaf's hash at `leaf` to `root`.
Status verify_inclusion(const Digest& hash_of_leaf, LeafNumber leaf, uint64_t size,
                        std::span<const Digest> proof, const Digest& root);
/// Errc::corrupt where the proof does not show that the new tree begins with the old one.
Status verify_consistency(uint64_t old_size, const Digest& old_root, uint64_t new_size,
                          const Digest& new_root, std::span<const Digest> proof);

/// The tree kept as its frontier: the roots of the perfect subtrees that cover the leaves from left
/// to right, one per set bit of the size. Appending needs no other node.
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
  /// Merkle tree hash of all leaves; of none: empty_root().
  [[nodiscard]] Digest root() const;

 private:
  uint64_t size_ = 0;
  std::vector<Digest> frontier_;
};

}  // namespace ledgerline
