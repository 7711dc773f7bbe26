#include "agent/journal/journal.h"

#include <filesystem>

#include "agent/core/meter_numbers.h"
#include "agent/journal/journal_impl.h"
#include "common/check.h"
#include "common/io/system.h"

namespace ledgerline::agent {

namespace {

Result<io::LmdbEnv> open_env(const JournalOptions& options, bool read_only) {
  return io::LmdbEnv::open({.folder = options.folder,
                            .map_size_bytes = map_bytes(options.retention),
                            .read_only = read_only});
}

Status check_format(const io::LmdbTxn& txn) {
  TRY(const ByteView value, require_checked(txn, keys::format()));
  TRY(const uint32_t format, values::decode_format(value));
  // An older one is rewritten by who opens it to write; a look at it needs none of what changed.
  if (format <= values::kFormat) return {};
  return fail(Error(Errc::config, "the journal was written by a newer version of the agent")
                  .with("format", std::to_string(format)));
}

/// The format of a new journal, before anything else is in it.
Status put_format(io::LmdbEnv& env) {
  TRY(auto txn, env.begin_write());
  TRY(const auto known, get_checked(txn, keys::format()));
  if (known) return {};
  TRY_VOID(put_checked(txn, keys::format(), values::encode_format(values::kFormat)));
  return txn.commit();
}

Status check(const JournalOptions& options) {
  const bool readings_ok =
      options.batch.readings_max >= 1 && options.batch.readings_max <= Columns::kReadingsMax;
  if (!readings_ok) {
    return fail(Errc::config, "a batch holds between 1 and 4096 readings (readings_max)");
  }
  if (options.retention.quota_bytes < uint64_t{1} << 20) {
    return fail(Errc::config, "the journal's quota is less than 1 MiB");
  }
  return {};
}

/// Two agents on one stream would fork it.
Result<io::FileLock> lock_for_writing(const std::string& folder) {
  auto lock = io::FileLock::try_acquire(folder + "/writer.lock");
  if (!lock && lock.error().code() == Errc::conflict)
    return fail(Error(Errc::conflict, "another agent runs on this journal").with("folder", folder));
  return lock;
}

}  // namespace

Journal::Journal(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Journal::~Journal() = default;

Result<std::unique_ptr<Journal>> Journal::open(JournalOptions options, Clock& clock) {
  TRY_VOID(check(options));
  TRY_VOID(io::make_folders(options.folder, 0700));
  TRY(auto lock, lock_for_writing(options.folder));
  TRY(auto env, open_env(options, false));
  TRY_VOID(put_format(env));
  TRY(const uint64_t damaged, upgrade(env));
  auto impl = std::make_unique<Impl>(std::move(options), clock, std::move(env), std::move(lock));
  {
    TRY(const auto txn, impl->env.begin_read());
    TRY_VOID(impl->load(txn));
  }
  TRY(auto file, FileSpace::open(impl->options.folder + "/data.mdb"));
  impl->file.emplace(std::move(file));
  impl->unsealed_since = clock.monotonic();
  impl->damaged_forgotten += damaged;
  return std::unique_ptr<Journal>(new Journal(std::move(impl)));
}

Result<JournalStatus> Journal::read_status(const JournalOptions& options) {
  if (!std::filesystem::exists(options.folder + "/data.mdb")) {
    return fail(Error(Errc::not_found, "there is no journal").with("folder", options.folder));
  }
  TRY(auto env, open_env(options, true));
  io::SystemClock clock;
  Impl impl(options, clock, std::move(env), std::nullopt);
  {
    TRY(const auto txn, impl.env.begin_read());
    TRY_VOID(impl.load(txn));
  }
  return impl.status();
}

Status Journal::Impl::load(const io::LmdbTxn& txn) {
  TRY_VOID(check_format(txn));
  TRY_VOID(load_packs(txn));
  TRY(key_clock, load_key_clock(txn));
  TRY(const auto grant_body, get_checked(txn, keys::stream(keys::StreamPart::grant)));
  if (!grant_body) return {};
  TRY(grant, decode_grant(*grant_body));
  grant_hash = grant_id(*grant_body);
  TRY_VOID(load_clock(txn));
  TRY(const ByteView state_value, require_checked(txn, keys::stream(keys::StreamPart::state)));
  TRY(state, values::decode_state(state_value));
  TRY_VOID(load_fresh_keys(txn));
  TRY(const auto log_value, get_checked(txn, keys::stream(keys::StreamPart::log)));
  if (log_value) {
    TRY(log, values::decode_log_sightings(*log_value));
  }
  TRY(const auto table, get_checked(txn, keys::stream(keys::StreamPart::meters)));
  if (!table) return {};
  TRY(auto meter_rows, values::decode_meters(*table));
  keep_meters(std::move(meter_rows));
  return {};
}

void Journal::Impl::keep_meters(MeterTable table) {
  meter_table = std::move(table);
  meters.clear();
  for (const auto& row : meter_table.rows) meters.emplace(row.number, row);
}

Status Journal::Impl::must_be_booted() const {
  if (!grant) return fail(Errc::config, "the agent is not enrolled");
  CHECK_INVARIANT(booted);
  if (commit_failed)
    return fail(Errc::internal, "a commit failed; only a new start knows what holds");
  return {};
}

Result<Space> Journal::Impl::space() {
  TRY(const auto usage, env.usage());
  Space out{.used_bytes = usage.used_bytes};
  TRY(out.disk_free_bytes,
      options.disk_free ? options.disk_free(options.folder) : io::free_disk_bytes(options.folder));
  if (file) {
    TRY(out.file_bytes, file->size());
    out.ahead_bytes = file->hold(out.file_bytes, options.retention.reserve_bytes);
  }
  return out;
}

Result<io::LmdbTxn> Journal::Impl::begin_growing() {
  TRY(const auto usage, env.usage());
  if (usage.used_bytes < options.retention.quota_bytes + options.retention.reserve_bytes)
    return env.begin_write();
  return fail(Errc::full, "the journal's quota and reserve are used up");
}

Unsealed Journal::Impl::unsealed() const {
  const Seq end = state.coarse ? state.coarse->first_seq : state.next_seq;
  // All of it lies in the map, so its counts are sizes of this machine.
  return {.readings = static_cast<size_t>(end - state.sealed_next_seq),
          .records = static_cast<size_t>(state.unsealed_records),
          .plain_bytes = static_cast<size_t>(state.unsealed_bytes),
          .oldest = unsealed_since};
}

Status Journal::Impl::put_run(io::LmdbTxn& txn, const Columns& run, StreamState& next) const {
  const Bytes section = encode_section(run, meters);
  CHECK_INVARIANT(run.first_seq == next.next_seq && section.size() <= Columns::kPlainSizeMax);
  const Bytes value = values::encode(StoredRun{.first_seq = run.first_seq,
                                               .readings = static_cast<uint32_t>(run.size()),
                                               .records = static_cast<uint16_t>(run.records.size()),
                                               .section = section});
  TRY_VOID(put_checked(txn, keys::run(next.next_run), value));
  end_coarsening(next);
  ++next.next_run;
  next.next_seq = run.next_seq();
  next.unsealed_records += run.records.size();
  next.unsealed_bytes += section.size();
  return {};
}

Status Journal::Impl::put_state(io::LmdbTxn& txn, const StreamState& next) const {
  TRY_VOID(
      put_checked(txn, keys::stream(keys::StreamPart::key_clock), values::encode(key_clock_now())));
  return put_checked(txn, keys::stream(keys::StreamPart::state), values::encode(next));
}

Status Journal::Impl::commit(io::LmdbTxn txn, StreamState next) {
  const Status done = txn.commit();
  commit_failed = commit_failed || (!done && done.error().code() != Errc::full);
  TRY_VOID(done);
  const bool was_empty = unsealed().empty();
  state = std::move(next);
  if (was_empty) unsealed_since = clock.monotonic();
  return {};
}

Status Journal::install_grant(const StreamGrant& grant, ByteView body) {
  auto& j = *impl_;
  TRY(auto txn, j.env.begin_write());
  const Bytes key = keys::stream(keys::StreamPart::grant);
  TRY(const auto known, get_checked(txn, key));
  if (known) {
    if (std::equal(known->begin(), known->end(), body.begin(), body.end())) return {};
    return fail(Error(Errc::conflict, "the journal belongs to another stream")
                    .with("stream", j.grant->stream.hex()));
  }
  StreamState next;
  next.head_id = grant_id(body);
  TRY_VOID(put_checked(txn, key, body));
  TRY_VOID(j.put_state(txn, next));
  TRY_VOID(j.commit(std::move(txn), next));
  j.grant = grant;
  j.grant_hash = next.head_id;
  j.floor = grant.issued_at;
  return {};
}

bool Journal::enrolled() const { return impl_->grant.has_value(); }

Result<std::vector<MeterRow>> Journal::begin_boot(const Boot& boot) {
  auto& j = *impl_;
  if (!j.grant) return fail(Errc::config, "the agent is not enrolled");
  if (boot.software.size() > RecordLimits::kTextMax || !is_utf8(boot.software)) {
    return fail(Errc::config, "the software's name is longer than 1024 bytes or not UTF-8");
  }
  TRY(auto numbered, number_meters(j.meter_table, boot.meters));

  ColumnsBuilder run(j.state.next_seq);
  run.add(BootRecord{.boot_id = boot.boot_id,
                     .software = boot.software,
                     .configuration_hash = boot.configuration_hash,
                     .last_receipt_number = j.state.receipt_number,
                     .last_receipt_upto = j.state.acked_upto});
  if (numbered.changed) run.add(numbered.table);
  const auto anchor = first_anchor(j.floor, j.anchor_of(boot.machine), boot.clocks);
  Boots boots = j.boots_of(boot.machine);
  const std::vector<Boots::Waiting> placed = anchor ? boots.waiting : std::vector<Boots::Waiting>();
  if (anchor) {
    run.add(*anchor);
    boots.waiting.clear();
  } else {
    wait_for_time(boots, {.run = j.state.next_run, .first_seq = j.state.next_seq});
  }

  const auto put = [&]() -> Status {
    StreamState next = j.state;
    next.boot_id = boot.boot_id;
    next.anchor = anchor;
    TRY(auto txn, j.begin_growing());
    if (anchor) TRY_VOID(j.place(txn, placed, *anchor, next));
    TRY_VOID(j.put_run(txn, run.columns(), next));
    TRY_VOID(put_checked(txn, keys::stream(keys::StreamPart::boots), values::encode(boots)));
    if (numbered.changed) {
      TRY_VOID(
          put_checked(txn, keys::stream(keys::StreamPart::meters), values::encode(numbered.table)));
    }
    TRY_VOID(j.put_state(txn, next));
    return j.commit(std::move(txn), std::move(next));
  };
  TRY_VOID(j.with_room(put));
  j.keep_meters(std::move(numbered.table));
  j.boots = std::move(boots);
  j.booted = true;
  return std::move(numbered.declared);
}

Result<std::map<std::string, Bytes>> Journal::bookmarks() const {
  std::map<std::string, Bytes> out;
  TRY(const auto txn, impl_->env.begin_read());
  TRY(auto cursor, io::LmdbCursor::open(txn));
  TRY(auto entry, cursor.seek(keys::bookmark("")));
  while (entry) {
    const auto name = keys::name_of_bookmark(entry->key);
    if (!name) break;
    TRY(const ByteView value, checked(entry->key, entry->value));
    out.emplace(*name, copy_of(value));
    TRY(entry, cursor.next());
  }
  return out;
}

Result<std::vector<StoredBatch>> Journal::batches_after(BatchNumber number,
                                                        const FetchLimits& limits) {
  auto& j = *impl_;
  std::vector<StoredBatch> out;
  TRY(const auto txn, j.env.begin_read());
  if (number + 1 < j.state.oldest_batch) {
    TRY(auto tombstone, j.tombstone(txn, number));
    out.push_back(std::move(tombstone));
    return out;
  }
  size_t bytes = 0;
  for (BatchNumber n = number + 1; n < j.state.next_batch; ++n) {
    TRY(const ByteView sealed, require_checked(txn, keys::batch(n)));
    bytes += sealed.size();
    if (!out.empty() && (out.size() == limits.batches_max || bytes > limits.bytes_max)) break;
    TRY(const Skeleton skeleton, j.skeleton_of(txn, n));
    out.push_back({.number = n, .id = skeleton.id, .sealed = copy_of(sealed)});
  }
  return out;
}

Result<ReceiptOutcome> Journal::store_receipt(const Receipt& receipt, ByteView signed_bytes) {
  auto& j = *impl_;
  if (!j.grant) return fail(Errc::config, "the agent is not enrolled");
  if (receipt.stream != j.grant->stream) {
    return fail(Errc::corrupt, "a receipt is for another stream");
  }
  if (receipt.number < j.state.receipt_number) return ReceiptOutcome::older;
  if (receipt.linked_upto >= j.state.next_batch || receipt.linked_upto < j.state.acked_upto) {
    return fail(Error(Errc::conflict, "a receipt does not fit this journal's batches")
                    .with("linked_upto", std::to_string(receipt.linked_upto))
                    .with("head", std::to_string(j.state.next_batch - 1))
                    .with("acked_upto", std::to_string(j.state.acked_upto)));
  }
  BatchId own = j.grant_hash;
  if (receipt.linked_upto > 0) {
    TRY(const auto txn, j.env.begin_read());
    if (receipt.linked_upto > j.state.acked_upto && receipt.linked_upto < j.state.oldest_batch) {
      TRY(const BatchNumber kept, j.next_skeleton(txn, receipt.linked_upto));
      if (kept != receipt.linked_upto) return ReceiptOutcome::unproven;
    }
    TRY(const Skeleton skeleton, j.skeleton_of(txn, receipt.linked_upto));
    own = skeleton.id;
  }
  if (receipt.chain_value != own) {
    return fail(Error(Errc::corrupt, "a receipt's chain value is not ours")
                    .with("linked_upto", std::to_string(receipt.linked_upto)));
  }
  if (receipt.number == j.state.receipt_number) return ReceiptOutcome::repeated;
  const auto put = [&]() -> Status {
    StreamState next = j.state;
    next.receipt_number = receipt.number;
    next.acked_upto = receipt.linked_upto;
    next.status = receipt.status;
    TRY(auto txn, j.env.begin_write());
    TRY_VOID(put_checked(txn, keys::stream(keys::StreamPart::receipt), signed_bytes));
    TRY_VOID(j.put_state(txn, next));
    return j.commit(std::move(txn), std::move(next));
  };
  TRY_VOID(j.with_room(put));
  j.floor = std::max(j.floor, receipt.issued_at);
  return ReceiptOutcome::stored;
}

Result<Heartbeat> Journal::heartbeat(std::optional<Timestamp> hold) {
  auto& j = *impl_;
  TRY_VOID(j.must_be_booted());
  const Timestamp now = j.clock.now();
  TRY(const Space space, j.space());
  StreamState next = j.state;
  ++next.heartbeat_number;
  const Monotonic monotonic = j.clock.monotonic();
  if (next.anchor) {
    const Timestamp believed = j.promise_clock.time(time_by(*next.anchor, monotonic), monotonic,
                                                    next.anchor->synchronised);
    const Timestamp complete = std::min(believed, hold.value_or(believed)) - j.options.lateness;
    next.promised = std::max(next.promised.value_or(Timestamp()), complete);
  }
  const auto put = [&]() -> Status {
    TRY(auto txn, j.env.begin_write());
    TRY_VOID(j.put_state(txn, next));
    return j.commit(std::move(txn), next);
  };
  TRY_VOID(j.with_room(put));
  const uint64_t quota = j.options.retention.quota_bytes;
  return Heartbeat{.stream = j.grant->stream,
                   .number = next.heartbeat_number,
                   .next_seq = next.next_seq,
                   .head_batch = next.next_batch - 1,
                   .head_id = next.head_id,
                   .totals = next.totals,
                   .boot_id = next.boot_id,
                   .acked_upto = next.acked_upto,
                   .receipt_number = next.receipt_number,
                   .complete_through = next.promised.value_or(Timestamp()),
                   .free_bytes = quota > space.used_bytes ? quota - space.used_bytes : 0,
                   .sent_at = now,
                   .monotonic = monotonic,
                   .coarsening = next.coarse.has_value()};
}

Result<ResumeState> Journal::resume_state() const {
  const auto& j = *impl_;
  if (!j.grant) return fail(Errc::config, "the agent is not enrolled");
  TRY(const auto txn, j.env.begin_read());
  TRY(const auto receipt, get_checked(txn, keys::stream(keys::StreamPart::receipt)));
  return ResumeState{.stream = j.grant->stream,
                     .partition = j.grant->partition,
                     .head_batch = j.state.next_batch - 1,
                     .head_id = j.state.head_id,
                     .acked_upto = j.state.acked_upto,
                     .receipt_number = j.state.receipt_number,
                     .status = j.state.status,
                     .receipt = receipt ? copy_of(*receipt) : Bytes()};
}

Result<LogSightings> Journal::log_sightings() const { return impl_->log; }

Status Journal::keep_log_sightings(const LogSightings& sightings) {
  auto& j = *impl_;
  if (!j.grant) return fail(Errc::config, "the agent is not enrolled");
  const auto put = [&]() -> Status {
    TRY(auto txn, j.env.begin_write());
    TRY_VOID(put_checked(txn, keys::stream(keys::StreamPart::log), values::encode(sightings)));
    return j.commit(std::move(txn), j.state);
  };
  TRY_VOID(j.with_room(put));
  j.log = sightings;
  return {};
}

Result<JournalStatus> Journal::status() const { return impl_->status(); }

Result<JournalStatus> Journal::Impl::status() {
  TRY(const Space used, space());
  Seq dropped = 0;
  if (has_tombstone()) {
    TRY(const auto txn, env.begin_read());
    TRY(dropped, dropped_readings(txn));
  }
  return JournalStatus{.enrolled = grant.has_value(),
                       .grant = grant.value_or(StreamGrant{}),
                       .next_seq = state.next_seq,
                       .sealed_upto = state.sealed_next_seq - 1,
                       .head_batch = state.next_batch - 1,
                       .acked_upto = state.acked_upto,
                       .oldest_batch = state.oldest_batch,
                       .oldest_skeleton = state.oldest_skeleton,
                       .receipt_number = state.receipt_number,
                       .stream_status = state.status,
                       .totals = state.totals,
                       .meters = meter_table,
                       .promised = state.promised,
                       .heartbeat_number = state.heartbeat_number,
                       .used_bytes = used.used_bytes,
                       .quota_bytes = options.retention.quota_bytes,
                       .disk_free_bytes = used.disk_free_bytes,
                       .oldest_key_hour = oldest_key_hour(),
                       .damaged_forgotten = damaged_forgotten + checks.damaged(),
                       .seals_put_off = seals_put_off,
                       .coarsening = state.coarse.has_value(),
                       .clock = clock_status(),
                       .dropped = dropped,
                       .log = log};
}

}  // namespace ledgerline::agent
