#include "collector/core/log_tree.h"

#include <bit>

#include "common/crypto.h"

namespace ledgerline::collector {

namespace {
constexpr uint8_t kLeafPrefix[] = {0x00};
constexpr uint8_t kNodePrefix[] = {0x01};
}  // namespace

Digest leaf_hash(ByteView data) { return sha256({ByteView(kLeafPrefix), data}); }

Digest node_hash(const Digest& left, const Digest& right) {
  return sha256({ByteView(kNodePrefix), left.view(), right.view()});
}

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
  if (frontier_.empty()) return sha256(ByteView());
  Digest hash = frontier_.back();
  for (size_t i = frontier_.size() - 1; i-- > 0;) hash = node_hash(frontier_[i], hash);
  return hash;
}

}  // namespace ledgerline::collector
