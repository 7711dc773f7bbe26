#include "common/merkle.h"
#include "tests/unit/collector/store/store_backends.h"

namespace ledgerline::collector {

namespace {

constexpr uint8_t kLeafTable = 0x20;
constexpr uint8_t kTileTable = 0x25;

BatchId numbered_id(uint64_t n) {
  return *BatchId::from(sha256(bytes_of("batch " + std::to_string(n))).view());
}

/// Links batches up to the given number, as many as `group` in one transaction.
void grow(Store& store, BatchNumber upto, size_t group) {
  for (BatchNumber next = must(store.stream(stream_id(1))).head_number + 1; next <= upto;) {
    AdmitChange change = change_of(store, 1);
    for (size_t i = 0; i < group && next <= upto; ++i, ++next)
      change.links.push_back({next, numbered_id(next), {7}, Timestamp(1000)});
    must(store.admit(std::span(&change, 1)));
  }
}

/// Roots of every size and what the leaves say, computed beside the store.
struct Reference {
  explicit Reference(uint64_t size) {
    roots.push_back(tree.root());
    for (uint64_t n = 1; n <= size; ++n) {
      tree.append(numbered_id(n).view());
      roots.push_back(tree.root());
    }
  }
  LogTree tree;
  std::vector<Digest> roots;  // by size
};

void require_inclusion(Store& store, const Reference& reference, LeafNumber leaf, uint64_t size) {
  INFO(leaf << " of " << size);
  const auto proof = must(store.inclusion_proof(leaf, size));
  must(verify_inclusion(leaf_hash(numbered_id(leaf + 1).view()), leaf, size, proof,
                        reference.roots[size]));
}

void require_consistency(Store& store, const Reference& reference, uint64_t from, uint64_t to) {
  INFO(from << " to " << to);
  const auto proof = must(store.consistency_proof(from, to));
  must(verify_consistency(from, reference.roots[from], to, reference.roots[to], proof));
}

}  // namespace

TEMPLATE_TEST_CASE("each leaf is proven in the log of every size, with and without full tiles",
                   "[store][proofs]", MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  enroll(*store, {1});
  const Reference reference(1100);
  // In pieces that end inside tiles, at their ends, and complete two at once.
  for (const BatchNumber upto : {1, 255, 256, 257, 511, 1025, 1100}) {
    grow(*store, upto, 600);
    REQUIRE(must(store->log_head()) == LogHead{upto, reference.roots[upto]});
    for (const LeafNumber leaf : {0, 1, 127, 254, 255, 256, 300, 511, 512, 1023, 1024, 1099}) {
      if (leaf < upto) require_inclusion(*store, reference, leaf, upto);
    }
  }
  auto other = backend.open();
  for (const uint64_t size : {1, 2, 200, 256, 257, 512, 700, 768, 1024, 1030, 1100}) {
    require_inclusion(*other, reference, size / 2, size);
    require_inclusion(*other, reference, size - 1, size);
    for (const uint64_t from : {0, 1, 3, 255, 256, 257, 511, 512, 513, 1024, 1025}) {
      if (from <= size) require_consistency(*other, reference, from, size);
    }
  }
}

TEMPLATE_TEST_CASE("what the log does not hold is not proven", "[store][proofs]", MemoryBackend,
                   LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  enroll(*store, {1});
  REQUIRE(must(store->consistency_proof(0, 0)).empty());
  REQUIRE(failed_with(store->inclusion_proof(0, 0), Errc::reject));
  grow(*store, 5, 5);

  REQUIRE(failed_with(store->inclusion_proof(5, 5), Errc::reject));
  REQUIRE(failed_with(store->inclusion_proof(0, 6), Errc::reject));
  REQUIRE(failed_with(store->consistency_proof(3, 6), Errc::reject));
  REQUIRE(failed_with(store->consistency_proof(4, 3), Errc::reject));
}

TEST_CASE("proofs over tiles of tiles read a few rows", "[store][proofs]") {
  const auto database = make_memory_database();
  const auto store = open_memory_store(database);
  enroll(*store, {1});
  constexpr uint64_t kSize = 65536 + 300;
  grow(*store, kSize, 5000);
  const Reference reference(kSize);
  for (const LeafNumber leaf : {uint64_t{0}, uint64_t{40'000}, uint64_t{65'535}, uint64_t{65'536},
                                uint64_t{65'800}, kSize - 1}) {
    require_inclusion(*store, reference, leaf, kSize);
    if (leaf < 65'000) require_inclusion(*store, reference, leaf, 65'000);
  }
  for (const uint64_t from : {uint64_t{1}, uint64_t{300}, uint64_t{65'000}, uint64_t{65'536},
                              uint64_t{65'537}, kSize - 1})
    require_consistency(*store, reference, from, kSize);

  const uint64_t before = entries_read(*database);
  must(store->consistency_proof(40'001, kSize));
  REQUIRE(entries_read(*database) - before < 1000);
}

TEST_CASE("statements are proven like batches", "[store][proofs]") {
  const auto store = make_memory_store();
  enroll(*store, {1});
  grow(*store, 254, 254);
  OperatorRow row{.name = "ada"};
  StatementPut put{.kind = LeafKind::operator_key, .id = id_of<Digest>(3), .sealed = {1}};
  must(store->put_operator(row, put));
  row.name = "bob";
  row.key = id_of<KeyId>(2);
  must(store->put_operator(row, put));
  grow(*store, 300, 300);

  const auto head = must(store->log_head());
  REQUIRE(head.size == 302);
  for (const LeafNumber leaf : {253, 254, 255, 256, 301}) {
    const auto entry = must(store->leaf(leaf));
    must(verify_inclusion(leaf_hash(entry.data.view()), leaf, head.size,
                          must(store->inclusion_proof(leaf, head.size)), head.root));
  }
}

TEST_CASE("a damaged tile proves nothing, and the store says so", "[store][proofs]") {
  const auto database = make_memory_database();
  const auto store = open_memory_store(database);
  enroll(*store, {1});
  grow(*store, 600, 600);
  REQUIRE(flip_bit(*database, kTileTable, 1, 77));
  REQUIRE_FALSE(flip_bit(*database, kTileTable, 2, 0));

  REQUIRE(failed_with(store->inclusion_proof(300, 600), Errc::corrupt));
  must(store->inclusion_proof(300 - 256, 256));
}

TEST_CASE("damage below a tile ends its proofs, not custody", "[store][proofs]") {
  const auto database = make_memory_database();
  const auto store = open_memory_store(database);
  enroll(*store, {1});
  grow(*store, 200, 50);
  REQUIRE(flip_bit(*database, kLeafTable, 7, 3));

  grow(*store, 600, 50);

  REQUIRE(must(store->log_head()).size == 600);
  REQUIRE(failed_with(store->inclusion_proof(10, 600), Errc::corrupt));
}

TEMPLATE_TEST_CASE("a checkpoint replaces the one that was read and no other", "[store][proofs]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  REQUIRE(failed_with(store->log_origin(), Errc::not_found));
  const LogOrigin origin{.collector = "c", .log = "main", .epoch = 3};
  must(store->ensure_origin(origin));
  REQUIRE(must(store->log_origin()) == origin);
  REQUIRE(must(store->stored_checkpoint()).empty());

  must(store->put_checkpoint("", "one"));
  REQUIRE(failed_with(backend.open()->put_checkpoint("", "two"), Errc::conflict));
  must(backend.open()->put_checkpoint("one", "two"));

  REQUIRE(must(store->stored_checkpoint()) == "two");
}

}  // namespace ledgerline::collector
