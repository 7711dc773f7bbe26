#pragma once
// The recorder's questions, answered inside the write transaction. Of the journal's own files.

#include "agent/core/recorder.h"
#include "agent/journal/keys.h"
#include "agent/journal/tables.h"
#include "agent/journal/values.h"

namespace ledgerline::agent {

class TransactionLookups final : public RecordLookups {
 public:
  explicit TransactionLookups(const io::LmdbTxn& txn) : txn_(txn) {}

  Result<std::optional<Seq>> id(const KeyHash& key) override {
    TRY(const auto ranges, request(key));
    if (ranges.empty()) return std::nullopt;
    return ranges.front().first;
  }

  Result<std::vector<SeqRange>> request(const KeyHash& key) override {
    TRY(const auto stored, get_checked(txn_, keys::seen(key)));
    if (!stored) return std::vector<SeqRange>();
    TRY(Seen seen, values::decode_seen(*stored));
    return std::move(seen.ranges);
  }

  Result<std::optional<int64_t>> last_raw(const KeyHash& series) override {
    TRY(const auto stored, get_checked(txn_, keys::series(series)));
    if (!stored) return std::nullopt;
    TRY(const int64_t raw, values::decode_raw(*stored));
    return raw;
  }

 private:
  const io::LmdbTxn& txn_;
};

}  // namespace ledgerline::agent
