#include "agent/journal/values.h"

#include <catch2/catch.hpp>

#include "agent/journal/keys.h"

using namespace ledgerline;
using namespace ledgerline::agent;

namespace {

StreamState full_state() {
  StreamState state;
  state.next_seq = 1;
  state.sealed_next_seq = 2;
  state.next_batch = 3;
  state.head_id = *BatchId::from(std::string(32, '\x04'));
  state.acked_upto = 5;
  state.receipt_number = 6;
  state.status = StreamStatus::frozen;
  state.totals = {{1, -5}, {9, Int128(1) << 100}};
  state.sealed_totals = {{1, 7}};
  state.sealed_meter_table = 8;
  state.boot_id = *BootId::from(std::string(16, '\x09'));
  state.coarse = StreamState::CoarseRun{.first_seq = 31, .bytes = 32};
  state.anchor = ClockAnchor{.monotonic = {10}, .wall = Timestamp(11), .synchronised = true};
  state.promised = Timestamp(12);
  state.heartbeat_number = 13;
  state.first_run = 14;
  state.next_run = 15;
  state.unsealed_records = 16;
  state.unsealed_bytes = 17;
  state.oldest_batch = 18;
  state.oldest_skeleton = 19;
  state.series_count = 20;
  state.next_key_list = 21;
  return state;
}

}  // namespace

TEST_CASE("every field of the state comes back, and optional ones stay absent") {
  REQUIRE(*values::decode_state(values::encode(full_state())) == full_state());
  REQUIRE(*values::decode_state(values::encode(StreamState())) == StreamState());
}

TEST_CASE("the other values come back as they went") {
  const MeterTable table{.number = 3,
                         .rows = {{.number = 1, .name = "a", .unit = "By", .scale = 18},
                                  {.number = 7,
                                   .name = "b",
                                   .unit = "",
                                   .kind = MeterKind::event,
                                   .definition_version = 4,
                                   .forward_ids = true}}};
  const Skeleton skeleton{.id = *BatchId::from(std::string(32, 'x')),
                          .first_seq = 5,
                          .last_seq = 4,
                          .sealed_at = Timestamp(-1),
                          .totals = {{2, 3}}};
  const Seen seen{.hour = 9, .ranges = {{.first = 1, .count = 2}, {.first = 9, .count = 1}}};

  REQUIRE(*values::decode_meters(values::encode(table)) == table);
  REQUIRE(*values::decode_skeleton(values::encode(skeleton)) == skeleton);
  REQUIRE(*values::decode_seen(values::encode(seen)) == seen);
  REQUIRE(*values::decode_raw(values::encode_raw(-7)) == -7);
  const KeyClock key_clock{.at = Timestamp(5), .read_at = {6}};
  REQUIRE(*values::decode_key_clock(values::encode(key_clock)) == key_clock);
  const Boots boots{.machine = "b", .waiting = {{.run = 7, .first_seq = 8}, {.run = 9}}};
  REQUIRE(*values::decode_boots(values::encode(boots)) == boots);
  REQUIRE(*values::decode_boots(values::encode(Boots())) == Boots());
}

TEST_CASE("a value that is cut short or has bytes behind it is corrupt") {
  const Bytes whole = values::encode(full_state());
  for (size_t size = 0; size < whole.size(); ++size) {
    REQUIRE(values::decode_state(ByteView(whole).first(size)).error().code() == Errc::corrupt);
  }
  Bytes longer = whole;
  longer.push_back(0);
  REQUIRE(values::decode_state(longer).error().code() == Errc::corrupt);
  REQUIRE(!values::decode_seen(ByteView()).has_value());
  REQUIRE(!values::decode_hashes(ByteView(whole).first(15)).has_value());
}

TEST_CASE("the bytes of keys and values stay what released journals hold") {
  REQUIRE(to_hex(keys::format()) == "0001666f726d6174");
  REQUIRE(to_hex(keys::stream(keys::StreamPart::state)) == "10010102");
  REQUIRE(to_hex(keys::run(258)) == "2001010000000000000102");
  REQUIRE(to_hex(keys::batch(1)) == "3001010000000000000001");
  REQUIRE(to_hex(keys::skeleton(1)) == "3101010000000000000001");
  REQUIRE(to_hex(keys::seen_by_hour(3, 4, 5)) ==
          "510101"
          "00000003"
          "0000000000000004"
          "0005");
  REQUIRE(keys::hour_of_key(keys::seen_by_hour(3, 4, 5)) == Hour{3});
  REQUIRE(!keys::hour_of_key(keys::batch(1)));
  REQUIRE(to_hex(values::encode(Seen{.hour = 1, .ranges = {{.first = 2, .count = 3}}})) ==
          "00000001"
          "0000000000000002"
          "00000003");
  REQUIRE(hash_of_key("a").hex() == hash_of_key("a").hex());
}
