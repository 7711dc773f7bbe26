// What a booking leaves in the evidence log.
#include "collector/core/closing.h"
#include "tests/unit/collector/fold/commerce_catalog.h"
#include "tests/unit/collector/fold/commerce_world.h"

namespace ledgerline::collector {
namespace {

struct Leaf {
  LogEntry entry;
  CloseStatement statement;
  std::vector<Bytes> heartbeats;
};

std::vector<Leaf> closes(CommerceWorld& world) {
  std::vector<Leaf> out;
  const auto entries = world.store().statements(LeafKind::close).value();
  for (const LogEntry& entry : entries) {
    const auto sealed = decode_sealed_close(entry.sealed).value();
    const auto open = open_statement(LeafKind::close, sealed.statement).value();
    REQUIRE(verify(open.message, world.collector().public_key()));
    REQUIRE(open.id == entry.data);
    const auto statement = CloseStatement::parse(open.json);
    INFO((statement ? "" : statement.error().text()));
    REQUIRE(statement);
    out.push_back({entry, *statement, sealed.heartbeats});
  }
  return out;
}

TEST_CASE("a close is signed with what it rests on, in the transaction of its document") {
  CommerceWorld world(commercial("PT1H") + link("aqua", kFrom));
  world.record({{"aqua", "2026-01-05T10:10:00Z", 100}, {"aqua", "2026-01-05T10:20:00Z", 7}});
  world.heartbeat("2026-01-05T11:00:00Z");
  const auto documents = world.step("2026-01-05T11:00:20Z").documents;
  REQUIRE(documents.size() == 1);

  const auto leaves = closes(world);
  REQUIRE(leaves.size() == 1);
  const CloseStatement& close = leaves[0].statement;
  CHECK(leaves[0].entry.leaf == 1);
  CHECK(close.contract == "aqua-2026");
  CHECK(close.period == Period{at("2026-01-05T10:00:00Z"), at("2026-01-05T11:00:00Z")});
  CHECK(close.revision == 1);
  CHECK(close.log_leaves == 1);
  CHECK(close.by == "collector");
  REQUIRE(close.document);
  CHECK(close.document->id == documents[0].id);
  CHECK(close.document->sha256 == sha256(bytes_of(documents[0].body)));
  REQUIRE(close.lines.size() == 1);
  CHECK(close.lines[0].quantity == Decimal::integer(107));
  CHECK(close.lines[0].readings == 2);
  CHECK(close.lines[0].amount == documents[0].total);

  REQUIRE(close.streams.size() == 1);
  const auto stream = world.store().stream(close.streams[0].stream).value();
  CHECK(close.streams[0].batch == 1);
  CHECK(close.streams[0].batch_id == stream.head_id);
  CHECK(close.streams[0].next_seq == 3);
  REQUIRE(leaves[0].heartbeats.size() == 1);
  const auto heartbeat = open_signed(leaves[0].heartbeats[0], payload_type::kHeartbeat).value();
  CHECK(verify(heartbeat, world.device().public_key()));
  CHECK(decode_heartbeat(heartbeat.body)->complete_through == at("2026-01-05T11:00:00Z"));
}

TEST_CASE("an adjustment is the next revision of its period's close, with cumulative lines") {
  CommerceWorld world(commercial("PT1H") + link("aqua", kFrom));
  world.record({{"aqua", "2026-01-05T10:10:00Z", 100}});
  world.heartbeat("2026-01-05T11:00:00Z");
  world.step("2026-01-05T11:00:20Z");
  world.record({{"aqua", "2026-01-05T10:20:00Z", 7}});
  world.step("2026-01-05T12:00:00Z");
  const auto documents = world.step("2026-01-05T13:30:00Z").documents;
  REQUIRE(documents.size() == 1);

  const auto leaves = closes(world);
  REQUIRE(leaves.size() == 2);
  const CloseStatement& second = leaves[1].statement;
  CHECK(second.period == leaves[0].statement.period);
  CHECK(second.revision == 2);
  CHECK(second.document->id == documents[0].id);
  CHECK(second.lines[0].quantity == Decimal::integer(107));
  CHECK(second.streams[0].batch == 2);
}

TEST_CASE("a close shows the promise that covers it, also where newer ones wait") {
  CommerceWorld world(commercial("PT1H") + link("aqua", kFrom));
  world.record({{"aqua", "2026-01-05T10:10:00Z", 100}});
  world.heartbeat("2026-01-05T11:00:00Z");
  world.heartbeat("2026-01-05T11:00:10Z");
  world.step("2026-01-05T11:00:20Z");
  const auto leaves = closes(world);
  REQUIRE(leaves.size() == 1);
  const auto heartbeat = open_signed(leaves[0].heartbeats.at(0), payload_type::kHeartbeat).value();
  CHECK(decode_heartbeat(heartbeat.body)->number == 2);
  CHECK(leaves[0].statement.streams[0].complete_through == at("2026-01-05T11:00:10Z"));
}

}  // namespace
}  // namespace ledgerline::collector
