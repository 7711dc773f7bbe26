#pragma once
// Getting a device's batches into a store, and sums out of it.

#include "collector/fold/folder.h"
#include "collector/store/memory_store.h"
#include "tests/unit/collector/fold/fold_device.h"

namespace ledgerline::collector {

template <class T>
T value_of(Result<T> result) {
  INFO((result ? "" : result.error().text()));
  REQUIRE(result);
  return std::move(*result);
}

inline void enroll(Store& store, const FoldDevice& device,
                   StreamClass stream_class = StreamClass::billing) {
  DeviceEnrolment enrolment;
  enrolment.tenant = "demo";
  enrolment.device = device.name();
  NewStream stream;
  stream.grant.tenant = "demo";
  stream.grant.device = device.name();
  stream.grant.stream = device.stream();
  stream.grant.stream_class = stream_class;
  stream.grant_id = device.first_previous();
  enrolment.streams = {stream};
  value_of(store.put_device(enrolment));
}

/// The device's newest batch; returns the log's size.
inline LeafNumber admit(Store& store, const FoldDevice& device, const SealedBatch& batch) {
  AdmitChange change;
  change.stream = device.stream();
  const auto row = value_of(store.stream(device.stream()));
  change.expected_revision = row.revision;
  change.links = {{.number = row.head_number + 1,
                   .id = batch.id,
                   .sealed = batch.bytes,
                   .received_at = Timestamp(kNoon + 60'000)}};
  return value_of(store.admit(std::span(&change, 1)));
}

inline Int128 sum_of(Store& store, const std::string& device, const std::string& subject) {
  Int128 sum = 0;
  for (const auto& series : value_of(store.list_series({.tenant = "demo", .device = device}))) {
    if (series.key.subject != subject || series.key.meter != "requests") continue;
    for (const auto& row : value_of(store.usage(series.id, {0}, {10'000'000})))
      sum += row.value.sum;
  }
  return sum;
}

}  // namespace ledgerline::collector
