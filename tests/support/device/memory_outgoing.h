#pragma once
// A journal in memory with the real one's manners: sealed batches, receipts checked against the own
// chain. For tests of the uplink; safe to read from the test's thread while the storage thread
// works.

#include <algorithm>
#include <mutex>
#include <optional>

#include "agent/core/outgoing.h"
#include "tests/support/device/test_device.h"

namespace ledgerline::test {

class MemoryOutgoing final : public agent::Outgoing {
 public:
  MemoryOutgoing(const TestDevice& device, std::vector<SealedBatch> batches)
      : device_(device), batches_(std::move(batches)) {}

  void add(SealedBatch batch) {
    const std::lock_guard lock(mutex_);
    batches_.push_back(std::move(batch));
  }
  /// As a journal that is full: a tombstone stands for the batches up to here.
  void drop_upto(BatchNumber number) {
    const std::lock_guard lock(mutex_);
    dropped_upto_ = number;
  }
  /// As if an old image had been put back.
  void roll_back(size_t count) {
    const std::lock_guard lock(mutex_);
    batches_.resize(count);
    state_.acked_upto = std::min<BatchNumber>(state_.acked_upto, count);
  }
  /// Nothing is written any more, as on a disk that is full or broken.
  void break_writes(Errc code) {
    const std::lock_guard lock(mutex_);
    broken_ = code;
  }
  /// Heartbeats that were not written.
  [[nodiscard]] uint64_t refused() const {
    const std::lock_guard lock(mutex_);
    return refused_;
  }
  [[nodiscard]] BatchNumber acked_upto() const {
    const std::lock_guard lock(mutex_);
    return state_.acked_upto;
  }

  Result<std::vector<agent::StoredBatch>> batches_after(BatchNumber number,
                                                        const agent::FetchLimits& limits) override {
    const std::lock_guard lock(mutex_);
    std::vector<agent::StoredBatch> out;
    if (number < dropped_upto_) return std::vector<agent::StoredBatch>{tombstone_after(number)};
    size_t bytes = 0;
    for (size_t i = number; i < batches_.size() && out.size() < limits.batches_max; ++i) {
      bytes += batches_[i].bytes.size();
      if (!out.empty() && bytes > limits.bytes_max) break;
      out.push_back({i + 1, batches_[i].id, batches_[i].bytes});
    }
    return out;
  }

  Result<agent::ReceiptOutcome> store_receipt(const Receipt& receipt,
                                              ByteView signed_bytes) override {
    const std::lock_guard lock(mutex_);
    if (receipt.number == state_.receipt_number) return agent::ReceiptOutcome::repeated;
    if (receipt.number < state_.receipt_number) return agent::ReceiptOutcome::older;
    if (receipt.linked_upto > batches_.size())
      return fail(Errc::conflict, "covers batches we do not have");
    if (receipt.linked_upto < state_.acked_upto)
      return fail(Errc::conflict, "covers less than before");
    if (receipt.chain_value != id(receipt.linked_upto)) return fail(Errc::corrupt, "not our chain");
    if (broken_) return fail(*broken_, "the commit failed");
    state_.receipt_number = receipt.number;
    state_.acked_upto = receipt.linked_upto;
    state_.status = receipt.status;
    state_.receipt = copy_of(signed_bytes);
    return agent::ReceiptOutcome::stored;
  }

  Result<Heartbeat> heartbeat(std::optional<Timestamp> hold = std::nullopt) override {
    const std::lock_guard lock(mutex_);
    refused_ += broken_ ? 1 : 0;
    if (broken_) return fail(*broken_, "the commit failed");
    Heartbeat out;
    out.stream = device_.grant.stream;
    out.number = ++heartbeats_;
    out.next_seq = batches_.size() * 2 + 1;
    out.head_batch = batches_.size();
    out.head_id = id(batches_.size());
    out.complete_through = hold.value_or(Timestamp());
    return out;
  }

  [[nodiscard]] Result<agent::LogSightings> log_sightings() const override {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  Status keep_log_sightings(const agent::LogSightings& sightings) override {
    const std::lock_guard lock(mutex_);
    if (broken_) return fail(*broken_, "the commit failed");
    log_ = sightings;
    return {};
  }

  [[nodiscard]] Result<agent::ResumeState> resume_state() const override {
    const std::lock_guard lock(mutex_);
    agent::ResumeState out = state_;
    out.stream = device_.grant.stream;
    out.partition = device_.grant.partition;
    out.head_batch = batches_.size();
    out.head_id = id(batches_.size());
    return out;
  }

 private:
  /// Where the collector has less than the receipt says, it begins behind what is there.
  [[nodiscard]] agent::StoredBatch tombstone_after(BatchNumber number) const {
    const BatchNumber first = std::min(number, state_.acked_upto) + 1;
    const Bytes message = device_.tombstone(first, dropped_upto_, id(first - 1), id(dropped_upto_));
    return {dropped_upto_, id(dropped_upto_), open_signed(message, payload_type::kTombstone)->body,
            first};
  }
  [[nodiscard]] BatchId id(BatchNumber number) const {
    return number == 0 ? device_.grant_id : batches_.at(number - 1).id;
  }

  const TestDevice& device_;
  mutable std::mutex mutex_;
  std::vector<SealedBatch> batches_;
  agent::ResumeState state_;
  agent::LogSightings log_;
  std::optional<Errc> broken_;
  uint64_t heartbeats_ = 0;
  uint64_t refused_ = 0;
  BatchNumber dropped_upto_ = 0;
};

}  // namespace ledgerline::test
