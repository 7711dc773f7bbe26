#pragma once
// A journal in a folder of its own, with a clock, a disk and salts that the test decides.

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>

#include "agent/journal/journal.h"

namespace ledgerline::agent::test {

class FakeClock final : public Clock {
 public:
  Timestamp now() override { return wall; }
  Monotonic monotonic() override { return mono; }
  void advance(Duration by) {
    wall = wall + by;
    mono = mono + by;
  }
  Timestamp wall{1'800'000'000'000};
  Monotonic mono{5'000'000};
};

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "journal-test-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::unique_ptr<Signer> new_signer() {
  const auto pem = generate_private_key_pem(KeyAlgorithm::ed25519);
  REQUIRE(pem.has_value());
  auto signer = signer_from_pem(*pem);
  REQUIRE(signer.has_value());
  return std::move(*signer);
}

inline RecordItem calls(int64_t value, std::string key = "") {
  return {.reading = {.meter = 1, .subject = "aqua", .time_ms = 1'800'000'000'000, .value = value},
          .key = std::move(key)};
}

inline RecordItem raw(int64_t value) {
  return {.reading = {.meter = 2, .time_ms = 1'800'000'000'000, .register_value = value},
          .key = ""};
}

inline RecordItem level(int64_t value) {
  return {.reading = {.meter = 3, .time_ms = 1'800'000'000'000, .value = value}, .key = ""};
}

inline RecordRequest request(std::vector<RecordItem> items, std::string key = "") {
  return {.items = std::move(items), .request_key = std::move(key)};
}

class Device {
 public:
  explicit Device(JournalOptions options_in = {}, StreamClass stream_class = StreamClass::billing)
      : options(std::move(options_in)) {
    options.folder = folder.path() + "/journal";
    grant = {.tenant = "demo",
             .device = "app-1",
             .stream_class = stream_class,
             .stream = *StreamId::from(std::string_view("0123456789abcdef")),
             .partition = 7,
             .key = signer->public_key().id(),
             .issued_at = Timestamp(1'790'000'000'000)};
    grant_body = encode(grant);
    open();
  }

  /// As a start of the agent: opens what is there and boots.
  void open() {
    journal.reset();
    auto opened = Journal::open(options, clock);
    if (!opened) FAIL(opened.error().text());
    journal = std::move(*opened);
    REQUIRE(journal->install_grant(grant, grant_body).has_value());
    boot();
  }

  void boot() {
    ++boots;
    const Boot record{.boot_id = *BootId::from(std::string(16, static_cast<char>(boots))),
                      .software = "test",
                      .configuration_hash = Digest(),
                      .meters = {{.name = "calls", .unit = "1"},
                                 {.name = "bytes", .unit = "By", .kind = MeterKind::register_},
                                 {.name = "level", .unit = "1", .kind = MeterKind::gauge}},
                      .clocks = clocks(),
                      .machine = machine};
    const auto numbered = journal->begin_boot(record);
    if (!numbered) FAIL(numbered.error().text());
  }

  [[nodiscard]] ClockAnchor clocks() const {
    return {.monotonic = clock.mono, .wall = clock.wall, .synchronised = synchronised};
  }
  ClockVerdict observe_clocks() {
    const auto news = journal->observe_clocks(clocks());
    if (!news) FAIL(news.error().text());
    return *news;
  }

  RecordResult record(RecordRequest one) {
    auto answers = journal->record(std::span(&one, 1));
    if (!answers) FAIL(answers.error().text());
    REQUIRE(answers->size() == 1);
    return std::move(answers->front());
  }
  std::vector<Seq> seqs(RecordRequest one) {
    const auto answer = record(std::move(one));
    if (!answer) FAIL(answer.error().message);
    return answer->seqs;
  }

  size_t seal(SealWhen when = SealWhen::now) {
    const auto sealed = journal->seal(when, *signer);
    if (!sealed) FAIL(sealed.error().text());
    return *sealed;
  }

  /// All kept batches, read as a collector would.
  std::vector<StoredBatch> batches(BatchNumber after = 0) {
    std::vector<StoredBatch> out;
    for (;;) {
      auto some = journal->batches_after(after + out.size(), {});
      if (!some) FAIL(some.error().text());
      if (some->empty()) return out;
      std::move(some->begin(), some->end(), std::back_inserter(out));
    }
  }

  [[nodiscard]] Receipt receipt(uint64_t number, BatchNumber upto, const BatchId& chain) const {
    return {.stream = grant.stream, .number = number, .linked_upto = upto, .chain_value = chain};
  }

  JournalStatus status() const {
    const auto status = journal->status();
    if (!status) FAIL(status.error().text());
    return *status;
  }

  void trim_all() {
    for (;;) {
      const auto more = journal->trim();
      if (!more) FAIL(more.error().text());
      if (!*more) return;
    }
  }

  TemporaryFolder folder;
  FakeClock clock;
  bool synchronised = false;
  std::string machine;
  std::unique_ptr<Signer> signer = new_signer();
  JournalOptions options;
  StreamGrant grant;
  Bytes grant_body;
  std::unique_ptr<Journal> journal;
  int boots = 0;
};

/// What a collector finds: every batch signed, chained, adding up. Returns the values by seq,
/// from 1.
inline std::vector<int64_t> verified_values(Device& device, Totals* totals_out = nullptr) {
  std::vector<int64_t> out;
  MeterRows meters;
  std::map<uint32_t, Int128> totals;
  BatchId previous = grant_id(device.grant_body);
  BatchNumber number = 0;
  for (const auto& stored : device.batches()) {
    const auto open = open_envelope(stored.sealed);
    REQUIRE(open.has_value());
    REQUIRE(verify_envelope(*open, device.signer->public_key()).has_value());
    REQUIRE(open->manifest.number == ++number);
    REQUIRE(open->manifest.previous == previous);
    REQUIRE(open->manifest.first_seq == out.size() + 1);
    REQUIRE(open->id == stored.id);
    const auto columns = open_columns(*open, meters);
    if (!columns) FAIL(columns.error().text());
    REQUIRE(apply_meter_tables(columns->records, meters).has_value());
    for (size_t i = 0; i < columns->size(); ++i) {
      out.push_back(columns->values[i]);
      totals[columns->meters[i]] += columns->values[i];
    }
    REQUIRE(open->manifest.totals == Totals(totals.begin(), totals.end()));
    previous = open->id;
  }
  if (totals_out != nullptr) totals_out->assign(totals.begin(), totals.end());
  return out;
}

}  // namespace ledgerline::agent::test
