#include "agent/core/recorder_by_class.h"

#include <catch2/catch.hpp>

namespace ledgerline::agent {
namespace {

/// A journal that numbers what it is given, or refuses.
class Numbering final : public RecordPort {
 public:
  explicit Numbering(uint8_t stream) { bytes_[0] = stream; }
  void record(RecordRequest request, std::function<void(RecordResult)> done) override {
    requests.push_back(request);
    if (refusal) return done(tl::unexpected<RecordRefusal>(*refusal));
    RecordAnswer answer{.stream = StreamId(bytes_)};
    for (size_t i = 0; i < request.items.size(); ++i) {
      answer.seqs.push_back(next_++);
      answer.repeated.push_back(0);
    }
    done(std::move(answer));
  }

  std::vector<RecordRequest> requests;
  std::optional<RecordRefusal> refusal;

 private:
  std::array<uint8_t, StreamId::kSize> bytes_{};
  Seq next_ = 10;
};

struct Desk {
  Numbering billing{1};
  Numbering diagnostic{2};
  Numbering beside{2};
  RecorderByClass recorder{
      {.billing = billing, .diagnostic = diagnostic, .diagnostic_beside_billing = beside}};

  RecordResult record(RecordRequest request) {
    std::optional<RecordResult> out;
    recorder.record(std::move(request), [&](RecordResult result) { out = std::move(result); });
    REQUIRE(out);
    return std::move(*out);
  }
};

RecordItem item(uint32_t meter) { return {.reading = {.meter = meter, .value = 1}, .key = "k"}; }

}  // namespace

TEST_CASE("recorder by class: a request of one class goes to its journal, under its numbers") {
  Desk desk;
  REQUIRE(desk.record({.items = {item(1), item(2)}, .request_key = "r"}));
  const auto answer = desk.record({.items = {item(kDiagnosticMeters + 3)}, .request_key = "r"});

  REQUIRE(answer);
  CHECK(answer->diagnostic.empty());
  REQUIRE(desk.billing.requests.size() == 1);
  CHECK(desk.billing.requests[0].items.size() == 2);
  REQUIRE(desk.diagnostic.requests.size() == 1);
  CHECK(desk.diagnostic.requests[0].items[0].reading.meter == 3);
  CHECK(desk.diagnostic.requests[0].request_key == "r");
  CHECK(desk.beside.requests.empty());
}

TEST_CASE("recorder by class: a bookmark without readings goes to its input's journal") {
  Desk desk;
  REQUIRE(desk.record({.items = {}, .bookmark = Bookmark{.name = "file:a", .value = {}}}));
  REQUIRE(
      desk.record({.items = {},
                   .bookmark = Bookmark{
                       .name = "file:b", .value = {}, .stream_class = StreamClass::diagnostic}}));
  CHECK(desk.billing.requests.size() == 1);
  CHECK(desk.diagnostic.requests.size() == 1);
}

TEST_CASE("recorder by class: a request of both is answered when both have it") {
  Desk desk;
  const auto answer =
      desk.record({.items = {item(kDiagnosticMeters + 1), item(1), item(kDiagnosticMeters + 2)},
                   .request_key = "r"});

  REQUIRE(answer);
  CHECK(answer->seqs == std::vector<Seq>{10, 10, 11});
  CHECK(answer->diagnostic == std::vector<uint8_t>{1, 0, 1});
  CHECK(answer->stream != answer->diagnostic_stream);
  CHECK(desk.billing.requests[0].request_key == "r");
  CHECK(desk.beside.requests[0].items.size() == 2);
  CHECK(desk.diagnostic.requests.empty());
}

TEST_CASE("recorder by class: what one journal refuses is the answer, by the whole's places") {
  Desk desk;
  const RecordRequest both{.items = {item(1), item(kDiagnosticMeters + 1), item(2)}};
  SECTION("the diagnostic one: nothing is billed") {
    desk.beside.refusal = RecordRefusal{.code = Errc::reject, .index = 0, .field = "value"};
    const auto answer = desk.record(both);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().index == 1);
    CHECK(desk.billing.requests.empty());
  }
  SECTION("the billing one") {
    desk.billing.refusal = RecordRefusal{.code = Errc::full, .index = 1, .field = ""};
    const auto answer = desk.record(both);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == Errc::full);
    CHECK(answer.error().index == 2);
  }
}

TEST_CASE(
    "recorder by class: what nobody can ask for again is billed once, whatever diagnostics do") {
  Desk desk;
  const RecordRequest both{.items = {item(kDiagnosticMeters + 1), item(1)}, .can_wait = false};
  SECTION("both have it") {
    const auto answer = desk.record(both);
    REQUIRE(answer);
    CHECK(answer->diagnostic == std::vector<uint8_t>{1, 0});
    CHECK_FALSE(desk.billing.requests[0].can_wait);
    CHECK_FALSE(desk.beside.requests[0].can_wait);
  }
  SECTION("diagnostics are refused: they are lost, and counted") {
    desk.beside.refusal = RecordRefusal{.code = Errc::full};
    const auto answer = desk.record(both);
    REQUIRE(answer);
    CHECK(answer->seqs == std::vector<Seq>{0, 10});
    CHECK(desk.recorder.lost() == 1);
  }
  SECTION("billing is refused: nothing is recorded, so that asking again doubles nothing") {
    desk.billing.refusal = RecordRefusal{.code = Errc::reject, .index = 0};
    const auto answer = desk.record(both);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().index == 1);
    CHECK(desk.beside.requests.empty());
  }
}

}  // namespace ledgerline::agent
