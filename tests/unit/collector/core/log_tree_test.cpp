#include "collector/core/log_tree.h"

#include <catch2/catch.hpp>

#include "common/crypto.h"

namespace ledgerline::collector {

TEST_CASE("roots equal those published with RFC 6962's reference implementation", "[log_tree]") {
  // Inputs and roots: the certificate-transparency project's merkle tree tests
  // (github.com/google/certificate-transparency, cpp/merkletree/merkle_tree_test.cc).
  const std::vector<std::pair<std::string, std::string>> cases = {
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
  LogTree tree;
  REQUIRE(tree.root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  for (const auto& [leaf, root] : cases) {
    tree.append(*from_hex(leaf));
    REQUIRE(tree.root().hex() == root);
  }
}

TEST_CASE("a tree taken up from its frontier goes on as if it had never stopped", "[log_tree]") {
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

/// The definition of RFC 6962, section 2.1, taken literally.
Digest reference_root(const std::vector<Bytes>& leaves, size_t begin, size_t end) {
  if (begin == end) return sha256(ByteView());
  if (end - begin == 1) return leaf_hash(leaves[begin]);
  size_t k = 1;
  while (k * 2 < end - begin) k *= 2;
  return node_hash(reference_root(leaves, begin, begin + k),
                   reference_root(leaves, begin + k, end));
}

TEST_CASE("roots of every size equal the recursive definition", "[log_tree]") {
  LogTree tree;
  std::vector<Bytes> leaves;
  for (uint8_t n = 0; n < 130; ++n) {
    REQUIRE(tree.root() == reference_root(leaves, 0, leaves.size()));
    leaves.push_back(Bytes(n % 5, n));
    tree.append(leaves.back());
  }
}

}  // namespace ledgerline::collector
