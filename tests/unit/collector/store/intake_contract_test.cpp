#include "common/merkle.h"
#include "tests/unit/collector/store/store_backends.h"

namespace ledgerline::collector {

TEMPLATE_TEST_CASE("a group of batches becomes leaves, heads and receipts in one transaction",
                   "[store]", MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  enroll(*store, {1, 2});
  std::vector<AdmitChange> group{change_of(*store, 1), change_of(*store, 2)};
  group[0].links = {link(1, 11, {1, 1}), link(2, 12, {1, 2})};
  group[0].receipt_number = 1;
  group[0].receipt = {9, 9};
  group[0].duplicates = 3;
  group[1].links = {link(1, 21, {2, 1})};

  REQUIRE(must(store->admit(group)) == 3);

  auto other = backend.open();
  const auto stream = must(other->stream(stream_id(1)));
  REQUIRE(stream.head_number == 2);
  REQUIRE(stream.head_id == batch_id(12));
  REQUIRE(stream.receipt_number == 1);
  REQUIRE(stream.receipt == Bytes{9, 9});
  REQUIRE(stream.duplicates == 3);
  REQUIRE(must(other->batch_id(stream_id(1), 2)) == batch_id(12));
  REQUIRE(must(other->batch_leaf(stream_id(1), 2)) == 1);
  REQUIRE(failed_with(other->batch_leaf(stream_id(1), 3), Errc::not_found));
  REQUIRE_FALSE(must(other->batch_id(stream_id(1), 3)).has_value());
  const auto log = must(other->read_log(0));
  REQUIRE(log.size() == 3);
  REQUIRE(log[1].leaf == 1);
  REQUIRE(log[1].number == 2);
  REQUIRE(log[1].sealed == Bytes{1, 2});
  REQUIRE(log[2].stream == stream_id(2));
  REQUIRE(must(other->leaf(2)) == log[2]);
  LogTree tree;
  for (const auto& entry : log) tree.append(entry.data.view());
  REQUIRE(must(other->log_head()) == LogHead{3, tree.root()});
}

TEMPLATE_TEST_CASE(
    "of two handles that saw the same head only one admits, and the loser writes nothing",
    "[store]", MemoryBackend, LmdbBackend) {
  TestType backend;
  auto first = backend.open();
  auto second = backend.open();
  enroll(*first, {1, 2});
  std::vector<AdmitChange> mine{change_of(*first, 1)};
  std::vector<AdmitChange> theirs{change_of(*second, 2), change_of(*second, 1)};
  mine[0].links = {link(1, 11)};
  theirs[0].links = {link(1, 21)};
  theirs[1].links = {link(1, 99)};

  must(first->admit(mine));
  REQUIRE(failed_with(second->admit(theirs), Errc::conflict));

  REQUIRE(must(second->log_head()).size == 1);
  REQUIRE(must(second->stream(stream_id(2))).head_number == 0);
  REQUIRE(must(second->batch_id(stream_id(1), 1)) == batch_id(11));
  theirs.pop_back();
  must(second->admit(theirs));
  REQUIRE(must(first->log_head()).size == 2);
}

TEMPLATE_TEST_CASE("a parked batch is no leaf until its predecessors are there", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  enroll(*store, {1});
  AdmitChange park = change_of(*store, 1);
  park.parks = {{.number = 3, .id = batch_id(13), .sealed = {3}, .received_at = Timestamp(33)},
                {.number = 2, .id = batch_id(12), .sealed = {2}, .received_at = Timestamp(22)}};
  must(store->admit(std::span(&park, 1)));
  REQUIRE(must(store->stream(stream_id(1))).parked == std::vector<BatchNumber>{2, 3});
  REQUIRE(must(store->log_head()).size == 0);
  REQUIRE(must(store->parked(stream_id(1), 2)).sealed == Bytes{2});

  admit_links(*store, 1, {link(1, 11, {1}), link(2, 12, {}), link(3, 13, {})});

  REQUIRE(must(store->stream(stream_id(1))).parked.empty());
  REQUIRE(failed_with(store->parked(stream_id(1), 2), Errc::not_found));
  const auto log = must(store->read_log(0));
  REQUIRE(log.size() == 3);
  REQUIRE(log[2].sealed == Bytes{3});
  REQUIRE(log[2].received_at == Timestamp(33));
}

TEMPLATE_TEST_CASE("a tombstone is one leaf, takes the head to its end and what was parked before",
                   "[store]", MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  enroll(*store, {1});
  AdmitChange park = change_of(*store, 1);
  park.parks = {{.number = 3, .id = batch_id(13), .sealed = {3}, .received_at = Timestamp(33)},
                {.number = 9, .id = batch_id(19), .sealed = {9}, .received_at = Timestamp(99)}};
  must(store->admit(std::span(&park, 1)));
  LinkedBatch buried = link(8, 18, {8, 8});
  buried.tombstone = id_of<Digest>(77);

  admit_links(*store, 1, {link(1, 11, {1}), buried, link(9, 19, {})});

  const auto row = must(store->stream(stream_id(1)));
  REQUIRE(row.head_number == 9);
  REQUIRE(row.parked.empty());
  REQUIRE(failed_with(store->parked(stream_id(1), 3), Errc::not_found));
  REQUIRE(must(store->batch_id(stream_id(1), 8)) == batch_id(18));
  for (const BatchNumber inside : {2, 7})
    REQUIRE_FALSE(must(store->batch_id(stream_id(1), inside)).has_value());
  const auto log = must(store->read_log(0));
  REQUIRE(log.size() == 3);
  REQUIRE(log[1].kind == LeafKind::tombstone);
  REQUIRE(log[1].data == id_of<Digest>(77));
  REQUIRE(log[1].number == 8);
  REQUIRE(log[1].sealed == Bytes{8, 8});
  REQUIRE(log[2].kind == LeafKind::batch);
  LogTree tree;
  for (const auto& entry : log) tree.append(entry.data.view());
  REQUIRE(must(store->log_head()) == LogHead{3, tree.root()});
}

TEMPLATE_TEST_CASE("more parked batches than a receipt can name are refused", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  enroll(*store, {1});
  AdmitChange park = change_of(*store, 1);
  for (BatchNumber n = 2; n < 2 + Receipt::kParkedMax + 1; ++n)
    park.parks.push_back({.number = n, .sealed = {1}});

  REQUIRE(failed_with(store->admit(std::span(&park, 1)), Errc::reject));
  park.parks.pop_back();
  must(store->admit(std::span(&park, 1)));
}

TEMPLATE_TEST_CASE("a fork keeps both branches and freezes the stream", "[store]", MemoryBackend,
                   LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  enroll(*store, {1});
  admit_links(*store, 1, {link(1, 11)});
  AdmitChange fork = change_of(*store, 1);
  fork.forks = {{.number = 1, .id = batch_id(66), .sealed = {6, 6}, .received_at = Timestamp(6)}};
  fork.status = StreamStatus::frozen;
  ExceptionRow row;
  row.id = "fork/1";
  fork.exceptions = {{UpsertMode::add, row}};

  must(store->admit(std::span(&fork, 1)));

  REQUIRE(must(store->stream(stream_id(1))).status == StreamStatus::frozen);
  REQUIRE(must(store->batch_id(stream_id(1), 1)) == batch_id(11));
  REQUIRE(must(store->forks(stream_id(1))) == fork.forks);
  REQUIRE(must(store->exception("fork/1")).state == ExceptionState::open);
  REQUIRE(failed_with(store->admit(std::span(&fork, 1)), Errc::conflict));
}

TEMPLATE_TEST_CASE("the log is read in slices limited by count and bytes", "[store]", MemoryBackend,
                   LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  enroll(*store, {1});
  for (BatchNumber n = 1; n <= 5; ++n)
    admit_links(*store, 1, {link(n, static_cast<uint8_t>(n), Bytes(100, 1))});

  REQUIRE(must(store->read_log(1, {.count = 2, .bytes = 1000})).size() == 2);
  REQUIRE(must(store->read_log(0, {.count = 10, .bytes = 250})).size() == 2);
  REQUIRE(must(store->read_log(0, {.count = 10, .bytes = 1})).size() == 1);
  REQUIRE(must(store->read_log(3)).size() == 2);
  REQUIRE(must(store->read_log(5)).empty());
}

TEMPLATE_TEST_CASE("the log's origin is fixed by the first to name it", "[store]", MemoryBackend,
                   LmdbBackend) {
  TestType backend;
  const LogOrigin origin{.collector = "c", .log = "main", .epoch = 1};

  REQUIRE(must(backend.open()->ensure_origin(origin)) == origin);
  REQUIRE(must(backend.open()->ensure_origin({"x", "y", 2})) == origin);
}

TEMPLATE_TEST_CASE("what a device showed above the head is kept until the head is there", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  enroll(*store, {1, 2});
  REQUIRE(must(store->recovering()) == Recovering{});
  for (const uint8_t stream : {uint8_t{1}, uint8_t{2}}) {
    AdmitChange shown = change_of(*store, stream);
    shown.presented_upto = 3;
    shown.presented_receipt = 40;
    shown.rolled_back = stream == 2;
    must(store->admit(std::span(&shown, 1)));
  }
  AdmitChange less = change_of(*store, 1);
  less.presented_upto = 2;
  less.presented_receipt = 41;
  must(store->admit(std::span(&less, 1)));

  auto other = backend.open();
  const StreamRow row = must(other->stream(stream_id(1)));
  REQUIRE(row.presented_upto == 3);
  REQUIRE(row.presented_receipt == 40);
  REQUIRE_FALSE(row.rolled_back);
  REQUIRE(must(other->stream(stream_id(2))).rolled_back);
  REQUIRE(must(other->progress("demo", "d")).front().presented_upto == 3);
  REQUIRE(must(other->recovering()) == Recovering{.streams = 2, .batches = 6});

  admit_links(*store, 1, {link(1, 11), link(2, 12)});
  REQUIRE(must(other->recovering()) == Recovering{.streams = 2, .batches = 4});
  LinkedBatch tombstone = link(4, 14);
  tombstone.tombstone = id_of<Digest>(44);
  admit_links(*store, 1, {tombstone});
  REQUIRE(must(other->recovering()) == Recovering{.streams = 1, .batches = 3});
  REQUIRE(must(other->stream(stream_id(1))).tombstones == 1);
  REQUIRE_FALSE(must(other->stream(stream_id(1))).recovering());
}

TEMPLATE_TEST_CASE("a stream that is closed is waited for no more", "[store]", MemoryBackend,
                   LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  enroll(*store, {1});
  AdmitChange shown = change_of(*store, 1);
  shown.presented_upto = 3;
  must(store->admit(std::span(&shown, 1)));
  DeviceEnrolment again{.tenant = "demo", .device = "d"};
  again.expected_revision = 1;
  again.key.id = id_of<KeyId>(9);
  again.closes = {stream_id(1)};
  again.exceptions.push_back({UpsertMode::add, {.id = "ex-1", .kind = "recovery"}});
  must(store->put_device(again));
  REQUIRE(must(store->recovering()) == Recovering{});
  REQUIRE(must(store->exception("ex-1")).kind == "recovery");
}

TEMPLATE_TEST_CASE("recover mode is what was stored last, for every handle", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  REQUIRE(must(store->recovery_mode()) == RecoveryMode{});
  const RecoveryMode mode{.active = true,
                          .reason = "disk lost",
                          .since = Timestamp(7),
                          .ended_at = Timestamp(9),
                          .resumed_epoch = 3,
                          .resume_reason = "looked at",
                          .resumed_at = Timestamp(11)};
  must(store->put_recovery_mode(mode));
  REQUIRE(must(backend.open()->recovery_mode()) == mode);
}

}  // namespace ledgerline::collector
