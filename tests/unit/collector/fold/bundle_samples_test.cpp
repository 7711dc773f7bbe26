// Hidden: test-collector-fold "[.samples]" writes good and damaged bundles of random worlds with
// their keys into the folder LEDGERLINE_SAMPLES, for two verifiers to agree on (tests/audit/agree);
// "[.month]" prints size and time of one line over a month of one device at 1 Hz.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>

#include "collector/core/correction.h"
#include "collector/core/gap_acceptance.h"
#include "tests/unit/collector/fold/bundle_forgeries.h"

namespace ledgerline::collector {
namespace {

namespace fs = std::filesystem;

constexpr int kWorlds = 200;

class Dice {
 public:
  explicit Dice(uint32_t seed) : random_(seed) {}
  int64_t upto(int64_t max) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(max)); }
  bool one_in(int64_t n) { return upto(n) == 0; }

 private:
  std::mt19937 random_;
};

std::string minute(int64_t minutes, int64_t seconds = 0) {
  const int64_t ms = at("2026-01-05T10:00:00Z").unix_ms() + (minutes * 60 + seconds) * 1000;
  return to_rfc3339(Timestamp(ms));
}

std::string priced(Dice& dice) {
  std::string text = bundle_catalog();
  const std::string flat = "unit_price = \"0.01\"";
  if (dice.one_in(2)) {
    text = with(text, flat,
                "included = \"" + std::to_string(dice.upto(40)) + "\"\n  tiers = [ { up_to = \"" +
                    std::to_string(1 + dice.upto(60)) + "\", unit_price = \"0.0" +
                    std::to_string(1 + dice.upto(999)) + "\" }, { unit_price = \"0.00" +
                    std::to_string(1 + dice.upto(99)) + "\" } ]");
  } else {
    text = with(text, flat,
                "unit_price = \"" + std::to_string(dice.upto(3)) + ".0" +
                    std::to_string(1 + dice.upto(99)) + "\"");
  }
  return text;
}

class RandomWorld : public Proven {
 public:
  explicit RandomWorld(uint32_t seed) : RandomWorld(Dice(seed)) {}

  Bytes some_bundle() { return bundle(billed_, dice_.one_in(3) ? 0 : 1); }

 private:
  explicit RandomWorld(Dice dice)
      : Proven(dice.one_in(3) ? Sections::one : Sections::by_subject, priced(dice)), dice_(dice) {
    for (int64_t n = 1 + dice_.upto(6); n > 0; --n) batch(0, 60);
    record({{"aqua", "2026-01-05T10:59:59.999Z", 1 + dice_.upto(100)}});
    record({{"brio", "2026-01-05T10:59:59.999Z", 1}, {"brio", "2026-01-05T11:00:00Z", 5}});
    if (dice_.one_in(4)) correct();
    end();
    documents = step("2026-01-05T12:10:00Z").documents;
    REQUIRE(documents.size() == 2);
    billed_ = dice_.one_in(4) ? "brio" : "aqua";
    if (dice_.one_in(4)) adjust();
  }

  void batch(int64_t from_minute, int64_t until_minute) {
    std::vector<Sample> samples;
    std::vector<std::string> times;
    const int64_t count = 1 + dice_.upto(8);
    for (int64_t i = 0; i < count; ++i)
      times.push_back(minute(from_minute + dice_.upto(until_minute - from_minute), dice_.upto(60)));
    for (int64_t i = 0; i < count; ++i)
      samples.push_back({.subject = dice_.one_in(3) ? "brio" : "aqua",
                         .time = times[static_cast<size_t>(i)],
                         .value = dice_.upto(100),
                         .meter = dice_.one_in(4) ? 2U : 1U});
    record(samples);
  }

  void end() {
    const std::string promised = minute(dice_.one_in(4) ? 30 : 60);
    heartbeat(promised, "2026-01-05T11:00:00Z");
    if (promised == minute(60)) return;
    GapAcceptance gap;
    gap.tenant = "demo";
    gap.device = "app-1";
    gap.from = at(promised);
    gap.until = at(minute(60));
    gap.by = "ada";
    gap.at = at("2026-01-05T11:30:00Z");
    gap.reason = "burnt";
    say(LeafKind::gap_acceptance, gap.json(), gap.at);
  }

  void correct() {
    Correction correction;
    correction.tenant = "demo";
    correction.device = "app-1";
    correction.subject = "aqua";
    correction.meter = "api.requests";
    correction.unit = "1";
    correction.by = "ada";
    correction.at = at("2026-01-05T11:10:00Z");
    correction.reason = "counted by hand";
    if (dice_.one_in(2)) {
      correction.action = CorrectionAction::add;
      correction.from = at(minute(dice_.upto(60)));
      correction.value = Decimal::integer(1 + dice_.upto(50));
    } else {
      correction.action = CorrectionAction::void_usage;
      correction.from = at(minute(5));
      correction.until = at(minute(5 + 1 + dice_.upto(20)));
    }
    say(LeafKind::correction, correction.json(), correction.at);
  }

  void say(LeafKind kind, const std::string& json, Timestamp when) {
    auto made = sign_statement(kind, json, log_.signer()).value();
    log({.kind = made.kind,
         .id = made.id,
         .sealed = std::move(made.bytes),
         .at = when,
         .expected_count = std::nullopt});
  }

