#pragma once
// In front of the recorder: while the collector says that this stream takes nothing more, whoever
// can keep a reading keeps it until the device is enrolled again. What cannot wait is recorded all
// the same: it is evidence, and its counters are in the journal. On the io thread.

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "agent/core/recorder.h"

namespace ledgerline::agent {

/// Stands where there is no stream: whoever asks keeps its readings and is told why.
class NoStream final : public RecordPort {
 public:
  explicit NoStream(std::string why) : why_(std::move(why)) {}
  void record(RecordRequest, std::function<void(RecordResult)> done) override {
    done(tl::unexpected<RecordRefusal>(
        {.code = Errc::config, .index = 0, .field = "", .message = why_}));
  }
  [[nodiscard]] const std::string& why() const { return why_; }

 private:
  std::string why_;
};

class DeliveryGate final : public RecordPort {
 public:
  /// `undeliverable` is asked at each request.
  DeliveryGate(RecordPort& next, std::function<bool()> undeliverable)
      : next_(next), undeliverable_(std::move(undeliverable)) {}

  void record(RecordRequest request, std::function<void(RecordResult)> done) override {
    if (!request.can_wait || !undeliverable_())
      return next_.record(std::move(request), std::move(done));
    ++refused_;
    done(tl::unexpected<RecordRefusal>(
        {.code = Errc::config,
         .index = 0,
         .field = "",
         .message = "readings recorded now cannot be delivered on this stream: enrol the device "
                    "again, then send them again"}));
  }

  [[nodiscard]] uint64_t refused() const { return refused_; }

 private:
  RecordPort& next_;
  std::function<bool()> undeliverable_;
  uint64_t refused_ = 0;
};

}  // namespace ledgerline::agent
