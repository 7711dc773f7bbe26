#pragma once
// A collector, in memory unless it is given a store, with one device that really seals batches:
// readings in, documents and exceptions out.

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "collector/fold/commerce_runner.h"
#include "collector/fold/folder.h"
#include "collector/store/memory_store.h"
#include "common/crypto.h"
#include "common/envelope.h"
#include "common/messages.h"

namespace ledgerline::collector {

inline Timestamp at(std::string_view text) { return parse_rfc3339(text).value(); }

struct Sample {
  std::string subject;
  std::string_view time;
  int64_t value = 1;
  /// 1 api.requests, 2 seats, 3 api.request (unknown), 4 bytes in the wrong unit,
  /// 5 api.requests at scale 18
  uint32_t meter = 1;
  DimensionSet dimensions = {};
};

class CommerceWorld {
 public:
  explicit CommerceWorld(const std::string& catalog,
                         CommerceOptions options = {.zone_database = "test"},
                         std::unique_ptr<Store> store = nullptr)
      : store_(store != nullptr ? std::move(store) : open_memory_store(database_)),
        folder_(*store_, {}, &changed_),
        options_(std::move(options)) {
    collector_ = signer_from_pem(generate_private_key_pem(KeyAlgorithm::ed25519).value()).value();
    signer_ = signer_from_pem(generate_private_key_pem(KeyAlgorithm::ed25519).value()).value();
    restart(catalog);
    rows_ = {{1, {1, "api.requests", "1", 0, MeterKind::delta, 1, false}},
             {2, {2, "seats", "1", 0, MeterKind::gauge, 1, false}},
             {3, {3, "api.request", "1", 0, MeterKind::delta, 1, false}},
             {4, {4, "bytes", "KiBy", 0, MeterKind::delta, 1, false}},
             {5, {5, "api.requests", "1", 18, MeterKind::delta, 2, false}}};
    enroll();
  }

  static Catalog read(const std::string& text) {
    auto catalog = Catalog::read({{"c.toml", text}});
    INFO((catalog ? "" : catalog.error().text()));
    REQUIRE(catalog);
    return *catalog;
  }

  Store& store() { return *store_; }
  Signer& collector() { return *collector_; }
  Signer& device() { return *signer_; }
  MemoryDatabase& database() { return *database_; }
  CommerceRunner& runner() { return *runner_; }
  void reload(const std::string& catalog) { runner_->set_catalog(read(catalog)); }
  void restart(const std::string& catalog) {
    runner_ =
        std::make_unique<CommerceRunner>(*store_, *collector_, read(catalog), options_, &changed_);
  }

  Sections sections = Sections::one;  // of the batches to come

  /// One sealed batch, admitted and folded.
  void record(const std::vector<Sample>& samples) {
    admit(samples);
    fold();
  }
  void fold() { REQUIRE(folder_.run_to_end()); }

  /// One sealed batch, in the log.
  void admit(const std::vector<Sample>& samples) {
    ColumnsBuilder builder(next_seq_);
    if (number_ == 0) {
      MeterTable table{1, {}};
      for (const auto& [number, row] : rows_) table.rows.push_back(row);
      builder.add(table);
    }
    for (const Sample& sample : samples) {
      Reading reading;
      reading.meter = sample.meter;
      reading.subject = sample.subject;
      reading.dimensions = sample.dimensions;
      reading.time_ms = at(sample.time).unix_ms();
      reading.value = sample.value;
      builder.add(reading);
      totals_[sample.meter] += sample.value;
    }
    SealOptions options{.stream = stream_,
                        .number = ++number_,
                        .previous = head_,
                        .totals = {},
                        .meter_table = 1,
                        .sections = sections};
    for (const auto& [meter, total] : totals_) options.totals.emplace_back(meter, total);
    const Bytes salt(salt_size(sections), static_cast<uint8_t>(number_));
    const auto sealed = seal(builder.columns(), rows_, options, salt, *signer_);
    INFO((sealed ? "" : sealed.error().text()));
    REQUIRE(sealed);
    head_ = sealed->id;
    next_seq_ = builder.next_seq();
    AdmitChange change;
    change.stream = stream_;
    change.expected_revision = store_->stream(stream_).value().revision;
    change.links.push_back({number_, sealed->id, sealed->bytes, at("2026-01-06T00:00:00Z")});
    const auto admitted = store_->admit(std::array{change});
    INFO((admitted ? "" : admitted.error().text()));
    REQUIRE(admitted);
  }

