// The same batches in any order, on time or late, come to one ledger and to equal bills.
#include <algorithm>
#include <array>
#include <map>
#include <random>

#include "collector/core/ledger.h"
#include "collector/fold/commerce_runner.h"
#include "collector/fold/folder.h"
#include "collector/store/memory_store.h"
#include "tests/unit/collector/fold/fold_device.h"
#include "tests/unit/collector/fold/fold_world.h"

namespace ledgerline::collector {
namespace {

constexpr int kDevices = 20;
constexpr int kBatches = 8;    // of each device
constexpr int kReadings = 20;  // of each batch
constexpr int kOrders = 5;
constexpr int64_t kEnd = kNoon + 3 * 3'600'000;
constexpr Duration kHour = std::chrono::hours(1);

/// Three customers with other periods each; the third pays by the minute.
std::string catalog_text() {
  std::string out = R"(
[[meter]]
name = "requests"
unit = "1"
kind = "delta"
aggregation = "sum"
[[meter]]
name = "level"
unit = "By"
kind = "gauge"
aggregation = "max"
[[rate_card]]
name = "standard"
version = 3
currency = "EUR"
from = "2025-01-01T00:00:00Z"
  [[rate_card.price]]
  meter = "requests"
  product = "R"
  included = "40"
  tiers = [ { up_to = "500", unit_price = "0.0333" }, { unit_price = "0.0071" } ]
  [[rate_card.price]]
  meter = "level"
  product = "L"
  unit_price = "0.013"
)";
  const std::vector<std::pair<std::string, std::string>> customers{
      {"a", "PT1H"}, {"b", "PT15M"}, {"c", "PT1M"}};
  for (const auto& [name, period] : customers) {
    out += "[[account]]\nname = \"" + name + "\"\nexternal = \"" + name +
           "\"\n[[contract]]\nname = \"" + name + "\"\naccount = \"" + name +
           "\"\nconnector = \"tryton\"\ncurrency = \"EUR\"\ntime_zone = \"UTC\"\n"
           "anchor = \"2026-01-01T12:00:00Z\"\nuntil = \"2026-01-01T15:00:00Z\"\nperiod = \"" +
           period + "\"\napproval = \"auto\"\n  [[contract.subscription]]\n  name = \"" + name +
           "\"\n  rate_card = \"standard\"\n";
    for (int device = 0; device < kDevices; ++device)
      out += "[[link]]\ndevice = \"d" + std::to_string(device) + "\"\nsubject = \"" + name +
             "\"\nsubscription = \"" + name + "\"\nfrom = \"2026-01-01T00:00:00Z\"\n";
  }
  return out;
}

struct Fleet {
  std::vector<FoldDevice> devices;
  std::vector<std::vector<SealedBatch>> batches;  // by device, in their order
};

Fleet sealed_fleet(std::mt19937& random) {
  Fleet out;
  const auto up_to = [&random](int64_t max) { return static_cast<int64_t>(random() % max); };
  for (int i = 0; i < kDevices; ++i) {
    FoldDevice device(static_cast<uint8_t>(i + 1), "d" + std::to_string(i));
    std::vector<SealedBatch> batches;
    for (int n = 0; n < kBatches; ++n) {
      std::vector<Reading> readings;
      for (int r = 0; r < kReadings; ++r) {
        // "c" uses so little that most of its minutes are empty, and close many in one row.
        const std::string subject = up_to(60) == 0 ? "c" : up_to(2) == 0 ? "a" : "b";
        readings.push_back(FoldDevice::reading(up_to(50), kNoon + up_to(kEnd - kNoon), subject,
                                               up_to(5) == 0 ? 2 : 1));
      }
      batches.push_back(device.seal(readings));
    }
    out.batches.push_back(std::move(batches));
    out.devices.push_back(std::move(device));
  }
  return out;
}

struct Outcome {
  Digest hash;
  size_t rows = 0;
  std::map<std::string, std::string> bills;  // by account: what all its documents add up to
  size_t adjustments = 0;
};

class Collector {
 public:
  explicit Collector(const Fleet& fleet) : fleet_(fleet) {
    for (const FoldDevice& device : fleet_.devices) enroll(*store_, device);
    next_.resize(fleet_.devices.size());
  }

  /// The device's next batch.
  void take(size_t device) {
    const StreamRow row = value_of(store_->stream(fleet_.devices[device].stream()));
    const SealedBatch& batch = fleet_.batches[device][next_[device]++];
    AdmitChange change;
    change.stream = row.grant.stream;
    change.expected_revision = row.revision;
    change.links = {{.number = row.head_number + 1,
                     .id = batch.id,
                     .sealed = batch.bytes,
                     .received_at = Timestamp(kEnd)}};
    value_of(store_->admit(std::span(&change, 1)));
    REQUIRE(folder_.run_to_end());
  }

