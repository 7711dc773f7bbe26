// Damage and format: what a flipped bit, a newer format and odd values do.

#include "collector/store/keys.h"
#include "collector/store/record_codec.h"
#include "common/crc32c.h"
#include "common/io/lmdb.h"
#include "tests/unit/collector/store/store_backends.h"

namespace ledgerline::collector {

TEST_CASE("a flipped bit in a stored value is noticed wherever it is read", "[store]") {
  for (size_t bit = 0; bit < 4000; bit += 7) {
    auto database = make_memory_database();
    auto store = open_memory_store(database);
    enroll(*store, {1});
    admit_links(*store, 1, {link(1, 11, Bytes(64, 5))});

    REQUIRE(flip_bit(*database, static_cast<uint8_t>(Table::leaf), 0, bit));
    REQUIRE(flip_bit(*database, static_cast<uint8_t>(Table::stream), 0, bit));
    REQUIRE(flip_bit(*database, static_cast<uint8_t>(Table::linked), 0, bit));

    REQUIRE(failed_with(store->read_log(0), Errc::corrupt));
    REQUIRE(failed_with(store->stream(stream_id(1)), Errc::corrupt));
    REQUIRE(failed_with(store->batch_id(stream_id(1), 1), Errc::corrupt));
  }
}

TEST_CASE("a flipped bit in what the next write builds on stops that write", "[store]") {
  auto database = make_memory_database();
  auto store = open_memory_store(database);
  enroll(*store, {1});
  admit_links(*store, 1, {link(1, 11)});
  AdmitChange change = change_of(*store, 1);
  change.links = {link(2, 12)};

  for (size_t n = 0; n < 2; ++n)
    REQUIRE(flip_bit(*database, static_cast<uint8_t>(Table::meta), n, 13));

  REQUIRE(failed_with(store->admit(std::span(&change, 1)), Errc::corrupt));
  REQUIRE(must(store->stream(stream_id(1))).head_number == 1);
}

TEST_CASE("a store of a newer format is refused", "[store]") {
  LmdbBackend backend;
  backend.open();
  const Key key = Key(Table::meta).text("format");
  Bytes value;
  append_big_endian64(value, 2);
  {
    io::LmdbEnv::Options options;
    options.folder = backend.folder() + "/store";
    options.map_size_bytes = 1 << 30;
    auto env = must(io::LmdbEnv::open(options));
    auto txn = must(env.begin_write());
    must(txn.put(key, with_checksum(key, value)));
    must(txn.commit());
  }

  const auto store =
      open_lmdb_store({.folder = backend.folder() + "/store", .map_size_bytes = 1 << 30});

  REQUIRE(failed_with(store, Errc::config));
}

TEST_CASE("keys keep the order of what they name", "[store]") {
  const std::vector<std::string> texts = {"",
                                          std::string("\0", 1),
                                          std::string("\0\0", 2),
                                          std::string("\0a", 2),
                                          "\x01",
                                          "a",
                                          std::string("a\0", 2),
                                          std::string("a\0b", 3),
                                          "a\x01",
                                          "ab",
                                          "b",
                                          "\xff"};
  for (size_t i = 0; i < texts.size(); ++i) {
    for (size_t j = 0; j < texts.size(); ++j) {
      // What follows must not outweigh the text itself.
      const Key left = Key(Table::period).text(texts[i]).u64(i % 2 == 0 ? ~uint64_t{0} : 0);
      const Key right = Key(Table::period).text(texts[j]).u64(j % 2 == 0 ? ~uint64_t{0} : 0);
      INFO(i << " " << j);
      REQUIRE((left.bytes() < right.bytes()) == (i < j));
    }
    const Key key = Key(Table::period).text(texts[i]).u64(77);
    KeyReader reader(key);
    REQUIRE(must(reader.text()) == texts[i]);
    REQUIRE(must(reader.u64()) == 77);
    REQUIRE_FALSE(reader.u64());
  }
  REQUIRE(Key(Table::period).time(Timestamp(-5)).bytes() <
          Key(Table::period).time(Timestamp(0)).bytes());
  REQUIRE(Key(Table::usage).quarter({-1}).bytes() < Key(Table::usage).quarter({0}).bytes());
}

TEST_CASE("records keep extreme values and refuse every truncation", "[store]") {
  ExceptionRow row;
  row.id = "x";
  row.value = Decimal((Int128(1) << 127) + 5, 18);
  row.first_leaf = ~LeafNumber{0};
  row.first_seen = Timestamp(std::numeric_limits<int64_t>::min());
  row.detail = std::string("\0\xff", 2);
  row.deadline = Timestamp(-1);

  const Bytes bytes = encode_record(row);

  REQUIRE(must(decode_record<ExceptionRow>(bytes)) == row);
  for (size_t size = 0; size < bytes.size(); ++size) {
    REQUIRE_FALSE(decode_record<ExceptionRow>(ByteView(bytes).first(size)));
  }
  Bytes longer = bytes;
  longer.push_back(0);
  REQUIRE_FALSE(decode_record<ExceptionRow>(longer));
  Bytes newer = bytes;
  newer[0] = 3;
  REQUIRE(failed_with(decode_record<ExceptionRow>(newer), Errc::corrupt));
  Bytes older(bytes.begin(), bytes.end() - 1);  // without the assignee, which is empty
  older[0] = 1;
  REQUIRE(must(decode_record<ExceptionRow>(older)) == row);

  UsageValue usage;
  usage.sum = -(Int128(1) << 100);
  usage.count = 3;
  usage.min = std::numeric_limits<int64_t>::min();
  usage.max = std::numeric_limits<int64_t>::max();
  REQUIRE(must(decode_record<UsageValue>(encode_record(usage))) == usage);
}

}  // namespace ledgerline::collector
