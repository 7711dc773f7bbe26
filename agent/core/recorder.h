#pragma once
// Decides what becomes of readings that ask to be recorded: duplicate, refused, or a seq. Pure; the
// journal looks up and stores. A request is one unit: where one of its readings fails, nothing of
// it is recorded; other requests go on.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/columns.h"
#include "common/envelope.h"

namespace ledgerline::agent {

/// One reading that asks to be recorded. The input fills meter (a number of the current meter
/// table), subject, dimensions (in any order), time_ms, monotonic_time, value at the meter's scale
/// (for kind register: register_value, the raw counter; value is ignored) and, where the meter
/// forwards ids, id. The rest is the recorder's.
struct RecordItem {
  Reading reading;
  std::string key;  // idempotency key: source, a zero byte, id. Empty: none
  /// Of a register: it counts from 0 since the series' last value, though it may show more by now.
  bool restarted = false;
};

/// Where an input goes on after a restart. Stored in the transaction of the readings that it
/// covers, so that nothing is read twice or left out.
struct Bookmark {
  static constexpr size_t kNameSizeMax = 200;
  static constexpr size_t kValueSizeMax = 64 * 1024;
  std::string
      name;  // 1 to kNameSizeMax bytes; the input's kind comes first, as in "file:/var/log/a"
  Bytes value;
  StreamClass stream_class = StreamClass::billing;  // of the input's meters
  friend bool operator==(const Bookmark&, const Bookmark&) = default;
};

struct RecordRequest {
  std::vector<RecordItem> items;  // may be empty where there is a bookmark
  std::string
      request_key;  // empty: none. The whole request's key, the fast path for a repeated request
  /// False: whoever measured it cannot keep it until later. A full journal then merges it with what
  /// it has of the series instead of refusing (agent/core/coarse.h). Such items have no keys.
  bool can_wait = true;
  /// Replaces the stored one of its name where the request is accepted.
  std::optional<Bookmark> bookmark{};
};

struct RecordAnswer {
  StreamId stream;
  std::vector<Seq> seqs;          // one per item; a duplicate's is the one given the first time
  std::vector<uint8_t> repeated;  // one per item: 1 where it was recorded before
  /// Only of a request of both classes: the seqs of items that are 1 here are that stream's.
  StreamId diagnostic_stream{};
  std::vector<uint8_t> diagnostic{};
  [[nodiscard]] size_t duplicates() const;
};

/// Why a request was not recorded. `index` and `field` name the reading at fault; field is one of
/// "meter", "subject", "dimensions", "time", "value", "id", "request" (the whole
/// request), or empty (Errc::full and the like). Errc::reject: wrong and stays wrong. Errc::retry,
/// Errc::full: later perhaps. Errc::config: not enrolled.
struct RecordRefusal {
  Errc code = Errc::reject;
  size_t index = 0;
  std::string field;
  std::string message;
};

using RecordResult = tl::expected<RecordAnswer, RecordRefusal>;

/// The first 16 bytes of a domain-separated SHA-256: what idempotency keys and series are stored
/// under.
using KeyHash = FixedId<struct KeyHashTag, 16>;
KeyHash hash_of_key(std::string_view key);
KeyHash hash_of_request_key(std::string_view request_key);
KeyHash hash_of_series(uint32_t meter, std::string_view subject, const DimensionSet& dimensions);

struct SeqRange {
  Seq first = 0;
  uint64_t count = 0;
  friend bool operator==(const SeqRange&, const SeqRange&) = default;
};

/// What is durable already. The journal answers inside its write transaction.
class RecordLookups {
 public:
  virtual ~RecordLookups() = default;
  /// The seq that an event with this key got.
  virtual Result<std::optional<Seq>> id(const KeyHash& key) = 0;
  /// The seqs of a request with this key, in item order.
  virtual Result<std::vector<SeqRange>> request(const KeyHash& key) = 0;
  /// The last raw counter of a register series.
  virtual Result<std::optional<int64_t>> last_raw(const KeyHash& series) = 0;
};

struct RecorderState {
  StreamId stream;
  Seq next_seq = 1;
  Totals totals;
  std::optional<Timestamp>
      promised;  // complete_through of the last heartbeat: earlier readings are late
  std::optional<ClockAnchor> anchor;  // of this boot: maps monotonic times for the late flag
  uint64_t series_count = 0;          // register series known so far
};

struct RecordLimits {
  static constexpr size_t kRequestReadingsMax = Columns::kReadingsMax;
  /// Of one reading's text, so that the collector takes its series and a batch of one reading
  /// always fits its sealed size.
  static constexpr size_t kReadingTextMax = Columns::kSeriesTextMax;
  /// Of a request's text, so that its run always fits a section.
  static constexpr size_t kRequestTextMax = 512 * 1024;
  static constexpr size_t kTextMax = 1024;  // subject, dimension name or value, id: each
  static constexpr size_t kDimensionsMax = 32;
  static constexpr uint64_t kSeriesMax = 100'000;  // register series of a stream
};

struct RecordPlan {
  Columns run;  // size() may be 0: all duplicates or refused
  Totals totals;
  std::vector<std::pair<KeyHash, int64_t>> last_raws;
  uint64_t new_series = 0;
  std::vector<std::pair<KeyHash, Seq>> ids;
  std::vector<std::pair<KeyHash, std::vector<SeqRange>>> requests;
  std::vector<RecordResult> answers;  // one per request
};

/// Of what varies in length in one reading, as kReadingTextMax and kRequestTextMax count it.
size_t text_bytes(const RecordItem& item);
/// How many requests from the front fit one run (at least 1 where there are any).
size_t chunk_size(std::span<const RecordRequest> requests);

/// Invariant: requests.size() == chunk_size(requests). An Error is the lookups' (storage), never a
/// request's.
Result<RecordPlan> plan_record(const RecorderState& state, const MeterRows& meters,
                               std::span<const RecordRequest> requests, RecordLookups& lookups);

/// Where inputs hand readings in. `done` is called on the io thread, after the synced commit that
/// holds them.
class RecordPort {
 public:
  virtual ~RecordPort() = default;
  /// Errc::retry (the queue) or Errc::full (space) in the answer means push back: nothing was
  /// recorded, ask again later.
  virtual void record(RecordRequest request, std::function<void(RecordResult)> done) = 0;
};

}  // namespace ledgerline::agent
