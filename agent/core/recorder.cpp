#include "agent/core/recorder.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_map>

#include "agent/core/anchoring.h"
#include "common/check.h"

namespace ledgerline::agent {

namespace {

using namespace std::string_view_literals;

constexpr int64_t kWallMsMax = 253'402'300'799'999;  // the last millisecond of year 9999
constexpr int64_t kMonotonicMsMax = int64_t{1} << 50;

struct HashOfHash {
  size_t operator()(const KeyHash& key) const {
    size_t out = 0;
    std::memcpy(&out, key.view().data(), sizeof out);
    return out;
  }
};
template <class Value>
using ByHash = std::unordered_map<KeyHash, Value, HashOfHash>;

KeyHash shortened(const Digest& digest) { return *KeyHash::from(digest.view().first(16)); }

size_t text_bytes(const RecordRequest& request) {
  size_t out = 0;
  for (const auto& item : request.items) out += text_bytes(item);
  return out;
}

bool is_too_large(const RecordRequest& request) {
  return request.items.size() > RecordLimits::kRequestReadingsMax ||
         text_bytes(request) > RecordLimits::kRequestTextMax;
}

struct Refused {
  Errc code;
  const char* field;
  std::string message;
};
using Judged = tl::expected<void, Refused>;

tl::unexpected<Refused> refuse(const char* field, std::string message) {
  return tl::unexpected<Refused>({Errc::reject, field, std::move(message)});
}

bool is_text(std::string_view text) {
  return text.size() <= RecordLimits::kTextMax && is_utf8(text);
}

/// Sorts the dimensions and checks every text against what a section may hold.
Judged settle_texts(const MeterRow& meter, Reading& reading) {
  if (!is_text(reading.subject)) return refuse("subject", "longer than 1024 bytes or not UTF-8");
  auto& dimensions = reading.dimensions;
  if (dimensions.size() > RecordLimits::kDimensionsMax) {
    return refuse("dimensions", "more than 32 dimensions");
  }
  std::sort(dimensions.begin(), dimensions.end());
  for (size_t i = 0; i < dimensions.size(); ++i) {
    const auto& [name, value] = dimensions[i];
    if (name.empty() || !is_text(name) || !is_text(value)) {
      return refuse("dimensions", "a name or value is empty, longer than 1024 bytes or not UTF-8");
    }
    if (name.starts_with("ledgerline.")) {
      return refuse("dimensions", "names that begin with \"ledgerline.\" are the collector's");
    }
    if (i > 0 && dimensions[i - 1].first == name) {
      return refuse("dimensions", "the dimension \"" + name + "\" stands twice");
    }
  }
  if (!meter.forward_ids) {
    reading.id.clear();
  } else if (reading.id.empty() || !is_text(reading.id)) {
    return refuse("id", "this meter forwards ids: an id of 1 to 1024 bytes of UTF-8 is needed");
  }
  return {};
}

/// Works on one group of requests that fit one run.
class Planner {
 public:
  Planner(const RecorderState& state, const MeterRows& meters, RecordLookups& lookups)
      : state_(state), meters_(meters), lookups_(lookups), builder_(state.next_seq) {
    totals_.insert(state.totals.begin(), state.totals.end());
  }

  Result<RecordResult> take(const RecordRequest& request);
  RecordPlan finish();

 private:
  /// What one request would change; merged only where all of it is accepted.
  struct Pending {
    std::vector<Reading> readings;
    RecordAnswer answer;
    std::map<uint32_t, Int128> totals;
    ByHash<int64_t> last_raws;
    uint64_t new_series = 0;
    std::vector<std::pair<KeyHash, Seq>> ids;
    ByHash<Seq> ids_by_hash;
  };

  Result<std::vector<SeqRange>> known_request(const KeyHash& key);
  Result<std::optional<Seq>> known_id(const Pending& pending, const KeyHash& key);
  Result<Judged> take_item(const RecordItem& item, Pending& pending);
  Result<Judged> settle(Reading& reading, bool restarted, Pending& pending);
  Result<Judged> difference(Reading& reading, bool restarted, Pending& pending);
  Judged add_to_total(const Reading& reading, Pending& pending) const;
  [[nodiscard]] bool is_late(const Reading& reading) const;
  void merge(const RecordRequest& request, Pending& pending);

