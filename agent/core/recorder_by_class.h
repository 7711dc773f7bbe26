#pragma once
// In front of the journals of a device with two streams: sends each reading to the journal of its
// meter's class. A request of both classes is answered when both journals have it; the diagnostic
// one is asked first, so that nothing is billed of a request that is refused. On the io thread, and
// outlives every request handed in.

#include "agent/core/recorder.h"

namespace ledgerline::agent {

/// Inputs know one numbering of meters: those of the diagnostic stream stand above this, where no
/// number of a stream's own is.
inline constexpr uint32_t kDiagnosticMeters = 1 << 16;

/// The items of one class and of the other, for whoever has no time to wait for one after the
/// other.
std::pair<std::vector<RecordItem>, std::vector<RecordItem>> by_class(std::vector<RecordItem> items);

class RecorderByClass final : public RecordPort {
 public:
  struct Ports {
    RecordPort& billing;
    RecordPort& diagnostic;
    /// For the diagnostic part of a request that bills as well: a diagnostic stream that has ended
    /// must not keep it from being billed.
    RecordPort& diagnostic_beside_billing;
  };
  explicit RecorderByClass(Ports ports) : ports_(ports) {}

  /// Where one journal refuses, that is the answer. What the other has recorded it knows again by
  /// its keys when the request is repeated. A request that cannot wait has no keys: billing goes
  /// first and its answer counts; diagnostics that are refused then are lost, their seqs 0.
  void record(RecordRequest request, std::function<void(RecordResult)> done) override;

  /// Diagnostic readings that came with billing ones, could not wait and were refused.
  [[nodiscard]] uint64_t lost() const { return lost_; }

 private:
  void record_with_keys(RecordRequest request, std::function<void(RecordResult)> done);
  void record_without_keys(RecordRequest request, std::function<void(RecordResult)> done);

  Ports ports_;
  uint64_t lost_ = 0;
};

}  // namespace ledgerline::agent
