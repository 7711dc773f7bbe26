#pragma once
// The recorder's questions, answered inside the write transaction. Of the journal's own files.

#include "agent/core/recorder.h"
#include "agent/journal/journal_impl.h"

namespace ledgerline::agent {

class TransactionLookups final : public RecordLookups {
 public:
  /// `pending`: keys that this transaction has put.
  TransactionLookups(const io::LmdbTxn& txn, const FreshKeys& pending, const FreshKeys& fresh,
                     const KeyPacks& packs, CheckedBlocks& checks, Seq next_seq)
      : txn_(txn),
        pending_(pending),
        fresh_(fresh),
        packs_(packs),
        checks_(checks),
        next_seq_(next_seq) {}

  Result<std::optional<Seq>> id(const KeyHash& key) override {
    TRY(const auto ranges, request(key));
    if (ranges.empty()) return std::nullopt;
    return ranges.front().first;
  }

  Result<std::vector<SeqRange>> request(const KeyHash& key) override {
    if (auto found = pending_.find(key); !found.empty()) return found;
    if (auto found = fresh_.find(key); !found.empty()) return found;
    return find_in_packs(txn_, packs_, key, checks_, next_seq_);
  }

  Result<std::optional<int64_t>> last_raw(const KeyHash& series) override {
    TRY(const auto stored, get_checked(txn_, keys::series(series)));
    if (!stored) return std::nullopt;
    TRY(const int64_t raw, values::decode_raw(*stored));
    return raw;
  }

 private:
  const io::LmdbTxn& txn_;
  const FreshKeys& pending_;
  const FreshKeys& fresh_;
  const KeyPacks& packs_;
  CheckedBlocks& checks_;
  Seq next_seq_;
};

}  // namespace ledgerline::agent
