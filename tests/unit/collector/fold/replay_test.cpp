// The ledger built again from the log is the one that is there; where the store was edited, the
// replay says what.
#include "collector/fold/replay.h"

#include <unistd.h>

#include <filesystem>

#include "collector/core/approvals.h"
#include "collector/core/closing.h"
#include "collector/core/correction.h"
#include "collector/core/gap_acceptance.h"
#include "collector/core/replay.h"
#include "collector/store/keys.h"
#include "collector/store/lmdb_store.h"
#include "collector/store/record_codec.h"
#include "common/crc32c.h"
#include "common/io/lmdb.h"
#include "tests/unit/collector/fold/catalog_log.h"
#include "tests/unit/collector/fold/commerce_catalog.h"
#include "tests/unit/collector/fold/commerce_world.h"
#include "tests/unit/collector/fold/fold_device.h"

namespace ledgerline::collector {
namespace {

using Catch::Contains;

constexpr uint64_t kMapSize = uint64_t{64} << 20;

const std::string kOther = R"(
[[account]]
name = "brio"
external = "C-1002"
[[contract]]
name = "brio-2026"
account = "brio"
connector = "tryton"
currency = "EUR"
time_zone = "Europe/Brussels"
anchor = "2026-01-05T10:00:00Z"
period = "PT15M"
grace = "10s"
  [[contract.subscription]]
  name = "brio-api"
  rate_card = "standard"
[[link]]
device = "app-1"
subject = "brio"
subscription = "brio-api"
from = "2026-01-01T00:00:00Z"
)";

std::string catalog_text() {
  return "tenant = \"demo\"\n" + commercial("PT1H", "manual") + link("aqua", kFrom) + kOther;
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    name_ = (std::filesystem::temp_directory_path() / "ledgerline-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name_.data()) != nullptr);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(name_); }
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  std::string name_;
};

std::unique_ptr<Store> open_in(const TemporaryFolder& folder) {
  auto store =
      open_lmdb_store({.folder = folder.name(), .map_size_bytes = kMapSize, .scratch = true});
  INFO((store ? "" : store.error().text()));
  REQUIRE(store);
  return std::move(*store);
}

/// A collector whose operator logs the catalog, corrects, accepts a gap and approves.
class Live : public CommerceWorld {
 public:
  explicit Live(std::unique_ptr<Store> store)
      : CommerceWorld(catalog_text(), {.zone_database = "test"}, std::move(store)) {
    REQUIRE(this->store().ensure_origin(
        {.collector = collector().public_key().id().hex(), .log = "ledgerline", .epoch = 1}));
    load(catalog_text());
  }

  void load(const std::string& text) {
    REQUIRE(ada_.log(read(text)));
    fold();
    LoggedCatalog logged(store());
    REQUIRE(logged.refresh());
    runner().set_catalog(*logged.catalog().value());
  }

  void say(LeafKind kind, const std::string& json) { log(ada_.say(kind, json)); }

  void void_usage(std::string_view from, std::string_view until) {
    Correction out;
    out.tenant = "demo";
    out.action = CorrectionAction::void_usage;
    out.device = "app-1";
    out.subject = "aqua";
    out.meter = "api.requests";
    out.unit = "1";
    out.from = at(from);
    out.until = at(until);
    out.by = "ada";
    out.at = now_;
    out.reason = "calibration";
    say(LeafKind::correction, out.json());
  }

  void accept_gap(std::string_view from, std::string_view until) {
    GapAcceptance gap;
    gap.tenant = "demo";
    gap.device = "app-1";
    gap.from = at(from);
    gap.until = at(until);
    gap.by = "ada";
    gap.at = now_;
    gap.reason = "burnt";
    say(LeafKind::gap_acceptance, gap.json());
  }

  void approve_all() {
    const auto documents = store().list_documents({}).value();
    for (const DocumentRow& document : documents)
      say(LeafKind::approval, decision_about(document, true, "ada", now_, "").json());
  }

  /// Two contracts; late readings, a void of a closed period, a new version of the catalog, a gap;
  /// batches in the log that the closes had not folded yet.
  void history() {
    record({{"aqua", "2026-01-05T10:10:00Z", 60}, {"brio", "2026-01-05T10:11:00Z", 4}});
    record({{"aqua", "2026-01-05T10:20:00Z", 40}});
    heartbeat("2026-01-05T11:00:00Z");
    admit({{"aqua", "2026-01-05T10:25:00Z", 5}, {"brio", "2026-01-05T10:26:00Z", 3}});
    REQUIRE(step("2026-01-05T11:00:20Z").periods_closed >= 2);
    fold();
    step("2026-01-05T11:01:00Z");
    void_usage("2026-01-05T10:15:00Z", "2026-01-05T10:22:00Z");
    step("2026-01-05T11:02:00Z");
    REQUIRE(step("2026-01-05T12:30:00Z").periods_adjusted >= 2);
    load(catalog_text() + link("cora", kFrom));
    record({{"cora", "2026-01-05T11:10:00Z", 10}, {"brio", "2026-01-05T11:20:00Z", 9}});
    heartbeat("2026-01-05T11:40:00Z");
    accept_gap("2026-01-05T11:40:00Z", "2026-01-05T12:30:00Z");
    REQUIRE(step("2026-01-05T12:31:00Z").periods_closed >= 3);
    approve_all();
  }

 private:
  CatalogLog ada_{store(), &collector()};
  Timestamp now_ = ada_.now();
};

/// What a live collector left behind, to be edited and replayed.
class Left {
 public:
  explicit Left(const std::function<void(Live&)>& history = &Live::history) {
    Live live(open_in(folder_));
    history(live);
    collector_ = live.collector().public_key();
  }

  ReplayReport replayed() {
    const auto source = open_in(folder_);
    const TemporaryFolder folder;
    const auto target = open_in(folder);
    const auto report = replay(*source, *target, *collector_);
    INFO((report ? "" : report.error().text()));
    REQUIRE(report);
    if (report->equal()) check_logs(*source, *target);
    return *report;
  }
  /// All of them, a line each.
  std::string findings() {
    const ReplayReport report = replayed();
    CHECK_FALSE(report.equal());
    std::string out;
    for (const std::string& finding : report.findings) out += finding + "\n";
    return out;
  }

  template <class T>
  void edit(const Key& key, const std::function<void(T&)>& change) {
    with_rows([&](io::LmdbTxn& txn) {
      const auto stored = txn.get(key).value();
      REQUIRE(stored);
      T row = decode_record<T>(checked(key, *stored).value()).value();
      change(row);
      REQUIRE(txn.put(key, with_checksum(key, encode_record(row))));
    });
  }
  void remove(const Key& key) {
    with_rows([&](io::LmdbTxn& txn) { REQUIRE(txn.erase(key).value()); });
  }

 private:
  void with_rows(const std::function<void(io::LmdbTxn&)>& work) {
    auto env = io::LmdbEnv::open({.folder = folder_.name(), .map_size_bytes = kMapSize});
    REQUIRE(env);
    auto txn = env->begin_write();
    REQUIRE(txn);
    work(*txn);
    REQUIRE(txn->commit());
  }

  /// Byte for byte, so that bundles of either are the same.
  static void check_logs(Store& source, Store& target) {
    CHECK(source.log_head().value() == target.log_head().value());
    CHECK(source.read_log(0, {.count = 1000}).value() ==
          target.read_log(0, {.count = 1000}).value());
    const auto there = source.list_documents({}).value();
    const auto here = target.list_documents({}).value();
    REQUIRE(there.size() == here.size());
    for (size_t i = 0; i < there.size(); ++i) CHECK(there[i].body == here[i].body);
  }

  TemporaryFolder folder_;
  std::optional<PublicKey> collector_;
};

Key leaf_key(LeafNumber leaf) { return Key(Table::leaf).u64(leaf); }

LogEntry newest(Store& store, LeafKind kind) { return store.statements(kind).value().back(); }

TEST_CASE("a replay comes to the same log, documents and ledger", "[replay]") {
  const ReplayReport report = Left().replayed();

  CHECK(report.findings == std::vector<std::string>());
  CHECK(report.equal());
  CHECK(report.rows == 5);
  CHECK(report.there == report.here);
  CHECK(report.batches == 4);
  CHECK(report.readings == 7);
  CHECK(report.bookings >= 7);
}

TEST_CASE("a replay says which period of the store was edited by one cent", "[replay]") {
  Left left;
  const Timestamp from = at("2026-01-05T10:00:00Z");
  left.edit<PeriodRow>(Key(Table::period).text("demo").text("aqua-2026").time(from),
                       [](PeriodRow& row) {
                         auto detail = PeriodDetail::parse(row.detail).value();
                         Decimal& amount = detail.lines.at(0).tiers.at(0).amount;
                         amount = add(amount, Decimal(1, 2)).value();
                         row.detail = detail.json();
                       });
  CHECK_THAT(left.findings(),
             Contains("ledger: tenant demo, subscription aqua-api, period 2026-01-05T10:00:00.000Z "
                      "to 2026-01-05T11:00:00.000Z, meter api.requests: there 65 = 0.66 by rate "
                      "card standard version 1, here 65 = 0.65"));
}

TEST_CASE("a replay says which document of the store was edited", "[replay]") {
  DocumentRow bill;
  Left left([&](Live& live) {
    live.history();
    bill = live.store().list_documents({.contract = "aqua-2026"}).value().front();
  });
  SECTION("its body") {
    left.edit<DocumentRow>(Key(Table::document).text(bill.id).u32(1), [](DocumentRow& row) {
      row.body.replace(row.body.find("\"amount\":\"") + 10, 1, "9");
    });
    CHECK_THAT(left.findings(), Contains(bill.id + " revision 1 is not the one"));
  }
  SECTION("its total") {
    left.edit<DocumentRow>(Key(Table::document).text(bill.id).u32(1), [](DocumentRow& row) {
      row.total = add(row.total, Decimal(1, 2)).value();
    });
    CHECK_THAT(left.findings(), Contains(bill.id + " revision 1: total there "));
  }
}

TEST_CASE("a replay says which usage of the store was edited", "[replay]") {
  Left left;
  const auto quarter = QuarterHour::of(at("2026-01-05T10:10:00Z"));
  left.edit<UsageValue>(Key(Table::usage).u64(1).quarter(quarter),
                        [](UsageValue& value) { value.sum += 1; });
  CHECK_THAT(left.findings(), Contains("usage of device app-1, subject aqua, meter api.requests, "
                                       "2026-01-05T10:00:00.000Z: there 61 of 1 readings, here 60 "
                                       "of 1 readings"));
}

TEST_CASE("a replay names the leaf whose bytes were edited", "[replay]") {
  Left left;
  LeafNumber batch = 0;
  SECTION("under a right checksum") {
    batch = 3;
    left.edit<LogEntry>(leaf_key(batch),
                        [](LogEntry& leaf) { leaf.sealed.at(leaf.sealed.size() / 2) ^= 1; });
  }
  SECTION("with bytes of another batch") {
    batch = 3;
    LogEntry other;
    left.edit<LogEntry>(leaf_key(4), [&](LogEntry& leaf) { other = leaf; });
    left.edit<LogEntry>(leaf_key(batch), [&](LogEntry& leaf) { leaf.sealed = other.sealed; });
  }
  SECTION("with another batch") {
    batch = 3;
    LogEntry other;
    left.edit<LogEntry>(leaf_key(4), [&](LogEntry& leaf) { other = leaf; });
    left.edit<LogEntry>(leaf_key(batch), [&](LogEntry& leaf) {
      leaf = other;
      leaf.leaf = 3;
    });
  }
  CHECK_THAT(left.findings(), Contains("leaf 3, batch ") && Contains(" of device app-1: "));
}

TEST_CASE("a replay takes a tombstone that reaches back to the first batch, and no other",
          "[replay]") {
  FoldDevice device(1);
  const BatchId head = device.seal({FoldDevice::reading(1)}).id;
  device.seal({FoldDevice::reading(2)});
  const auto taken = [&](const BatchId& previous) {
    const Bytes bytes = device.tombstone(1, 1, previous);
    const Bytes body = open_signed(bytes, payload_type::kTombstone)->body;
    const LogEntry leaf{.leaf = 7,
                        .kind = LeafKind::tombstone,
                        .data = tombstone_id(body),
                        .stream = device.stream(),
                        .number = 2,
                        .sealed = bytes};
    const ReplayedStream stream{.grant = {},
                                .grant_id = device.first_previous(),
                                .key = device.signer().public_key(),
                                .head_number = 1,
                                .head_id = head};
    return check_tombstone(leaf, stream, std::nullopt);
  };

  REQUIRE(taken(device.first_previous()));
  CHECK(taken(device.first_previous())->number == 2);
  CHECK_FALSE(taken(head));
}

TEST_CASE("a replay names the leaf that was removed", "[replay]") {
  Left left;
  SECTION("a hole") {
    left.remove(leaf_key(4));
    CHECK_THAT(left.findings(), Contains("leaf 4 is missing"));
  }
  SECTION("the last one") {
    left.remove(leaf_key(left.replayed().log_leaves - 1));
    CHECK_THAT(left.findings(), Contains(" is missing: the log had "));
  }
}

TEST_CASE("a replay names the close statement that was forged with the collector's key",
          "[replay]") {
  LogEntry forged;
  Left left([&](Live& live) {
    live.history();
    forged = live.store().statements(LeafKind::close).value().front();
    const SealedClose sealed = decode_sealed_close(forged.sealed).value();
    auto close =
        CloseStatement::parse(open_statement(LeafKind::close, sealed.statement)->json).value();
    close.lines.at(0).quantity = Decimal::integer(101);
    const auto made = sign_statement(LeafKind::close, close.json(), live.collector()).value();
    forged.data = made.id;
    forged.sealed = encode_sealed_close({made.bytes, sealed.heartbeats}).value();
  });
  left.edit<LogEntry>(leaf_key(forged.leaf), [&](LogEntry& leaf) { leaf = forged; });

  const std::string findings = left.findings();

  CHECK_THAT(findings, Contains("close 1: contract aqua-2026, period 2026-01-05T10:00:00.000Z to "
                                "2026-01-05T11:00:00.000Z: subscription aqua-api, meter "
                                "api.requests: quantity there 101, here 100"));
  CHECK_THAT(findings, Contains("those that its root was computed from"));
}

TEST_CASE("a replay names the statement that its operator never signed", "[replay]") {
  LogEntry forged;
  Left left([&](Live& live) {
    live.history();
    forged = newest(live.store(), LeafKind::approval);
    const OpenStatement open = open_statement(LeafKind::approval, forged.sealed).value();
    forged.sealed = sign_statement(LeafKind::approval, open.json, live.collector())->bytes;
  });
  left.edit<LogEntry>(leaf_key(forged.leaf), [&](LogEntry& leaf) { leaf = forged; });

  CHECK_THAT(left.findings(), Contains("leaf " + std::to_string(forged.leaf) + ", approval ") &&
                                  Contains("not signed with a key that was then operator ada's"));
}

TEST_CASE("a replay holds the log against the checkpoint that the collector signed", "[replay]") {
  Left left([](Live& live) {
    live.history();
    const LogHead head = live.store().log_head().value();
    const std::string origin = to_string(live.store().log_origin().value());
    const std::string note =
        sign_checkpoint({.origin = origin, .size = head.size + 1, .root = head.root},
                        live.collector())
            .value();
    REQUIRE(live.store().put_checkpoint("", note));
  });
  CHECK_THAT(left.findings(), Contains("leaves were removed at its end"));
}

TEST_CASE("a replay needs an empty store", "[replay]") {
  const TemporaryFolder folder;
  Live live(open_in(folder));
  live.history();
  const auto report = replay(live.store(), live.store(), live.collector().public_key());
  REQUIRE_FALSE(report);
  CHECK(report.error().code() == Errc::config);
}

}  // namespace
}  // namespace ledgerline::collector
