#include "common/merkle.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "common/check.h"
#include "common/crypto.h"

namespace ledgerline {

namespace {

constexpr uint8_t kLeafPrefix[] = {0x00};
constexpr uint8_t kNodePrefix[] = {0x01};

/// RFC 6962's k: the largest power of two below n. Where the tree over n > 1 leaves is split.
uint64_t split(uint64_t n) { return std::bit_floor(n - 1); }

/// Merkle tree hash of the leaves [begin, end), where `begin` is a multiple of a power of two that
/// is not smaller than their number: so each set bit of the number is a perfect subtree.
Result<Digest> range_root(uint64_t begin, uint64_t end, const NodeReader& node) {
  CHECK_INVARIANT(begin < end);
  std::optional<Digest> right;
  for (uint64_t last = end; last > begin;) {
    const auto level = static_cast<unsigned>(std::countr_zero(last - begin));
    last -= uint64_t{1} << level;
    TRY(const Digest left, node(level, last >> level));
    right = right ? node_hash(left, *right) : left;
  }
  return *right;
}

tl::unexpected<Error> bad_inclusion(const char* why) {
  return fail(Errc::corrupt, std::string("an inclusion proof does not hold: ") + why);
}
tl::unexpected<Error> bad_consistency(const char* why) {
  return fail(Errc::corrupt, std::string("a consistency proof does not hold: ") + why);
}

}  // namespace

Digest leaf_hash(ByteView data) { return sha256({ByteView(kLeafPrefix), data}); }

Digest node_hash(const Digest& left, const Digest& right) {
  return sha256({ByteView(kNodePrefix), left.view(), right.view()});
}

Digest empty_root() { return sha256(ByteView()); }

// ---- Making proofs

Result<std::vector<Digest>> inclusion_proof(LeafNumber leaf, uint64_t size,
                                            const NodeReader& node) {
  if (leaf >= size || size > kMerkleSizeMax) {
    return fail(Error(Errc::reject, "the evidence log has no such leaf")
                    .with("leaf", std::to_string(leaf))
                    .with("size", std::to_string(size)));
  }
  std::vector<Digest> path;
  for (uint64_t begin = 0, end = size; end - begin > 1;) {
    const uint64_t middle = begin + split(end - begin);
    const bool goes_left = leaf < middle;
    TRY(const Digest sibling,
        goes_left ? range_root(middle, end, node) : range_root(begin, middle, node));
    path.push_back(sibling);
    (goes_left ? end : begin) = middle;
  }
  std::reverse(path.begin(), path.end());
  return path;
}

Result<std::vector<Digest>> consistency_proof(uint64_t old_size, uint64_t new_size,
                                              const NodeReader& node) {
  if (old_size > new_size || new_size > kMerkleSizeMax) {
    return fail(Error(Errc::reject, "the evidence log has fewer leaves than that")
                    .with("asked", std::to_string(old_size))
                    .with("size", std::to_string(new_size)));
  }
  std::vector<Digest> path;
  if (old_size == 0) return path;
  uint64_t begin = 0;
  uint64_t end = new_size;
  while (end != old_size) {
    const uint64_t middle = begin + split(end - begin);
    const bool goes_left = old_size <= middle;
    TRY(const Digest sibling,
        goes_left ? range_root(middle, end, node) : range_root(begin, middle, node));
    path.push_back(sibling);
    (goes_left ? end : begin) = middle;
  }
  // Where the path has only gone left, [begin, end) is the old tree itself: its root is known.
  if (begin > 0) {
    TRY(const Digest oldest, range_root(begin, end, node));
    path.push_back(oldest);
  }
  std::reverse(path.begin(), path.end());
  return path;
}

Result<Digest> root_of(uint64_t size, const NodeReader& node) {
  if (size == 0) return empty_root();
  return range_root(0, size, node);
}

// ---- Verifying them: RFC 9162, sections 2.1.3.2 and 2.1.4.2

Status verify_inclusion(const Digest& hash_of_leaf, LeafNumber leaf, uint64_t size,
                        std::span<const Digest> proof, const Digest& root) {
  if (leaf >= size || size > kMerkleSizeMax) return bad_inclusion("the tree has no such leaf");
  uint64_t position = leaf;
  uint64_t last = size - 1;
  Digest hash = hash_of_leaf;
  for (const Digest& sibling : proof) {
    if (last == 0) return bad_inclusion("it is too long");
    if ((position & 1) != 0 || position == last) {
      hash = node_hash(sibling, hash);
      // The last node of a level without a sibling rises as it is.
      const int rises = (position & 1) != 0 ? 0 : std::countr_zero(position);
      position >>= rises;
      last >>= rises;
    } else {
      hash = node_hash(hash, sibling);
    }
    position >>= 1;
    last >>= 1;
  }
  if (last != 0) return bad_inclusion("it is too short");
  if (hash != root) return bad_inclusion("it leads to another root");
  return {};
}

Status verify_consistency(uint64_t old_size, const Digest& old_root, uint64_t new_size,
                          const Digest& new_root, std::span<const Digest> proof) {
  if (old_size > new_size || new_size > kMerkleSizeMax)
    return bad_consistency("the old tree is larger than the new one");
  if (old_size == 0 || old_size == new_size) {
    if (!proof.empty()) return bad_consistency("it is too long");
    const Digest& wanted = old_size == 0 ? empty_root() : new_root;
    return old_root == wanted ? Status() : bad_consistency("the roots differ");
  }
  // An old tree that is perfect is a node of the new one, and the proof leaves it out.
  const bool perfect = std::has_single_bit(old_size);
  if (!perfect && proof.empty()) return bad_consistency("it is too short");
  const auto rises = std::countr_one(old_size - 1);
  uint64_t position = (old_size - 1) >> rises;
  uint64_t last = (new_size - 1) >> rises;
  Digest old_hash = perfect ? old_root : proof.front();
  Digest new_hash = old_hash;
  for (const Digest& sibling : perfect ? proof : proof.subspan(1)) {
    if (last == 0) return bad_consistency("it is too long");
    if ((position & 1) != 0 || position == last) {
      old_hash = node_hash(sibling, old_hash);
      new_hash = node_hash(sibling, new_hash);
      const int without = (position & 1) != 0 ? 0 : std::countr_zero(position);
      position >>= without;
      last >>= without;
    } else {
      new_hash = node_hash(new_hash, sibling);
    }
    position >>= 1;
    last >>= 1;
  }
  if (last != 0) return bad_consistency("it is too short");
  if (old_hash != old_root) return bad_consistency("it leads to another old root");
  if (new_hash != new_root) return bad_consistency("it leads to another new root");
  return {};
}

// ---- The frontier

Result<LogTree> LogTree::from(uint64_t size, std::vector<Digest> frontier) {
  if (frontier.size() != static_cast<size_t>(std::popcount(size))) {
    return fail(Errc::corrupt, "the evidence log's frontier does not fit its size");
  }
  LogTree tree;
  tree.size_ = size;
  tree.frontier_ = std::move(frontier);
  return tree;
}

void LogTree::append(ByteView data) {
  Digest hash = leaf_hash(data);
  // Each trailing one bit of the size is a subtree as large as what has been built so far: join
  // them.
  for (uint64_t bits = size_; (bits & 1) != 0; bits >>= 1) {
    hash = node_hash(frontier_.back(), hash);
    frontier_.pop_back();
  }
  frontier_.push_back(hash);
  ++size_;
}

Digest LogTree::root() const {
  if (frontier_.empty()) return empty_root();
  Digest hash = frontier_.back();
  for (size_t i = frontier_.size() - 1; i-- > 0;) hash = node_hash(frontier_[i], hash);
  return hash;
}

}  // namespace ledgerline