  void adjust() {
    record({{"aqua", "2026-01-05T10:40:00Z", 1 + dice_.upto(50)},
            {"brio", "2026-01-05T10:41:00Z", 1 + dice_.upto(50)}});
    step("2026-01-05T13:00:00Z");
    // Nothing to adjust where the amount stays the same.
    for (const DocumentRow& row : step("2026-01-05T15:00:00Z").documents) {
      if (row.account == billed_) documents = {row};
    }
  }

  Dice dice_;
  std::string billed_;
};

void write(const fs::path& path, std::string_view text) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file << text;
  REQUIRE(file.good());
}

void write_keys(const fs::path& folder, const VerifyKeys& keys) {
  const auto pem = [](const PublicKey& key) { return pem_encode("PUBLIC KEY", key.der()); };
  write(folder / "collector.pem", pem(keys.collectors.at(0)));
  for (const auto& [name, known] : keys.operators)
    write(folder / "operators" / (name + ".pem"), pem(known.at(0)));
  for (const auto& [name, known] : keys.devices)
    write(folder / "devices" / (name + ".pem"), pem(known.at(0)));
}

/// A bit of a byte of the bundle, or what who holds the collector's key might try.
Bytes damaged(uint32_t seed, const Bytes& good, fs::path keys) {
  Dice dice(seed);
  if (seed % 2 == 0) {
    Bytes out = good;
    out[static_cast<size_t>(dice.upto(static_cast<int64_t>(out.size())))] ^=
        static_cast<uint8_t>(1U << dice.upto(8));
    return out;
  }
  Proven world;
  world.bill();
  write_keys(keys, world.keys_);
  const auto all = forgeries();
  return all[seed / 2 % all.size()].make(world);
}

TEST_CASE("bundles for two verifiers to agree on", "[.samples]") {
  const char* folder = std::getenv("LEDGERLINE_SAMPLES");
  REQUIRE(folder != nullptr);
  for (uint32_t seed = 1; seed <= kWorlds; ++seed) {
    INFO("seed " << seed);
    RandomWorld world(seed);
    const Bytes good = world.some_bundle();
    const VerifyReport report = world.verified(good);
    INFO(report.failure);
    CHECK(report.holds());
    const fs::path good_folder = fs::path(folder) / ("good-" + std::to_string(seed));
    write_keys(good_folder / "keys", world.keys_);
    write(good_folder / "line.bundle", text_of(good));
    const fs::path bad_folder = fs::path(folder) / ("damaged-" + std::to_string(seed));
    write_keys(bad_folder / "keys", world.keys_);
    write(bad_folder / "line.bundle", text_of(damaged(seed, good, bad_folder / "keys")));
  }
}

/// One batch of `count` readings a second apart, as an agent at 1 Hz seals them.
void record_seconds(Proven& world, Dice& noise, int64_t first_second, int64_t count,
                    const std::string& begin) {
  std::vector<std::string> times;
  std::vector<Sample> samples;
  const int64_t start = at(begin).unix_ms();
  for (int64_t i = 0; i < count; ++i)
    times.push_back(to_rfc3339(Timestamp(start + (first_second + i) * 1000)));
  for (const std::string& time : times)
    samples.push_back({.subject = "aqua", .time = time, .value = noise.upto(1000)});
  world.record(samples);
}

std::string billed_by_the_month() {
  std::string text = bundle_catalog();
  const std::vector<std::pair<std::string, std::string>> changes{
      {"\"PT1H\"", "\"P1M\""},
      {"2026-01-05T10:00:00Z", "2025-12-01"},
      {"2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z"}};
  for (const auto& [from, to] : changes) {
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at))
      text.replace(at, from.size(), to);
  }
  return text;
}

TEST_CASE("a line over a month of one device at 1 Hz", "[.month]") {
  const std::string begin = "2025-11-30T23:00:00Z";
  constexpr int64_t kSeconds = int64_t{31} * 86'400;
  for (const int64_t per_batch : {60, 900}) {
    Proven world(Sections::one, billed_by_the_month());
    Dice noise(1);
    for (int64_t second = 0; second < kSeconds; second += per_batch)
      record_seconds(world, noise, second, per_batch, begin);
    world.heartbeat("2025-12-31T23:00:00Z");
    world.documents = world.step("2026-01-06T00:01:00Z").documents;
    REQUIRE(world.documents.size() == 1);
    const auto seconds = [](const std::function<void()>& what) {
      const auto start = std::chrono::steady_clock::now();
      what();
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    Bytes made;
    const double making = seconds([&] { made = world.bundle(); });
    VerifyReport report;
    const double verifying = seconds([&] { report = world.verified(made); });
    INFO(report.failure);
    CHECK(report.holds());
    std::cout << kSeconds << " readings, " << per_batch << " per batch: bundle " << made.size()
              << " bytes (" << static_cast<double>(made.size()) / static_cast<double>(kSeconds)
              << " per reading), made in " << making << " s, verified in " << verifying << " s ("
              << static_cast<double>(kSeconds) / verifying / 1e6 << " M readings/s)\n";
  }
}

}  // namespace
}  // namespace ledgerline::collector
