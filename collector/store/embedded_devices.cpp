// Devices, streams, heartbeats and quarantine.

#include <algorithm>

#include "collector/core/completeness.h"
#include "collector/store/embedded_store.h"

namespace ledgerline::collector {

namespace {

constexpr uint64_t kFormat = 1;

Key device_key(const std::string& tenant, const std::string& device) {
  return Key(Table::device).text(tenant).text(device);
}
Key stream_key(const StreamId& stream) { return Key(Table::stream).id(stream.view()); }

Seq folded_seq(const std::optional<StreamFoldState>& state) {
  return state ? state->next_seq - 1 : 0;
}

Result<std::optional<StreamFoldState>> find_fold_state(Rows& rows, const StreamId& stream) {
  return rows.find<StreamFoldState>(Key(Table::fold_state).id(stream.view()));
}

Result<HeartbeatTrack> heartbeats_of(Rows& rows, const StreamId& stream) {
  TRY(auto track, rows.find<HeartbeatTrack>(Key(Table::heartbeat).id(stream.view())));
  return track.value_or(HeartbeatTrack{});
}

Result<StreamRow> read_stream(Rows& rows, const StreamId& stream) {
  TRY(auto row, rows.get<StreamRow>(stream_key(stream), "stream"));
  TRY(row.heartbeats, heartbeats_of(rows, stream));
  return row;
}

Result<std::vector<StreamRow>> read_streams(Rows& rows, const std::string& tenant,
                                            const std::string& device) {
  const Key prefix = Key(Table::device_stream).text(tenant).text(device);
  std::vector<StreamId> ids;
  TRY_VOID(rows.scan_keys(prefix, prefix.end(), [&](ByteView key) -> Result<bool> {
    TRY(const auto id, StreamId::from(key.subspan(prefix.bytes().size())));
    ids.push_back(id);
    return true;
  }));
  std::vector<StreamRow> out;
  for (const StreamId& id : ids) {
    TRY(auto row, read_stream(rows, id));
    out.push_back(std::move(row));
  }
  return out;
}

Status put_stream(Rows& rows, const DeviceEnrolment& enrolment, const NewStream& stream) {
  const Key key = stream_key(stream.grant.stream);
  TRY(const bool taken, rows.contains(key));
  if (taken) return fail(Errc::conflict, "a stream with this id exists");
  StreamRow row;
  row.grant = stream.grant;
  row.signed_grant = stream.signed_grant;
  row.grant_id = stream.grant_id;
  row.head_id = stream.grant_id;
  row.revision = 1;
  TRY_VOID(rows.put(key, row));
  return rows.put_nothing(Key(Table::device_stream)
                              .text(enrolment.tenant)
                              .text(enrolment.device)
                              .id(stream.grant.stream.view()));
}

Status close_stream(Rows& rows, const StreamId& stream) {
  TRY(auto row, rows.get<StreamRow>(stream_key(stream), "stream"));
  row.status = StreamStatus::closed;
  ++row.revision;
  return write_stream(rows, row);
}

/// False where the stored one is as new or newer.
Result<bool> put_heartbeat(Rows& rows, const HeartbeatPut& put) {
  const StreamId& stream = put.heartbeat.stream;
  TRY(const bool known, rows.contains(stream_key(stream)));
  if (!known) return fail(Errc::not_found, "there is no such stream");
  TRY(auto track, heartbeats_of(rows, stream));
  TRY(const auto state, find_fold_state(rows, stream));
  if (!on_heartbeat(track, put.heartbeat, put.received_at, folded_seq(state), put.signed_bytes))
    return false;
  TRY_VOID(rows.put(Key(Table::heartbeat).id(stream.view()), track));
  if (put.exception) TRY_VOID(write_exceptions(rows, std::span(&*put.exception, 1)));
  return true;
}

Key quarantine_count_key(const std::string& tenant, const std::string& device) {
  return Key(Table::quarantine_count).text(tenant).text(device);
}

Result<QuarantineCounters> counters_of(Rows& rows, const std::string& tenant,
                                       const std::string& device) {
  TRY(auto counters, rows.find<QuarantineCounters>(quarantine_count_key(tenant, device)));
  return counters.value_or(QuarantineCounters{});
}

Result<std::vector<OperatorRow>> all_operators(Rows& rows) {
  const Key prefix(Table::operator_);
  std::vector<OperatorRow> out;
  TRY_VOID(
      rows.scan<OperatorRow>(prefix, prefix.end(), [&](ByteView, OperatorRow row) -> Result<bool> {
        out.push_back(std::move(row));
        return true;
      }));
  return out;
}

}  // namespace

Result<std::unique_ptr<Store>> EmbeddedStore::open(std::unique_ptr<KeyValueEngine> engine) {
  std::unique_ptr<EmbeddedStore> store(new EmbeddedStore(std::move(engine)));
  const Key key = Key(Table::meta).text("format");
  TRY(auto format, store->read([&](Rows& rows) { return rows.find_u64(key); }));
  if (!format) {
    // Another process may have been first meanwhile; it wrote the same or a newer format, so it is
    // read again.
    TRY(format, store->write([&](Rows& rows) -> Result<std::optional<uint64_t>> {
      TRY(auto stored, rows.find_u64(key));
      if (!stored) TRY_VOID(rows.put_u64(key, kFormat));
      return stored.value_or(kFormat);
    }));
  }
  if (*format > kFormat) {
    return fail(Error(Errc::config, "the store was written by a newer version of this program")
                    .with("format", std::to_string(*format)));
  }
  return std::unique_ptr<Store>(std::move(store));
}

Status check_stored_name(const char* what, const std::string& name) {
  if (!name.empty() && name.size() <= kNameSizeMax) return {};
  return fail(Error(Errc::reject, std::string(what) + " must have 1 to 200 bytes")
                  .with("size", std::to_string(name.size())));
}

Result<DeviceRow> EmbeddedStore::put_device(const DeviceEnrolment& enrolment) {
  return write([&](Rows& rows) -> Result<DeviceRow> {
    TRY_VOID(check_name("tenant", enrolment.tenant));
    TRY_VOID(check_name("device", enrolment.device));
    const Key key = device_key(enrolment.tenant, enrolment.device);
    TRY(auto stored, rows.find<DeviceRow>(key));
    DeviceRow row;
    if (stored) {
      row = std::move(*stored);
    } else {
      row.tenant = enrolment.tenant;
      row.device = enrolment.device;
      row.enrolled_at = enrolment.at;
    }
    if (row.revision != enrolment.expected_revision) {
      return fail(Errc::conflict, "the device was changed meanwhile");
    }
    const auto has_key = [&](const DeviceKey& k) { return k.id == enrolment.key.id; };
    if (std::none_of(row.keys.begin(), row.keys.end(), has_key)) {
      if (row.keys.size() == DeviceRow::kKeysMax)
        return fail(Errc::reject, "the device has too many keys");
      row.keys.push_back(enrolment.key);
    }
    ++row.revision;
    TRY_VOID(rows.put(key, row));
    for (const NewStream& stream : enrolment.streams) TRY_VOID(put_stream(rows, enrolment, stream));
    for (const StreamId& stream : enrolment.closes) TRY_VOID(close_stream(rows, stream));
    TRY_VOID(write_exceptions(rows, enrolment.exceptions));
    return row;
  });
}

Status EmbeddedStore::revoke_key(const std::string& tenant, const std::string& device,
                                 const KeyId& key, Timestamp at, const std::string& reason) {
  return write([&](Rows& rows) -> Status {
    TRY(auto row, rows.get<DeviceRow>(device_key(tenant, device), "device"));
    const auto found = std::find_if(row.keys.begin(), row.keys.end(),
                                    [&](const DeviceKey& k) { return k.id == key; });
    if (found == row.keys.end()) return fail(Errc::not_found, "the device has no such key");
    if (found->revoked_at) return {};
    found->revoked_at = at;
    found->revoke_reason = reason;
    ++row.revision;
    return rows.put(device_key(tenant, device), row);
  });
}

Result<DeviceRow> EmbeddedStore::device(const std::string& tenant, const std::string& device) {
  return read(
      [&](Rows& rows) { return rows.get<DeviceRow>(device_key(tenant, device), "device"); });
}

Result<std::vector<DeviceRow>> EmbeddedStore::list_devices(const std::string& tenant,
                                                           const std::string& after_tenant,
                                                           const std::string& after_device,
                                                           size_t limit) {
  return read([&](Rows& rows) -> Result<std::vector<DeviceRow>> {
    Key prefix(Table::device);
    if (!tenant.empty()) prefix.text(tenant);
    Bytes from = prefix.bytes();
    if (!after_device.empty()) from = std::max(from, device_key(after_tenant, after_device).end());
    std::vector<DeviceRow> out;
    TRY_VOID(rows.scan<DeviceRow>(from, prefix.end(), [&](ByteView, DeviceRow row) -> Result<bool> {
      if (out.size() == limit) return false;
      out.push_back(std::move(row));
      return true;
    }));
    return out;
  });
}

Result<StreamRow> EmbeddedStore::stream(const StreamId& stream) {
  return read([&](Rows& rows) { return read_stream(rows, stream); });
}

Result<std::vector<StreamRow>> EmbeddedStore::streams_of(const std::string& tenant,
                                                         const std::string& device) {
  return read([&](Rows& rows) { return read_streams(rows, tenant, device); });
}

Status write_stream(Rows& rows, const StreamRow& row) {
  const StreamId& stream = row.grant.stream;
  TRY_VOID(rows.put(stream_key(stream), row));
  if (row.presented_upto == 0) return {};
  const Key key = Key(Table::recovering).id(stream.view());
  if (row.recovering()) return rows.put_u64(key, row.missing());
  TRY_VOID(rows.erase(key));
  return {};
}

Result<RecoveryMode> EmbeddedStore::recovery_mode() {
  return read([](Rows& rows) -> Result<RecoveryMode> {
    TRY(auto mode, rows.find<RecoveryMode>(Key(Table::meta).text("recovery")));
    return mode.value_or(RecoveryMode{});
  });
}

Status EmbeddedStore::put_recovery_mode(const RecoveryMode& mode) {
  return write([&](Rows& rows) { return rows.put(Key(Table::meta).text("recovery"), mode); });
}

Result<Recovering> EmbeddedStore::recovering() {
  return read([](Rows& rows) -> Result<Recovering> {
    Recovering out;
    const Key first(Table::recovering);
    TRY_VOID(rows.scan_u64(first, first.end(), [&](uint64_t missing) -> Result<bool> {
      ++out.streams;
      out.batches += missing;
      return true;
    }));
    return out;
  });
}

Result<size_t> EmbeddedStore::put_heartbeats(std::span<const HeartbeatPut> puts) {
  return write([&](Rows& rows) -> Result<size_t> {
    size_t news = 0;
    for (const HeartbeatPut& put : puts) {
      TRY(const bool is_news, put_heartbeat(rows, put));
      news += is_news ? 1 : 0;
    }
    return news;
  });
}

Result<std::vector<StreamProgress>> EmbeddedStore::progress(const std::string& tenant,
                                                            const std::string& device) {
  return read([&](Rows& rows) -> Result<std::vector<StreamProgress>> {
    TRY(const auto streams, read_streams(rows, tenant, device));
    std::vector<StreamProgress> out;
    for (const StreamRow& row : streams) {
      TRY(const auto state, find_fold_state(rows, row.grant.stream));
      StreamProgress progress{.stream = row.grant.stream,
                              .tenant = tenant,
                              .device = device,
                              .stream_class = row.grant.stream_class,
                              .status = row.status,
                              .head_number = row.head_number,
                              .presented_upto = row.presented_upto,
                              .folded_number = state ? state->folded_number : 0,
                              .folded_seq = folded_seq(state),
                              .complete_through = {},
                              .promise = {},
                              .heartbeat_received_at = {}};
      if (const auto* promise = furthest_promise(row.heartbeats, folded_seq(state))) {
        progress.complete_through = promise->complete_through;
        progress.promise = promise->signed_bytes;
      }
      if (row.heartbeats.newest.number != 0)
        progress.heartbeat_received_at = row.heartbeats.newest_received_at;
      out.push_back(std::move(progress));
    }
    return out;
  });
}

Result<QuarantineCounters> EmbeddedStore::quarantine(const QuarantineItem& item) {
  return write([&](Rows& rows) -> Result<QuarantineCounters> {
    TRY(auto counters, counters_of(rows, item.tenant, item.device));
    ++counters.count;
    counters.bytes += item.bytes.size();
    const uint64_t charge =
        item.bytes.size() + item.topic.size() + QuarantineCounters::kItemOverhead;
    if (counters.kept_count < QuarantineCounters::kKeptCountMax &&
        counters.kept_bytes + charge <= QuarantineCounters::kKeptBytesMax) {
      ++counters.kept_count;
      counters.kept_bytes += charge;
      const Key key =
          Key(Table::quarantine).text(item.tenant).text(item.device).u64(counters.kept_count);
      TRY_VOID(rows.put(key, item));
    }
    TRY_VOID(rows.put(quarantine_count_key(item.tenant, item.device), counters));
    return counters;
  });
}

Result<QuarantineCounters> EmbeddedStore::quarantine_counters(const std::string& tenant,
                                                              const std::string& device) {
  return read([&](Rows& rows) { return counters_of(rows, tenant, device); });
}

Result<std::vector<QuarantineItem>> EmbeddedStore::list_quarantine(const std::string& tenant,
                                                                   const std::string& device,
                                                                   size_t limit) {
  return read([&](Rows& rows) -> Result<std::vector<QuarantineItem>> {
    const Key prefix = Key(Table::quarantine).text(tenant).text(device);
    std::vector<QuarantineItem> out;
    TRY_VOID(rows.scan<QuarantineItem>(prefix, prefix.end(),
                                       [&](ByteView, QuarantineItem item) -> Result<bool> {
                                         if (out.size() == limit) return false;
                                         out.push_back(std::move(item));
                                         return true;
                                       }));
    return out;
  });
}

Status EmbeddedStore::put_operator(const OperatorRow& row, const StatementPut& statement) {
  return write([&](Rows& rows) -> Status {
    TRY_VOID(check_name("operator", row.name));
    TRY(const auto stored, all_operators(rows));
    for (const OperatorRow& other : stored) {
      const bool same = other.name == row.name && other.key == row.key;
      if (same && other.revoked_at)
        return fail(Errc::conflict, "this key of the operator was revoked: make a new one");
      if (same || other.revoked_at) continue;
      if (other.name == row.name)
        return fail(Errc::conflict, "the operator has a key already: revoke it first");
      if (other.key == row.key)
        return fail(Errc::conflict, "the key is the one of operator \"" + other.name + "\"");
    }
    TRY_VOID(rows.put(Key(Table::operator_).text(row.name).id(row.key.view()), row));
    return append_statements(rows, std::span(&statement, 1));
  });
}

Result<std::vector<OperatorRow>> EmbeddedStore::operators() {
  return read([&](Rows& rows) { return all_operators(rows); });
}

}  // namespace ledgerline::collector