  const RecorderState& state_;
  const MeterRows& meters_;
  RecordLookups& lookups_;
  ColumnsBuilder builder_;
  std::map<uint32_t, Int128> totals_;
  ByHash<int64_t> last_raws_;
  ByHash<Seq> ids_by_hash_;
  ByHash<std::vector<SeqRange>> requests_by_hash_;
  RecordPlan plan_;
};

RecordResult refusal(size_t index, Refused why) {
  return tl::unexpected<RecordRefusal>(
      {.code = why.code, .index = index, .field = why.field, .message = std::move(why.message)});
}

/// A request that was recorded before: the seqs of the first time, if it is as long as then.
RecordResult repeated(const StreamId& stream, const RecordRequest& request,
                      const std::vector<SeqRange>& ranges) {
  RecordAnswer answer{.stream = stream, .seqs = {}, .repeated = {}};
  for (const auto& range : ranges) {
    for (uint64_t i = 0; i < range.count; ++i) answer.seqs.push_back(range.first + i);
  }
  if (answer.seqs.size() != request.items.size()) {
    return refusal(0,
                   {Errc::reject, "request",
                    "this idempotency key was used for a request with another number of events"});
  }
  answer.repeated.assign(answer.seqs.size(), 1);
  return answer;
}

std::vector<SeqRange> ranges_of(const std::vector<Seq>& seqs) {
  std::vector<SeqRange> out;
  for (const Seq seq : seqs) {
    if (!out.empty() && out.back().first + out.back().count == seq) {
      ++out.back().count;
    } else {
      out.push_back({.first = seq, .count = 1});
    }
  }
  return out;
}

Result<std::vector<SeqRange>> Planner::known_request(const KeyHash& key) {
  const auto here = requests_by_hash_.find(key);
  if (here != requests_by_hash_.end()) return here->second;
  return lookups_.request(key);
}

Result<std::optional<Seq>> Planner::known_id(const Pending& pending, const KeyHash& key) {
  for (const auto* known : {&pending.ids_by_hash, &std::as_const(ids_by_hash_)}) {
    const auto found = known->find(key);
    if (found != known->end()) return found->second;
  }
  return lookups_.id(key);
}

bool Planner::is_late(const Reading& reading) const {
  if (!state_.promised) return false;
  if (!reading.monotonic_time) return Timestamp(reading.time_ms) < *state_.promised;
  if (!state_.anchor) return false;
  return time_by(*state_.anchor, {reading.time_ms}) < *state_.promised;
}

/// Raw counter -> consumption since the last raw counter of the series.
Result<Judged> Planner::difference(Reading& reading, bool restarted, Pending& pending) {
  const int64_t raw = reading.register_value;
  if (raw < 0) return Judged(refuse("value", "a register cannot be negative"));
  const KeyHash series = hash_of_series(reading.meter, reading.subject, reading.dimensions);
  std::optional<int64_t> last;
  const auto in_request = pending.last_raws.find(series);
  const auto in_group = last_raws_.find(series);
  if (in_request != pending.last_raws.end()) {
    last = in_request->second;
  } else if (in_group != last_raws_.end()) {
    last = in_group->second;
  } else {
    TRY(last, lookups_.last_raw(series));
    if (!last) ++pending.new_series;
  }
  if (state_.series_count + plan_.new_series + pending.new_series > RecordLimits::kSeriesMax) {
    return Judged(refuse("subject", "the stream has too many register series"));
  }
  // The first value of a series is its base: what was consumed before, nobody saw.
  reading.register_reset = last && (restarted || raw < *last);
  reading.value = !last ? 0 : reading.register_reset ? raw : raw - *last;
  pending.last_raws[series] = raw;
  return Judged();
}

Judged Planner::add_to_total(const Reading& reading, Pending& pending) const {
  auto found = pending.totals.find(reading.meter);
  if (found == pending.totals.end()) {
    const auto before = totals_.find(reading.meter);
    found =
        pending.totals.emplace(reading.meter, before == totals_.end() ? 0 : before->second).first;
  }
  const auto sum = checked_add(found->second, Int128(reading.value));
  if (!sum) return refuse("value", "the meter's total would need more than 128 bits");
  found->second = *sum;
  return {};
}

Result<Judged> Planner::settle(Reading& reading, bool restarted, Pending& pending) {
  const auto meter = meters_.find(reading.meter);
  if (meter == meters_.end()) return Judged(refuse("meter", "no such meter is declared"));
  const int64_t time_max = reading.monotonic_time ? kMonotonicMsMax : kWallMsMax;
  if (reading.time_ms < 0 || reading.time_ms > time_max) {
    return Judged(refuse("time", "a time lies between 1970 and 9999"));
  }
  if (const auto texts = settle_texts(meter->second, reading); !texts) return texts;
  reading.late = is_late(reading);
  reading.register_reset = false;
  const MeterKind kind = meter->second.kind;
  if (kind == MeterKind::register_) {
    TRY(const Judged judged, difference(reading, restarted, pending));
    if (!judged) return judged;
  } else {
    reading.register_value = 0;
    if (kind != MeterKind::gauge && reading.value < 0) {
      return Judged(refuse("value", "a delta or event cannot be negative"));
    }
  }
  return add_to_total(reading, pending);
}

Result<Judged> Planner::take_item(const RecordItem& item, Pending& pending) {
  if (text_bytes(item) > RecordLimits::kReadingTextMax) {
    return Judged(refuse("dimensions", "an event's texts are longer than 4 KiB"));
  }
  const Seq seq = builder_.next_seq() + pending.readings.size();
  if (!item.key.empty()) {
    const KeyHash key = hash_of_key(item.key);
    TRY(const auto known, known_id(pending, key));
    if (known) {
      pending.answer.seqs.push_back(*known);
      pending.answer.repeated.push_back(1);
      return Judged();
    }
    pending.ids.emplace_back(key, seq);
    pending.ids_by_hash.emplace(key, seq);
  }
  Reading reading = item.reading;
  TRY(const Judged judged, settle(reading, item.restarted, pending));
  if (!judged) return judged;
  pending.readings.push_back(std::move(reading));
  pending.answer.seqs.push_back(seq);
  pending.answer.repeated.push_back(0);
  return Judged();
}

void Planner::merge(const RecordRequest& request, Pending& pending) {
  for (const auto& reading : pending.readings) builder_.add(reading);
  for (const auto& [meter, sum] : pending.totals) totals_[meter] = sum;
  for (const auto& [series, raw] : pending.last_raws) last_raws_[series] = raw;
  plan_.new_series += pending.new_series;
  for (const auto& [key, seq] : pending.ids) {
    ids_by_hash_.emplace(key, seq);
    plan_.ids.emplace_back(key, seq);
  }
  if (!request.request_key.empty() && !request.items.empty()) {
    const KeyHash key = hash_of_request_key(request.request_key);
    const auto ranges = ranges_of(pending.answer.seqs);
    requests_by_hash_.emplace(key, ranges);
    plan_.requests.emplace_back(key, ranges);
  }
}

Result<RecordResult> Planner::take(const RecordRequest& request) {
  if (is_too_large(request)) {
    return refusal(0,
                   {Errc::reject, "request",
                    "a request has more than 4096 events or 512 KiB of texts; send it in parts"});
  }
  if (!request.request_key.empty()) {
    TRY(const auto ranges, known_request(hash_of_request_key(request.request_key)));
    if (!ranges.empty()) return repeated(state_.stream, request, ranges);
  }
  Pending pending;
  pending.answer.stream = state_.stream;
  for (size_t i = 0; i < request.items.size(); ++i) {
    TRY(Judged judged, take_item(request.items[i], pending));
    if (!judged) return refusal(i, std::move(judged).error());
  }
  merge(request, pending);
  return RecordResult(std::move(pending.answer));
}

RecordPlan Planner::finish() {
  plan_.run = builder_.take();
  plan_.totals.assign(totals_.begin(), totals_.end());
  plan_.last_raws.assign(last_raws_.begin(), last_raws_.end());
  return std::move(plan_);
}

}  // namespace

size_t RecordAnswer::duplicates() const {
  return static_cast<size_t>(std::count(repeated.begin(), repeated.end(), 1));
}

KeyHash hash_of_key(std::string_view key) {
  return shortened(sha256({bytes_of("ledgerline/key/v1\0"sv), bytes_of(key)}));
}

KeyHash hash_of_request_key(std::string_view request_key) {
  return shortened(sha256({bytes_of("ledgerline/request-key/v1\0"sv), bytes_of(request_key)}));
}

KeyHash hash_of_series(uint32_t meter, std::string_view subject, const DimensionSet& dimensions) {
  // Each text behind its length, so that no two series are one text.
  Bytes text;
  append_big_endian32(text, meter);
  const auto add = [&text](std::string_view part) {
    append_big_endian32(text, static_cast<uint32_t>(part.size()));
    text.insert(text.end(), part.begin(), part.end());
  };
  add(subject);
  for (const auto& [name, value] : dimensions) {
    add(name);
    add(value);
  }
  return shortened(sha256({bytes_of("ledgerline/series/v1\0"sv), text}));
}

size_t text_bytes(const RecordItem& item) {
  // With what Protobuf adds to each text: many tiny texts count too.
  constexpr size_t kFraming = 8;
  size_t out = item.reading.subject.size() + item.reading.id.size() + kFraming;
  for (const auto& [name, value] : item.reading.dimensions) {
    out += name.size() + value.size() + kFraming;
  }
  return out;
}

size_t chunk_size(std::span<const RecordRequest> requests) {
  size_t readings = 0;
  size_t text = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    if (is_too_large(requests[i])) continue;  // refused: takes no room
    readings += requests[i].items.size();
    text += text_bytes(requests[i]);
    const bool over = readings > Columns::kReadingsMax || text > RecordLimits::kRequestTextMax;
    if (over) return i;
  }
  return requests.size();
}

Result<RecordPlan> plan_record(const RecorderState& state, const MeterRows& meters,
                               std::span<const RecordRequest> requests, RecordLookups& lookups) {
  CHECK_INVARIANT(chunk_size(requests) == requests.size());
  Planner planner(state, meters, lookups);
  std::vector<RecordResult> answers;
  answers.reserve(requests.size());
  for (const auto& request : requests) {
    TRY(auto answer, planner.take(request));
    answers.push_back(std::move(answer));
  }
  RecordPlan plan = planner.finish();
  plan.answers = std::move(answers);
  return plan;
}

}  // namespace ledgerline::agent
