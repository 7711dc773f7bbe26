#include "common/merkle.h"

#include <catch2/catch.hpp>

#include "common/crypto.h"

namespace ledgerline {

namespace {

// Leaves, roots and proofs: the certificate-transparency project's merkle tree tests
// (github.com/google/certificate-transparency, cpp/merkletree/merkle_tree_test.cc; the proofs also
// in github.com/transparency-dev/merkle, proof/verify_test.go).
const std::vector<std::pair<std::string, std::string>> kPublished = {
    {"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
    {"00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
    {"10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
    {"2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
    {"3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
    {"40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
    {"5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
    {"606162636465666768696a6b6c6d6e6f",
     "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
};

std::vector<Bytes> published_leaves() {
  std::vector<Bytes> out;
  for (const auto& [leaf, root] : kPublished) out.push_back(*from_hex(leaf));
  return out;
}
Digest published_root(uint64_t size) {
  return *Digest::from(*from_hex(kPublished[size - 1].second));
}

std::vector<std::string> hex_of(const Result<std::vector<Digest>>& proof) {
  REQUIRE(proof);
  std::vector<std::string> out;
  for (const Digest& hash : *proof) out.push_back(hash.hex());
  return out;
}

/// The definition of RFC 6962, section 2.1, taken literally.
Digest reference_root(const std::vector<Bytes>& leaves, size_t begin, size_t end) {
  if (begin == end) return sha256(ByteView());
  if (end - begin == 1) return leaf_hash(leaves[begin]);
  size_t k = 1;
  while (k * 2 < end - begin) k *= 2;
  return node_hash(reference_root(leaves, begin, begin + k),
                   reference_root(leaves, begin + k, end));
}

/// PATH(m, D[n]) of section 2.1.1.
std::vector<Digest> reference_path(const std::vector<Bytes>& leaves, size_t m, size_t begin,
                                   size_t end) {
  if (end - begin == 1) return {};
  size_t k = 1;
  while (k * 2 < end - begin) k *= 2;
  const bool left = m < k;
  auto out = left ? reference_path(leaves, m, begin, begin + k)
                  : reference_path(leaves, m - k, begin + k, end);
  out.push_back(left ? reference_root(leaves, begin + k, end)
                     : reference_root(leaves, begin, begin + k));
  return out;
}

/// SUBPROOF(m, D[n], whole) of section 2.1.2.
std::vector<Digest> reference_subproof(const std::vector<Bytes>& leaves, size_t m, size_t begin,
                                       size_t end, bool whole) {
  if (m == end - begin)
    return whole ? std::vector<Digest>() : std::vector{reference_root(leaves, begin, end)};
  size_t k = 1;
  while (k * 2 < end - begin) k *= 2;
  const bool left = m <= k;
  auto out = left ? reference_subproof(leaves, m, begin, begin + k, whole)
                  : reference_subproof(leaves, m - k, begin + k, end, false);
  out.push_back(left ? reference_root(leaves, begin + k, end)
                     : reference_root(leaves, begin, begin + k));
  return out;
}

/// Nodes of perfect subtrees only: what lies beyond the tree is asked for by nobody.
NodeReader nodes_of(const std::vector<Bytes>& leaves) {
  return [&leaves](unsigned level, uint64_t index) -> Result<Digest> {
    const uint64_t begin = index << level;
    const uint64_t end = (index + 1) << level;
    if (end > leaves.size()) return fail(Errc::internal, "beyond the tree");
    return reference_root(leaves, begin, end);
  };
}

std::vector<Bytes> some_leaves(size_t count) {
  std::vector<Bytes> out;
  for (size_t n = 0; n < count; ++n) out.push_back(Bytes(n % 5, static_cast<uint8_t>(n)));
  return out;
}

Digest bent(Digest digest, size_t bit) {
  Bytes bytes = copy_of(digest.view());
  bytes[bit / 8 % bytes.size()] ^= static_cast<uint8_t>(1 << bit % 8);
  return *Digest::from(ByteView(bytes));
}

/// Each proof made from this one by one mistake.
std::vector<std::vector<Digest>> damaged(const std::vector<Digest>& proof) {
  std::vector<std::vector<Digest>> out;
  for (size_t i = 0; i < proof.size(); ++i) {
    out.push_back(proof);
    out.back()[i] = bent(proof[i], i * 37);
    out.push_back(proof);
    out.back().erase(out.back().begin() + static_cast<std::ptrdiff_t>(i));
    out.push_back(proof);
    out.back().insert(out.back().begin() + static_cast<std::ptrdiff_t>(i), proof[i]);
    if (i == 0) continue;
    out.push_back(proof);
    std::swap(out.back()[i - 1], out.back()[i]);
  }
  out.push_back(proof);
  out.back().push_back(empty_root());
  return out;
}

}  // namespace

TEST_CASE("roots equal those published with RFC 6962's reference implementation", "[merkle]") {
  LogTree tree;
  REQUIRE(tree.root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  for (const auto& [leaf, root] : kPublished) {
    tree.append(*from_hex(leaf));
    REQUIRE(tree.root().hex() == root);
  }
}

TEST_CASE("inclusion proofs equal the published ones", "[merkle]") {
  const auto leaves = published_leaves();
  const auto node = nodes_of(leaves);
  struct Case {
    LeafNumber leaf;
    uint64_t size;
    std::vector<std::string> proof;
  };
  const std::vector<Case> cases = {
      {0, 1, {}},
      {0,
       8,
       {"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}},
      {5,
       8,
       {"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
      {2, 3, {"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"}},
      {1,
       5,
       {"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}},
  };
  for (const auto& [leaf, size, proof] : cases) {
    const auto made = inclusion_proof(leaf, size, node);
    REQUIRE(hex_of(made) == proof);
    REQUIRE(verify_inclusion(leaf_hash(leaves[leaf]), leaf, size, *made, published_root(size)));
  }
}

TEST_CASE("consistency proofs equal the published ones", "[merkle]") {
  const auto leaves = published_leaves();
  const auto node = nodes_of(leaves);
  struct Case {
    uint64_t old_size;
    uint64_t new_size;
    std::vector<std::string> proof;
  };
  const std::vector<Case> cases = {
      {1, 1, {}},
      {1,
       8,
       {"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}},
      {6,
       8,
       {"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
      {2,
       5,
       {"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}},
      {6,
       7,
       {"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
  };
  for (const auto& [old_size, new_size, proof] : cases) {
    const auto made = consistency_proof(old_size, new_size, node);
    REQUIRE(hex_of(made) == proof);
    REQUIRE(verify_consistency(old_size, published_root(old_size), new_size,
                               published_root(new_size), *made));
  }
}

TEST_CASE("a tree taken up from its frontier goes on as if it had never stopped", "[merkle]") {
  LogTree whole;
  for (uint8_t n = 0; n < 70; ++n) {
    LogTree part = *LogTree::from(whole.size(), whole.frontier());
    whole.append(ByteView(&n, 1));
    part.append(ByteView(&n, 1));
    REQUIRE(part.root() == whole.root());
    REQUIRE(part.frontier() == whole.frontier());
  }
  REQUIRE_FALSE(LogTree::from(71, whole.frontier()));
}

TEST_CASE("roots of every size equal the recursive definition", "[merkle]") {
  const auto leaves = some_leaves(130);
  const auto node = nodes_of(leaves);
  LogTree tree;
  for (size_t n = 0; n < leaves.size(); ++n) {
    REQUIRE(tree.root() == reference_root(leaves, 0, n));
    REQUIRE(*root_of(n, node) == tree.root());
    tree.append(leaves[n]);
  }
}

TEST_CASE("every leaf of every size is proven, and no damaged proof is", "[merkle]") {
  const auto leaves = some_leaves(70);
  const auto node = nodes_of(leaves);
  size_t wrong = 0;
  for (uint64_t size = 1; size <= leaves.size(); ++size) {
    const Digest root = reference_root(leaves, 0, size);
    for (LeafNumber leaf = 0; leaf < size; ++leaf) {
      const auto proof = inclusion_proof(leaf, size, node);
      REQUIRE(proof);
      REQUIRE(*proof == reference_path(leaves, leaf, 0, size));
      const Digest hash = leaf_hash(leaves[leaf]);
      REQUIRE(verify_inclusion(hash, leaf, size, *proof, root));
      for (const auto& bad : damaged(*proof)) {
        wrong += verify_inclusion(hash, leaf, size, bad, root) ? 1 : 0;
      }
      wrong += verify_inclusion(bent(hash, 0), leaf, size, *proof, root) ? 1 : 0;
      wrong += verify_inclusion(hash, leaf, size, *proof, bent(root, 255)) ? 1 : 0;
      wrong += verify_inclusion(hash, leaf ^ 1, size, *proof, root) ? 1 : 0;
      wrong += verify_inclusion(hash, leaf, size * 2, *proof, root) ? 1 : 0;
      wrong += verify_inclusion(hash, leaf, size / 2, *proof, root) ? 1 : 0;
      wrong += verify_inclusion(hash, leaf - size / 2, size / 2, *proof, root) ? 1 : 0;
    }
    REQUIRE_FALSE(inclusion_proof(size, size, node));
  }
  REQUIRE(wrong == 0);
}

TEST_CASE("every size is consistent with every later one, and no damaged proof is", "[merkle]") {
  const auto leaves = some_leaves(70);
  auto others = leaves;
  others[0].push_back(1);
  const auto node = nodes_of(leaves);
  size_t wrong = 0;
  for (uint64_t to = 0; to <= leaves.size(); ++to) {
    const Digest root = reference_root(leaves, 0, to);
    for (uint64_t from = 0; from <= to; ++from) {
      const auto proof = consistency_proof(from, to, node);
      REQUIRE(proof);
      if (from > 0) REQUIRE(*proof == reference_subproof(leaves, from, 0, to, true));
      REQUIRE(proof->size() <= kMerkleProofMax);
      const Digest old_root = reference_root(leaves, 0, from);
      REQUIRE(verify_consistency(from, old_root, to, root, *proof));
      for (const auto& bad : damaged(*proof)) {
        wrong += verify_consistency(from, old_root, to, root, bad) ? 1 : 0;
      }
      wrong += verify_consistency(from, bent(old_root, 3), to, root, *proof) ? 1 : 0;
      if (from == 0) continue;
      wrong += verify_consistency(from, old_root, to, bent(root, 3), *proof) ? 1 : 0;
      wrong += verify_consistency(from, reference_root(others, 0, from), to, root, *proof) ? 1 : 0;
      if (from == to) continue;
      wrong += verify_consistency(to, root, from, old_root, *proof) ? 1 : 0;
      wrong += verify_consistency(from, old_root, to, root, {}) ? 1 : 0;
      wrong += verify_consistency(from, old_root, to * 2, root, *proof) ? 1 : 0;
    }
    REQUIRE_FALSE(consistency_proof(to + 1, to, node));
  }
  REQUIRE(wrong == 0);
}

TEST_CASE("sizes beyond 2^63 and empty trees are told apart from proofs", "[merkle]") {
  const Digest some = leaf_hash({});
  REQUIRE_FALSE(verify_inclusion(some, 0, 0, {}, some));
  REQUIRE_FALSE(verify_inclusion(some, 0, UINT64_MAX, {}, some));
  REQUIRE_FALSE(verify_consistency(1, some, UINT64_MAX, some, {}));
  REQUIRE(verify_consistency(0, empty_root(), 5, some, {}));
  REQUIRE_FALSE(verify_consistency(0, some, 5, some, {}));
  const std::vector<Digest> long_proof(kMerkleProofMax + 1, some);
  REQUIRE_FALSE(verify_inclusion(some, 1, kMerkleSizeMax, long_proof, some));
  REQUIRE_FALSE(verify_consistency(3, some, kMerkleSizeMax, some, long_proof));
}

}  // namespace ledgerline
