#include "agent/core/delivery_gate.h"

#include <catch2/catch.hpp>

namespace ledgerline::agent {
namespace {

class CountingRecorder final : public RecordPort {
 public:
  void record(RecordRequest, std::function<void(RecordResult)> done) override {
    ++requests;
    done(RecordAnswer{});
  }
  int requests = 0;
};

}  // namespace

TEST_CASE("delivery gate: an ended stream takes only what cannot wait, until it goes on") {
  CountingRecorder recorder;
  bool ended = false;
  DeliveryGate gate(recorder, [&] { return ended; });
  std::optional<RecordResult> answer;
  const auto record = [&](bool can_wait) {
    gate.record(RecordRequest{.can_wait = can_wait},
                [&](RecordResult result) { answer = std::move(result); });
  };

  record(true);
  CHECK(recorder.requests == 1);

  ended = true;
  record(true);
  CHECK(recorder.requests == 1);
  REQUIRE_FALSE(*answer);
  CHECK(answer->error().code == Errc::config);
  CHECK(gate.refused() == 1);

  record(false);
  CHECK(recorder.requests == 2);
  CHECK(answer->has_value());

  ended = false;
  record(true);
  CHECK(recorder.requests == 3);
}

}  // namespace ledgerline::agent
