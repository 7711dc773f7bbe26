#pragma once
// A device whose batches tests of the fold seal as they like: right, or wrong in one respect.

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "collector/core/folding.h"
#include "common/compress.h"
#include "common/crypto.h"

namespace ledgerline::collector {

inline constexpr int64_t kNoon = 1'767'268'800'000;  // 2026-01-01T12:00:00Z

class FoldDevice {
 public:
  explicit FoldDevice(uint8_t n, std::string device = "d", Sections sections = Sections::one)
      : device_(std::move(device)), sections_(sections) {
    std::array<uint8_t, 16> bytes{};
    bytes.fill(n);
    stream_ = StreamId(bytes);
    signer_ = *signer_from_pem(*generate_private_key_pem(KeyAlgorithm::ed25519));
    granted(grant_id(stream_.view()));
    meters_ = {{1, {.number = 1, .name = "requests", .unit = "1"}},
               {2, {.number = 2, .name = "level", .unit = "By", .kind = MeterKind::gauge}}};
  }

  [[nodiscard]] const StreamId& stream() const { return stream_; }
  [[nodiscard]] const std::string& name() const { return device_; }
  [[nodiscard]] Signer& signer() const { return *signer_; }
  [[nodiscard]] BatchNumber number() const { return number_; }
  [[nodiscard]] BatchId head_id() const { return previous_; }
  [[nodiscard]] BatchId first_previous() const { return first_previous_; }
  /// What batch 1 names, where the stream has a real grant.
  void granted(const BatchId& grant) { first_previous_ = previous_ = grant; }

  static Reading reading(int64_t value, int64_t time_ms = kNoon, std::string subject = "a",
                         uint32_t meter = 1) {
    Reading out;
    out.meter = meter;
    out.subject = std::move(subject);
    out.time_ms = time_ms;
    out.value = value;
    return out;
  }

  /// What the next batch will hold; the first one has the meter table.
  ColumnsBuilder begin() {
    ColumnsBuilder builder(next_seq_);
    if (number_ == 0) {
      MeterTable table{.number = 1, .rows = {}};
      for (const auto& [number, row] : meters_) table.rows.push_back(row);
      builder.add(table);
    }
    return builder;
  }

  /// Seals the next batch. `change_totals` lets a test lie.
  SealedBatch seal(const Columns& columns,
                   const std::vector<std::pair<uint32_t, int64_t>>& change_totals = {}) {
    for (size_t i = 0; i < columns.size(); ++i) totals_[columns.meters[i]] += columns.values[i];
    SealOptions options{.stream = stream_,
                        .number = number_ + 1,
                        .previous = previous_,
                        .totals = {},
                        .meter_table = 1,
                        .sections = sections_};
    for (const auto& [meter, change] : change_totals) totals_[meter] += change;
    options.totals.assign(totals_.begin(), totals_.end());
    const Bytes salt(salt_size(sections_), 3);
    auto sealed =
        ledgerline::seal(columns, number_ == 0 ? MeterRows{} : meters_, options, salt, *signer_);
    REQUIRE(sealed);
    ++number_;
    next_seq_ = columns.next_seq();
    previous_ = sealed->id;
    return *sealed;
  }
  SealedBatch seal(const std::vector<Reading>& readings,
                   const std::vector<std::pair<uint32_t, int64_t>>& change_totals = {}) {
    auto builder = begin();
    for (const Reading& reading : readings) builder.add(reading);
    return seal(builder.take(), change_totals);
  }

  /// What stands for batches `first` to the newest, with the records that its reader needs. The
  /// first of them began with `first_seq` behind `previous`.
  Bytes tombstone(BatchNumber first, Seq first_seq, const BatchId& previous,
                  std::vector<Record> records = {}) {
    MeterTable table{.number = 1, .rows = {}};
    for (const auto& [number, row] : meters_) table.rows.push_back(row);
    records.push_back({next_seq_, table});
    Tombstone out{.stream = stream_,
                  .first_batch = first,
                  .last_batch = number_,
                  .first_seq = first_seq,
                  .last_seq = next_seq_ - 1,
                  .previous = previous,
                  .last_id = previous_,
                  .totals = {},
                  .reason = "no room",
                  .from = Timestamp(kNoon),
                  .created_at = Timestamp(kNoon + 60'000),
                  .records = std::move(records)};
    out.totals.assign(totals_.begin(), totals_.end());
    return *sign(payload_type::kTombstone, encode(out, {}), *signer_);
  }

  [[nodiscard]] BatchContext context(LeafNumber leaf = 0) const {
    return {.tenant = "demo",
            .device = device_,
            .stream = stream_,
            .number = number_,
            .leaf = leaf,
            .received_at = Timestamp(kNoon + 60'000)};
  }

 private:
  std::string device_;
  Sections sections_;
  StreamId stream_;
  std::unique_ptr<Signer> signer_;
  MeterRows meters_;
  std::map<uint32_t, Int128> totals_;
  BatchId first_previous_;
  BatchId previous_;
  BatchNumber number_ = 0;
  Seq next_seq_ = 1;
};

/// The sealed bytes with the stored frame replaced, as a device that signs nonsense would send it.
/// The section's hash no longer fits, which is intake's business: the fold opens what custody has.
inline Bytes with_frame_damaged(const Bytes& sealed) {
  Bytes out = sealed;
  const Bytes magic = {0x28, 0xb5, 0x2f, 0xfd};
  auto at = std::search(out.begin(), out.end(), magic.begin(), magic.end());
  REQUIRE(at != out.end());
  std::fill(at + 4, std::min(at + 12, out.end()), uint8_t{0xff});
  return out;
}

}  // namespace ledgerline::collector
