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

KeyPacks full_packs() {
  return {
      .next_id = 1,
      .first_fresh = 2,
      .packs = {{.id = 3, .entries = 4, .from = 5, .to = 6, .last_seq = 7}, {.id = 8}},
      .merge =
          KeyMerge{.first = 0, .count = 2, .output = 9, .entries = 10, .written = hash_of_key("b")},
      .doomed = {11, 12}};
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
  const FreshKeyList fresh{.hour = 9,
                           .entries = {{.hash = hash_of_key("a"), .range = {1, 2}},
                                       {.hash = hash_of_key("a"), .range = {9, 1}}}};

  REQUIRE(*values::decode_meters(values::encode(table)) == table);
  REQUIRE(*values::decode_skeleton(values::encode(skeleton)) == skeleton);
  REQUIRE(*values::decode_fresh_keys(values::encode(fresh)) == fresh);
  REQUIRE(*values::decode_key_packs(values::encode(full_packs())) == full_packs());
  REQUIRE(*values::decode_key_packs(values::encode(KeyPacks())) == KeyPacks());
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
  REQUIRE(!values::decode_fresh_keys(ByteView(whole).first(31)).has_value());
  const Bytes packs = values::encode(full_packs());
  for (size_t size = 0; size < packs.size(); ++size) {
    REQUIRE(!values::decode_key_packs(ByteView(packs).first(size)).has_value());
  }
  KeyPacks beyond = full_packs();
  beyond.merge->count = 3;
  REQUIRE(!values::decode_key_packs(values::encode(beyond)).has_value());
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
  const KeyHash hash = *KeyHash::from(std::string_view("0123456789abcdef"));
  REQUIRE(to_hex(keys::seen(hash)) == "50010130313233343536373839616263646566");
  REQUIRE(to_hex(keys::fresh_keys(258)) == "5201010000000000000102");
  REQUIRE(to_hex(keys::key_block(1, hash)) ==
          "5301010000000000000001"
          "30313233343536373839616263646566");
  REQUIRE(keys::block_of_key(keys::key_block(1, hash))->last == hash);
  REQUIRE(!keys::block_of_key(keys::fresh_keys(1)));
  REQUIRE(to_hex(values::encode(FreshKeyList{.hour = 1, .entries = {{hash, {2, 3}}}})) ==
          "00000001"
          "30313233343536373839616263646566"
          "0000000000000002"
          "00000003");
}
