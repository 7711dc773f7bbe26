#include "collector/core/correction.h"

#include <catch2/catch.hpp>

#include "tests/unit/collector/core/catalog_examples.h"

namespace ledgerline::collector {

namespace {

constexpr Timestamp kNow{1'767'268'800'000};  // 2026-01-01T12:00:00Z

Correction added(const std::string& value = "2.50") {
  Correction out;
  out.tenant = "demo";
  out.device = "gw-1";
  out.subject = "pump";
  out.meter = "api.requests";
  out.unit = "1";
  out.from = kNow - std::chrono::hours(1);
  out.value = *Decimal::parse(value);
  out.references = {"ticket 7", "letter of \"May\""};
  out.by = "ann";
  out.at = kNow;
  out.reason = "the counter stood still";
  return out;
}

Correction voided() {
  Correction out = added();
  out.action = CorrectionAction::void_usage;
  out.value.reset();
  out.until = out.from + std::chrono::minutes(20);
  return out;
}

Correction withdrawn(const Digest& id) {
  Correction out = voided();
  out.action = CorrectionAction::withdraw;
  out.withdraws = id;
  return out;
}

LogEntry leaf_of(const std::string& json) {
  const auto signer = *signer_from_pem(*generate_private_key_pem(KeyAlgorithm::ecdsa_p256_sha256));
  const auto statement = *sign_statement(LeafKind::correction, json, *signer);
  LogEntry out;
  out.leaf = 7;
  out.kind = LeafKind::correction;
  out.data = statement.id;
  out.received_at = kNow;
  out.sealed = statement.bytes;
  return out;
}

Digest digest(const char* text) { return sha256(bytes_of(std::string_view(text))); }

SeriesKey series(const std::string& subject = "pump", const std::string& meter = "api.requests") {
  return {.tenant = "demo", .device = "gw-1", .subject = subject, .meter = meter, .unit = "1"};
}

CorrectionRow row_of(const Correction& correction, const Digest& id) {
  return {.id = id,
          .tenant = correction.tenant,
          .device = correction.device,
          .subject = correction.subject,
          .meter = correction.meter,
          .action = correction.action,
          .from = correction.from,
          .until = correction.until.value_or(correction.from + Duration(1)),
          .withdraws = correction.withdraws,
          .leaf = 1};
}

}  // namespace

TEST_CASE("a correction is compact JSON of its members in order", "[statement]") {
  CHECK(added().json() ==
        R"({"format":1,"tenant":"demo","action":"add","device":"gw-1","subject":"pump",)"
        R"("meter":"api.requests","unit":"1","from":"2026-01-01T11:00:00.000Z","until":null,)"
        R"("value":"2.5","withdraws":null,"references":["ticket 7","letter of \"May\""],)"
        R"("by":"ann","at":"2026-01-01T12:00:00.000Z","reason":"the counter stood still"})");
  for (const Correction& one : {added(), added("-3"), voided(), withdrawn(digest("x"))}) {
    const auto again = Correction::parse(one.json());
    INFO((again ? "" : again.error().text()));
    REQUIRE(again);
    CHECK(again->json() == one.json());
  }
}

TEST_CASE("a correction whose members do not fit its action is refused by name", "[statement]") {
  const auto refused = [](Correction correction, const std::string& member) {
    const auto parsed = Correction::parse(correction.json());
    INFO(correction.json());
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code() == Errc::corrupt);
    CHECK(parsed.error().text().find(member) != std::string::npos);
  };
  refused(added("0"), "value");
  refused(added("9223372036854775808"), "value");
  Correction bad = added();
  bad.value.reset();
  refused(bad, "value");
  bad = added();
  bad.until = kNow;
  refused(bad, "until");
  bad = added();
  bad.withdraws = digest("x");
  refused(bad, "withdraws");
  bad = voided();
  bad.until.reset();
  refused(bad, "until");
  bad = voided();
  bad.until = bad.from;
  refused(bad, "until");
  bad = voided();
  bad.value = *Decimal::parse("1");
  refused(bad, "value");
  bad = withdrawn(digest("x"));
  bad.withdraws.reset();
  refused(bad, "withdraws");
  bad = added();
  bad.device.clear();
  refused(bad, "device");
  bad = added();
  bad.device = std::string(kNameSizeMax + 1, 'x');
  refused(bad, "device");
  bad = added();
  bad.reason.clear();
  refused(bad, "reason");
  bad = added();
  bad.references.assign(Correction::kReferencesMax + 1, "x");
  refused(bad, "references");
  std::string other = added().json();
  other.replace(other.find("\"2.5\""), 5, "\"2.50\"");
  CHECK_FALSE(Correction::parse(other));
}

