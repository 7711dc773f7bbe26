#pragma once
// The fold's shell: reads the evidence log from the cursor in slices, gives each batch its meaning
// (collector/core/folding) and commits usage, series, exceptions, stream states and the cursor in
// one transaction (A5'). Live and replay are the same: a replay begins with an empty store's
// cursor. Runs on the storage thread.
//
// What it remembers between steps (stream states, series ids) changes only together with the
// cursor, and each step compares the stored cursor with its own first: where another process has
// folded, everything remembered is dropped.

#include <map>
#include <string>
#include <utility>

#include "collector/core/folding.h"
#include "collector/fold/changed_series.h"
#include "collector/store/store.h"

namespace ledgerline::collector {

class Folder {
 public:
  struct Options {
    ReadLogLimits slice{};
    uint64_t series_per_device_max = 10'000;  // further series become the exception series_limit
    /// Series ids are remembered with their keys; a slice ends, and they are dropped, where those
    /// take more than this.
    size_t series_bytes_max = 64 << 20;
    size_t slice_usage_max = 100'000;  // a slice ends where it changes more usage rows than this
  };
  /// What is remembered is dropped when there is more of it than this.
  static constexpr size_t kStreamsRememberedMax = 50'000;

  struct Step {
    size_t leaves = 0;  // 0: nothing was left to fold
    uint64_t readings = 0;
    size_t exceptions = 0;
    LeafNumber cursor = 0;
  };

  /// `changed`, where there is one, is told which series each slice changed.
  Folder(Store& store, Options options, ChangedSeries* changed = nullptr)
      : store_(store), options_(options), changed_(changed) {}
  explicit Folder(Store& store) : Folder(store, Options{}) {}

  /// Folds one slice, of at most so many leaves. Errc::conflict where another fold was first: call
  /// again. Errc::corrupt where what is stored at the cursor is damaged: everything before it is
  /// folded.
  Result<Step> step(uint64_t leaves_max = UINT64_MAX);
  /// Steps until the log is folded as far as it went when this was called.
  Result<Step> run_to_end();
  /// Steps until the cursor is at `leaf` exactly, which the log has reached: every leaf before it
  /// is folded, and no other. Nothing where the cursor is there or further.
  Result<Step> run_to(LeafNumber leaf);

 private:
  struct Stream {
    std::string tenant;
    std::string device;
    StreamClass stream_class = StreamClass::billing;
    StreamFoldState state;
  };
  struct Slice;

  void forget();
  Result<Step> fold_slice(const ReadLogLimits& limits);
  Result<Stream*> stream(const StreamId& id);
  Status fold_leaf(const LogEntry& entry, Slice& slice);
  Status fold_batch_leaf(const LogEntry& entry, Slice& slice);
  Status fold_correction_leaf(const LogEntry& entry, Slice& slice);
  /// 0 where the device may have no more series.
  Result<SeriesId> series_id(const SeriesKey& key, Slice& slice);
  Result<uint64_t*> series_count(const SeriesKey& key);

  Store& store_;
  Options options_;
  ChangedSeries* changed_;
  LeafNumber cursor_ = 0;
  std::map<StreamId, Stream> streams_;
  std::map<SeriesKey, SeriesId> series_;  // 0: refused
  size_t series_bytes_ = 0;
  std::map<std::pair<std::string, std::string>, uint64_t> series_counts_;
};

}  // namespace ledgerline::collector
