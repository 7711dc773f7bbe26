#include "collector/core/recovery.h"

#include <catch2/catch.hpp>

#include "tests/support/device/test_device.h"

namespace ledgerline::collector {

namespace {

constexpr Timestamp kNow(1'770'000'000'000);

MeterRow meter(const std::string& name, const std::string& unit, int scale, MeterKind kind) {
  MeterRow out;
  out.name = name;
  out.unit = unit;
  out.scale = scale;
  out.kind = kind;
  return out;
}

/// A stream of three meters: 1 counts calls, 2 energy in tenths, 3 is a gauge.
struct Replaced {
  Replaced() {
    row.grant.tenant = "acme";
    row.grant.device = "one";
    row.head_number = 8;
    end.next_seq = 101;
    end.totals = {{1, 70}, {2, 35}, {3, 900}};
    end.meters[1] = meter("calls", "1", 0, MeterKind::delta);
    end.meters[2] = meter("energy", "kWh", 1, MeterKind::delta);
    end.meters[3] = meter("level", "Cel", 0, MeterKind::gauge);
  }
  void beat(Seq next_seq, Totals totals) {
    row.heartbeats.newest.number = 5;
    row.heartbeats.newest.next_seq = next_seq;
    row.heartbeats.newest.totals = std::move(totals);
    row.heartbeats.newest_received_at = kNow;
  }
  [[nodiscard]] std::vector<ExceptionRow> said() const {
    std::vector<ExceptionRow> out;
    for (auto& upsert : stream_replaced(row, end, StreamId(), "disk replaced", kNow)) {
      CHECK(upsert.mode == UpsertMode::replace);
      CHECK(upsert.row.kind == "stream_replaced");
      CHECK(upsert.row.device == "one");
      out.push_back(std::move(upsert.row));
    }
    return out;
  }

  StreamRow row;
  StreamEnd end;
};

bool contains(const ExceptionRow& row, const char* text) {
  return row.detail.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("a replaced stream names what was recorded and never came, per meter that counts") {
  Replaced replaced;
  replaced.beat(108, {{1, 75}, {2, 47}, {3, 1200}});

  const auto said = replaced.said();

  REQUIRE(said.size() == 3);
  CHECK(said[0].meter.empty());
  CHECK(said[0].count == 7);
  CHECK(contains(said[0], "ended at batch 8, seq 100"));
  CHECK(contains(said[0], "(disk replaced)"));
  CHECK(contains(said[0], "Totals at its end: calls 70 1, energy 3.5 kWh"));
  CHECK(contains(said[0], "said: calls 75 1, energy 4.7 kWh; 7 readings"));
  CHECK(said[1].meter == "calls");
  CHECK(said[1].value.text() == "5");
  CHECK(said[2].meter == "energy");
  CHECK(said[2].value.text() == "1.2");
  CHECK(said[2].unit == "kWh");
  CHECK(said[1].id != said[2].id);
}

TEST_CASE("a replaced stream whose heartbeat saw nothing beyond its end has no tail") {
  Replaced replaced;
  replaced.beat(101, {{1, 70}, {2, 35}, {3, 900}});
  REQUIRE(replaced.said().size() == 1);
  CHECK(replaced.said().front().count == 0);
  CHECK(contains(replaced.said().front(), "What was recorded after it is not known"));

  // The collector has read further than the newest heartbeat tells: nothing is negative.
  replaced.beat(90, {{1, 60}, {2, 30}});
  REQUIRE(replaced.said().size() == 1);
  CHECK(replaced.said().front().count == 0);
}

TEST_CASE("a replaced stream without a heartbeat says that nothing is known of its tail") {
  const auto said = Replaced().said();
  REQUIRE(said.size() == 1);
  CHECK(said.front().count == 0);
  CHECK(contains(said.front(), "never sent a heartbeat"));
}

TEST_CASE("a tail of a meter that was never seen is named by its number") {
  Replaced replaced;
  replaced.beat(103, {{1, 70}, {2, 35}, {3, 900}, {4, 12}});

  const auto said = replaced.said();

  REQUIRE(said.size() == 2);
  CHECK(said[1].meter == "meter number 4");
  CHECK(said[1].value.text() == "12");
  CHECK(said[1].unit.empty());
}

TEST_CASE("a shown receipt counts where this collector signed it for that stream") {
  const auto collector = test::new_signer();
  const auto stranger = test::new_signer();
  Receipt receipt;
  receipt.stream = StreamId(std::array<uint8_t, StreamId::kSize>{1});
  receipt.number = 4;
  receipt.linked_upto = 9;
  Resume resume;
  resume.stream = receipt.stream;
  const auto shown = [&](Signer& by) {
    resume.receipt = *sign(payload_type::kReceipt, encode(receipt), by);
    return shown_receipt(resume, collector->public_key());
  };
  CHECK_FALSE(shown_receipt(resume, collector->public_key()));
  CHECK(shown(*collector)->linked_upto == 9);
  CHECK_FALSE(shown(*stranger));
  resume.stream = StreamId();
  CHECK_FALSE(shown(*collector));
}

}  // namespace ledgerline::collector