TEST_CASE("the command asks the catalog before a correction is signed", "[statement]") {
  const Catalog catalog = read_catalog(kExampleCatalog);
  CHECK(check_correction(added(), catalog));
  CHECK(check_correction(voided(), catalog));
  Correction bad = added();
  bad.meter = "api.request";
  CHECK_FALSE(check_correction(bad, catalog));
  bad = added();
  bad.unit = "By";
  CHECK_FALSE(check_correction(bad, catalog));
  bad = added();
  bad.from = Timestamp(0);
  CHECK_FALSE(check_correction(bad, catalog));
  bad = voided();
  bad.until = kNow + kAheadMax + Duration(1);
  CHECK_FALSE(check_correction(bad, catalog));
  bad = added("0");
  CHECK_FALSE(check_correction(bad, catalog));
}

TEST_CASE("an add is one reading of a series of its own", "[folding]") {
  const LogEntry leaf = leaf_of(added("-2.50").json());

  const CorrectionFold folded = fold_correction(leaf);

  REQUIRE(folded.exceptions.empty());
  REQUIRE(folded.usage);
  CHECK(folded.usage->key.scale == 1);
  CHECK(folded.usage->key.dimensions == DimensionSet{{"ledgerline.correction", leaf.data.hex()}});
  CHECK(is_correction(folded.usage->key));
  CHECK(folded.usage->value.sum == -25);
  CHECK(folded.usage->value.count == 1);
  CHECK(folded.usage->quarter == QuarterHour::of(added().from));
  CHECK(folded.row->until == added().from + Duration(1));
  CHECK(folded.row->leaf == 7);
  CHECK_FALSE(fold_correction(leaf_of(voided().json())).usage);
  CHECK_FALSE(is_correction(series()));
}

TEST_CASE("a correction that cannot be taken is an exception and no usage", "[folding]") {
  Correction early = added();
  early.from = Timestamp(0);
  Correction ahead = added();
  ahead.from = ahead.at + kAheadMax + Duration(1);
  for (const std::string& json : {early.json(), ahead.json(), std::string("{}")}) {
    const CorrectionFold folded = fold_correction(leaf_of(json));
    CHECK_FALSE(folded.row);
    CHECK_FALSE(folded.usage);
    REQUIRE(folded.exceptions.size() == 1);
    CHECK(folded.exceptions[0].row.kind == exception_kind::kBadCorrection);
    CHECK(folded.exceptions[0].row.first_leaf == 7U);
  }
}

TEST_CASE("voids leave what lies between them, of their subject and meter only", "[folding]") {
  const Timestamp t = voided().from;
  const auto minutes = [&](int from, int until) {
    return Period{t + std::chrono::minutes(from), t + std::chrono::minutes(until)};
  };
  const auto void_row = [&](int from, int until, const char* id) {
    Correction one = voided();
    one.from = minutes(from, until).from;
    one.until = minutes(from, until).until;
    return row_of(one, digest(id));
  };
  const Corrections both({void_row(10, 20, "a"), void_row(15, 30, "b")});
  using Periods = std::vector<Period>;
  CHECK(both.kept(series(), minutes(0, 60)) == Periods{minutes(0, 10), minutes(30, 60)});
  CHECK(both.kept(series(), minutes(12, 25)).empty());
  CHECK(both.kept(series(), minutes(12, 40)) == Periods{minutes(30, 40)});
  CHECK(both.kept(series(), minutes(0, 10)) == Periods{minutes(0, 10)});
  CHECK(both.kept(series(), minutes(30, 31)) == Periods{minutes(30, 31)});
  CHECK(both.kept(series("valve"), minutes(0, 60)) == Periods{minutes(0, 60)});
  CHECK(both.kept(series("pump", "seats"), minutes(0, 60)) == Periods{minutes(0, 60)});

  const CorrectionRow ends_b = row_of(withdrawn(digest("b")), digest("w"));
  const Corrections one({ends_b, void_row(10, 20, "a"), void_row(15, 30, "b")});
  CHECK(one.kept(series(), minutes(0, 60)) == Periods{minutes(0, 10), minutes(20, 60)});
  // A withdraw cannot be withdrawn, and ends only what is of its subject and meter.
  CorrectionRow elsewhere = row_of(withdrawn(digest("a")), digest("v"));
  elsewhere.subject = "valve";
  const CorrectionRow again = row_of(withdrawn(digest("w")), digest("u"));
  const Corrections same({ends_b, again, elsewhere, void_row(10, 20, "a"), void_row(15, 30, "b")});
  CHECK(same.kept(series(), minutes(0, 60)) == one.kept(series(), minutes(0, 60)));
}

TEST_CASE("no void touches what was added, a withdraw does", "[folding]") {
  const LogEntry leaf = leaf_of(added().json());
  const SeriesKey key = fold_correction(leaf).usage->key;
  const Period hour{kNow - std::chrono::hours(2), kNow};
  CHECK(Corrections({row_of(voided(), digest("a"))}).kept(key, hour) == std::vector<Period>{hour});
  CHECK_FALSE(Corrections({row_of(withdrawn(digest("a")), digest("b"))}).is_withdrawn(key));
  CHECK(Corrections({row_of(withdrawn(leaf.data), digest("b"))}).is_withdrawn(key));
}

}  // namespace ledgerline::collector
