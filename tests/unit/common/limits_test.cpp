// What a statement or a section may hold at most: a writer that goes to the limit is read, one
// beyond it is refused.

#include <catch2/catch.hpp>

#include "common/columns.h"
#include "common/messages.h"

using namespace ledgerline;

namespace {

std::vector<Bytes> receipts(size_t count, Signer& signer) {
  std::vector<Bytes> out;
  for (size_t i = 0; i < count; ++i)
    out.push_back(*sign(payload_type::kReceipt, encode(Receipt{.number = i + 1}), signer));
  return out;
}

MeterTable table(size_t rows) {
  MeterTable out{.number = 1, .rows = {}};
  for (uint32_t n = 1; n <= rows; ++n)
    out.rows.push_back({.number = n, .name = "m" + std::to_string(n), .unit = "1"});
  return out;
}

Result<Columns> decoded(RecordKind record, const std::vector<Reading>& readings = {},
                        const MeterRows& known = {}) {
  ColumnsBuilder builder(1);
  builder.add(std::move(record));
  for (const Reading& reading : readings) builder.add(reading);
  return decode_section(encode_section(builder.columns(), known), 1, known);
}

}  // namespace

TEST_CASE("a receipt set holds what a collector publishes, and no more") {
  const auto signer = *signer_from_pem(*generate_private_key_pem(KeyAlgorithm::ed25519));
  for (const size_t count : {size_t{1}, kReceiptSetMax}) {
    const auto set = decode_receipt_set(encode_receipt_set(receipts(count, *signer)));
    REQUIRE(set);
    CHECK(set->size() == count);
  }
  CHECK_FALSE(decode_receipt_set(encode_receipt_set(receipts(kReceiptSetMax + 1, *signer))));
}

TEST_CASE("a heartbeat has as many totals as a manifest, and no more") {
  Heartbeat heartbeat{.number = 1};
  for (uint32_t meter = 1; meter <= 4096; ++meter) heartbeat.totals.emplace_back(meter, 1);
  CHECK(decode_heartbeat(encode(heartbeat)));
  heartbeat.totals.emplace_back(4097, 1);
  CHECK_FALSE(decode_heartbeat(encode(heartbeat)));
}

TEST_CASE("a reading's subject and dimensions have 4 KiB between them") {
  const auto reading = [](size_t last) {
    Reading out{.meter = 1, .subject = std::string(1024, 's')};
    out.dimensions = {{"a", std::string(1023, 'v')},
                      {"b", std::string(1023, 'v')},
                      {"c", std::string(last, 'v')}};
    return out;
  };
  CHECK(decoded(table(1), {reading(1023)}));
  CHECK_FALSE(decoded(table(1), {reading(1024)}));
  // Where no reading uses them together, they are apart.
  Reading subject_only = reading(1024);
  subject_only.dimensions.clear();
  Reading dimensions_only = reading(1024);
  dimensions_only.subject = "s";
  CHECK(decoded(table(1), {subject_only, dimensions_only}));
}

TEST_CASE("a stream has at most 1024 meters in all its tables, with names an agent may give them") {
  CHECK(decoded(table(1024)));
  MeterRows known;
  CHECK_FALSE(apply_meter_tables({{1, table(1025)}}, known));
  known.clear();
  for (const MeterRow& row : table(1024).rows) known.emplace(row.number, row);
  const MeterTable more{.number = 2, .rows = {{.number = 5000, .name = "one more", .unit = "1"}}};
  CHECK(apply_meter_tables({{1, table(1024)}}, known));  // the same again
  CHECK_FALSE(apply_meter_tables({{1, more}}, known));

  for (const auto& [name, unit, good] : std::vector<std::tuple<size_t, size_t, bool>>{
           {128, 32, true}, {129, 32, false}, {128, 33, false}}) {
    const MeterRow row{.number = 1, .name = std::string(name, 'n'), .unit = std::string(unit, 'u')};
    INFO(name << " " << unit);
    CHECK(decoded(MeterTable{.number = 1, .rows = {row}}).has_value() == good);
  }
}

TEST_CASE("a tombstone comes back as it was made, and one that is off is refused by its field") {
  const MeterRow meter{.number = 1, .name = "m", .unit = "1"};
  Tombstone made{.first_batch = 3,
                 .last_batch = 9,
                 .first_seq = 5,
                 .last_seq = 20,
                 .totals = {{1, 7}},
                 .reason = "no room",
                 .from = Timestamp(1),
                 .created_at = Timestamp(2),
                 .records = {{21, MeterTable{.number = 1, .rows = {meter}}}}};
  const auto back = decode_tombstone(encode(made, {}));
  REQUIRE(back);
  CHECK(back->last_batch == 9);
  CHECK(back->totals == made.totals);
  CHECK(back->records == made.records);
  CHECK(decode_tombstone(encode(made, {}), {{1, meter}}));

  const auto refused = [](const Tombstone& tombstone) {
    const auto decoded = decode_tombstone(encode(tombstone, {}));
    return !decoded && decoded.error().code() == Errc::corrupt;
  };
  const auto with = [&](auto change) {
    Tombstone out = made;
    change(out);
    return out;
  };
  CHECK(refused(with([](Tombstone& t) { t.first_batch = 0; })));
  CHECK(refused(with([](Tombstone& t) { t.last_batch = 2; })));
  CHECK(refused(with([](Tombstone& t) { t.first_seq = 0; })));
  CHECK(refused(with([](Tombstone& t) { t.last_seq = 3, t.records.clear(); })));
  CHECK(refused(with([](Tombstone& t) { t.totals = {{2, 1}, {1, 1}}; })));
  CHECK(refused(with([](Tombstone& t) { t.reason = std::string(1025, 'r'); })));
  CHECK_FALSE(refused(with([](Tombstone& t) { t.last_seq = 4, t.records.clear(); })));
  // A field of a later version, marked critical.
  Bytes later = encode(made, {});
  const Bytes critical = {0x7a, 0x01, 0x10};
  later.insert(later.end(), critical.begin(), critical.end());
  CHECK(decode_tombstone(later).error().code() == Errc::reject);
}