  /// One statement, logged and folded.
  void log(const StatementPut& statement) {
    CommercialChanges changes;
    changes.statements = {statement};
    REQUIRE(store_->put_documents(changes));
    fold();
  }

  /// The store was put back, and shows it now.
  void begin_epoch(uint32_t epoch) {
    const auto origin =
        store_->ensure_origin({.collector = collector_->public_key().id().hex(), .log = "l"});
    const auto made = sign_statement(LeafKind::epoch, "{}", *collector_).value();
    REQUIRE(
        store_->begin_epoch({.expected_epoch = origin->epoch,
                             .expected_leaves = store_->log_head()->size,
                             .epoch = epoch,
                             .statement = {.kind = made.kind, .id = made.id, .sealed = made.bytes},
                             .exceptions = {}}));
  }
  void resume_rating(uint32_t epoch) {
    REQUIRE(store_->put_recovery_mode({.resumed_epoch = epoch, .resume_reason = "looked at"}));
  }

  void heartbeat(std::string_view complete_through) {
    heartbeat(complete_through, complete_through);
  }
  void heartbeat(std::string_view complete_through, std::string_view received_at) {
    Heartbeat beat;
    beat.stream = stream_;
    beat.number = ++heartbeat_;
    beat.next_seq = next_seq_;
    beat.complete_through = at(complete_through);
    const Bytes signed_bytes = sign(payload_type::kHeartbeat, encode(beat), *signer_).value();
    REQUIRE(
        store_->put_heartbeats(std::array{HeartbeatPut{beat, at(received_at), {}, signed_bytes}}));
  }

  /// Steps until nothing is left to do at that instant.
  CommerceReport step(std::string_view now) {
    CommerceReport all;
    for (int i = 0; i < 1000; ++i) {
      const auto report = runner_->step(at(now));
      INFO((report ? "" : report.error().text()));
      REQUIRE(report);
      all.documents.insert(all.documents.end(), report->documents.begin(), report->documents.end());
      all.periods_closed += report->periods_closed;
      all.periods_adjusted += report->periods_adjusted;
      all.touches_settled += report->touches_settled;
      all.held = report->held;
      all.exceptions_written += report->exceptions_written;
      if (!report->more) return all;
    }
    FAIL("the commercial step never ends");
    return all;
  }

  /// "kind subject count value" of the open ones.
  std::vector<std::string> open_exceptions() {
    std::vector<std::string> out;
    const auto rows = store_->list_exceptions({}).value();
    for (const ExceptionRow& row : rows) {
      out.push_back(row.kind + " " + row.subject + " " + std::to_string(row.count) + " " +
                    row.value.text());
    }
    std::sort(out.begin(), out.end());
    return out;
  }

 private:
  void enroll() {
    stream_ = StreamId::from(std::string_view("0123456789abcdef")).value();
    NewStream stream;
    stream.grant.tenant = "demo";
    stream.grant.device = "app-1";
    stream.grant.stream = stream_;
    stream.grant.key = signer_->public_key().id();
    stream.grant_id = grant_id(encode(stream.grant));
    stream.signed_grant = sign(payload_type::kGrant, encode(stream.grant), *collector_).value();
    head_ = stream.grant_id;
    DeviceEnrolment enrolment{.tenant = "demo",
                              .device = "app-1",
                              .key = {},
                              .streams = {stream},
                              .closes = {},
                              .at = {}};
    enrolment.key.id = signer_->public_key().id();
    enrolment.key.public_key = signer_->public_key().der();
    REQUIRE(store_->put_device(enrolment));
  }

  std::shared_ptr<MemoryDatabase> database_ = make_memory_database();
  std::unique_ptr<Store> store_;
  ChangedSeries changed_;
  Folder folder_;
  CommerceOptions options_;
  std::unique_ptr<Signer> collector_;
  std::unique_ptr<Signer> signer_;  // the device's
  std::unique_ptr<CommerceRunner> runner_;
  MeterRows rows_;
  StreamId stream_;
  BatchId head_;
  BatchNumber number_ = 0;
  Seq next_seq_ = 1;
  uint64_t heartbeat_ = 0;
  std::map<uint32_t, Int128> totals_;
};

}  // namespace ledgerline::collector