  /// Every device promises all before that instant, whether or not it holds.
  void promise(Timestamp through) {
    ++heartbeat_;
    for (const FoldDevice& device : fleet_.devices) {
      const auto progress = value_of(store_->progress("demo", device.name()));
      Heartbeat beat;
      beat.stream = device.stream();
      beat.number = heartbeat_;
      beat.next_seq = progress.at(0).folded_seq + 1;
      beat.complete_through = through;
      value_of(store_->put_heartbeats(std::array{HeartbeatPut{beat, through, {}}}));
    }
  }

  void step(Timestamp now) {
    for (int i = 0; i < 10'000; ++i) {
      const auto report = value_of(runner_.step(now));
      REQUIRE(report.failed.empty());
      if (!report.more) return;
    }
    FAIL("the commercial step never ends");
  }

  Outcome outcome() {
    Outcome out;
    std::vector<std::string> texts;
    PeriodRow last;
    for (bool more = true; more;) {
      const auto page =
          value_of(store_->list_all_periods(last.tenant, last.contract, last.from, 100));
      for (const PeriodRow& row : page) {
        for (const LedgerRow& line : value_of(ledger_rows(row))) texts.push_back(line.text());
      }
      more = page.size() == 100;
      if (more) last = page.back();
    }
    out.rows = texts.size();
    out.hash = ledger_hash(std::move(texts));
    std::map<std::string, Decimal> sums;
    for (const DocumentRow& document : value_of(store_->list_documents({.limit = 100'000}))) {
      Decimal& sum = sums[document.account];
      sum = value_of(add(sum, document.total));
      if (document.kind == kAdjustment) ++out.adjustments;
    }
    for (const auto& [account, sum] : sums) out.bills[account] = sum.text();
    CHECK(value_of(store_->list_exceptions({})).empty());
    return out;
  }

 private:
  static Catalog read() { return value_of(Catalog::read({{"c.toml", catalog_text()}})); }

  const Fleet& fleet_;
  std::shared_ptr<MemoryDatabase> database_ = make_memory_database();
  std::unique_ptr<Store> store_ = open_memory_store(database_);
  ChangedSeries changed_;
  Folder folder_{*store_, {}, &changed_};
  std::unique_ptr<Signer> signer_ =
      value_of(signer_from_pem(value_of(generate_private_key_pem(KeyAlgorithm::ed25519))));
  CommerceRunner runner_{*store_, *signer_, read(), {.zone_database = "test"}, &changed_};
  std::vector<size_t> next_;
  uint64_t heartbeat_ = 0;
};

/// Which device's next batch comes when.
std::vector<size_t> any_order(std::mt19937& random) {
  std::vector<size_t> out;
  for (int i = 0; i < kDevices; ++i) out.insert(out.end(), kBatches, static_cast<size_t>(i));
  std::shuffle(out.begin(), out.end(), random);
  return out;
}

Outcome all_on_time(const Fleet& fleet) {
  Collector collector(fleet);
  for (size_t device = 0; device < fleet.devices.size(); ++device)
    for (int n = 0; n < kBatches; ++n) collector.take(device);
  collector.promise(Timestamp(kEnd));
  collector.step(Timestamp(kEnd) + kHour);
  return collector.outcome();
}

/// Closes in two steps somewhere in the order; what comes after each is late, and is adjusted in
/// between now and then.
Outcome in_any_order(const Fleet& fleet, std::mt19937& random) {
  Collector collector(fleet);
  const auto order = any_order(random);
  const auto half = Timestamp(kNoon + static_cast<int64_t>(random() % (kEnd - kNoon)));
  size_t first_cut = random() % order.size();
  size_t last_cut = random() % order.size();
  if (last_cut < first_cut) std::swap(first_cut, last_cut);
  Timestamp now = Timestamp(kEnd) + kHour;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == first_cut) collector.promise(half);
    if (i == last_cut) collector.promise(Timestamp(kEnd));
    if (i == first_cut || i == last_cut || random() % 10 == 0) {
      now = now + Duration(static_cast<int64_t>(random() % 3'600'000));
      collector.step(now);
    }
    collector.take(order[i]);
  }
  collector.step(now);
  collector.step(now + kHour);
  return collector.outcome();
}

TEST_CASE("any order of arrival, on time or late, gives one ledger and equal bills") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const Fleet fleet = sealed_fleet(random);
  const Outcome expected = all_on_time(fleet);
  CHECK(expected.adjustments == 0);
  CHECK(expected.rows > 40);

  size_t adjustments = 0;
  for (int order = 0; order < kOrders; ++order) {
    INFO("order " << order);
    const Outcome outcome = in_any_order(fleet, random);
    CHECK(outcome.hash == expected.hash);
    CHECK(outcome.rows == expected.rows);
    CHECK(outcome.bills == expected.bills);
    adjustments += outcome.adjustments;
  }
  CHECK(adjustments > 0);
}

}  // namespace
}  // namespace ledgerline::collector
