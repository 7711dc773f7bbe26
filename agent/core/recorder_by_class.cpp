#include "agent/core/recorder_by_class.h"

#include <algorithm>
#include <memory>

#include "common/check.h"

namespace ledgerline::agent {

namespace {

bool is_diagnostic(const RecordItem& item) { return item.reading.meter > kDiagnosticMeters; }

/// A request in two parts, and where their items stood.
struct Split {
  RecordRequest billing;
  RecordRequest diagnostic;
  std::vector<size_t> billing_places;
  std::vector<size_t> diagnostic_places;
};

Split split(RecordRequest request) {
  Split out;
  for (RecordRequest* part : {&out.billing, &out.diagnostic}) {
    part->request_key = request.request_key;
    part->can_wait = request.can_wait;
  }
  for (size_t i = 0; i < request.items.size(); ++i) {
    RecordItem& item = request.items[i];
    if (is_diagnostic(item)) {
      item.reading.meter -= kDiagnosticMeters;
      out.diagnostic_places.push_back(i);
      out.diagnostic.items.push_back(std::move(item));
    } else {
      out.billing_places.push_back(i);
      out.billing.items.push_back(std::move(item));
    }
  }
  return out;
}

/// The refusal with the place that the reading had in the whole request.
RecordResult placed(RecordRefusal why, const std::vector<size_t>& places) {
  if (why.index < places.size()) why.index = places[why.index];
  return tl::unexpected<RecordRefusal>(std::move(why));
}

void put(const RecordAnswer& part, const std::vector<size_t>& places, RecordAnswer& out) {
  CHECK_INVARIANT(part.seqs.size() == places.size() && part.repeated.size() == places.size());
  for (size_t i = 0; i < places.size(); ++i) {
    out.seqs[places[i]] = part.seqs[i];
    out.repeated[places[i]] = part.repeated[i];
  }
}

RecordAnswer joined(const RecordAnswer& billing, const RecordAnswer& diagnostic,
                    const Split& parts) {
  const size_t count = parts.billing_places.size() + parts.diagnostic_places.size();
  RecordAnswer out{.stream = billing.stream,
                   .seqs = std::vector<Seq>(count),
                   .repeated = std::vector<uint8_t>(count),
                   .diagnostic_stream = diagnostic.stream,
                   .diagnostic = std::vector<uint8_t>(count)};
  put(billing, parts.billing_places, out);
  put(diagnostic, parts.diagnostic_places, out);
  for (const size_t place : parts.diagnostic_places) out.diagnostic[place] = 1;
  return out;
}

}  // namespace

std::pair<std::vector<RecordItem>, std::vector<RecordItem>> by_class(
    std::vector<RecordItem> items) {
  std::pair<std::vector<RecordItem>, std::vector<RecordItem>> out;
  for (RecordItem& item : items)
    (is_diagnostic(item) ? out.second : out.first).push_back(std::move(item));
  return out;
}

void RecorderByClass::record(RecordRequest request, std::function<void(RecordResult)> done) {
  const auto diagnostics =
      static_cast<size_t>(std::count_if(request.items.begin(), request.items.end(), is_diagnostic));
  const bool by_bookmark =
      request.bookmark && request.bookmark->stream_class == StreamClass::diagnostic;
  if (diagnostics == 0 && !by_bookmark) return ports_.billing.record(std::move(request), done);
  if (diagnostics == request.items.size()) {
    for (RecordItem& item : request.items) item.reading.meter -= kDiagnosticMeters;
    return ports_.diagnostic.record(std::move(request), std::move(done));
  }
  // An input with a bookmark is of one class: its place is committed with its readings.
  CHECK_INVARIANT(!request.bookmark);
  if (!request.can_wait) return record_without_keys(std::move(request), std::move(done));
  record_with_keys(std::move(request), std::move(done));
}

void RecorderByClass::record_without_keys(RecordRequest request,
                                          std::function<void(RecordResult)> done) {
  auto parts = std::make_shared<Split>(split(std::move(request)));
  ports_.billing.record(
      std::move(parts->billing), [this, parts, done = std::move(done)](RecordResult first) {
        if (!first) return done(placed(std::move(first).error(), parts->billing_places));
        ports_.diagnostic_beside_billing.record(
            std::move(parts->diagnostic),
            [this, parts, done, billing = std::move(*first)](const RecordResult& second) {
              const size_t count = parts->diagnostic_places.size();
              if (!second) lost_ += count;
              done(joined(billing,
                          second.value_or(RecordAnswer{.stream = {},
                                                       .seqs = std::vector<Seq>(count),
                                                       .repeated = std::vector<uint8_t>(count)}),
                          *parts));
            });
      });
}

void RecorderByClass::record_with_keys(RecordRequest request,
                                       std::function<void(RecordResult)> done) {
  auto parts = std::make_shared<Split>(split(std::move(request)));
  ports_.diagnostic_beside_billing.record(
      std::move(parts->diagnostic), [this, parts, done = std::move(done)](RecordResult first) {
        if (!first) return done(placed(std::move(first).error(), parts->diagnostic_places));
        ports_.billing.record(
            std::move(parts->billing),
            [parts, done, diagnostic = std::move(*first)](RecordResult second) {
              if (!second) return done(placed(std::move(second).error(), parts->billing_places));
              done(joined(*second, diagnostic, *parts));
            });
      });
}

}  // namespace ledgerline::agent
