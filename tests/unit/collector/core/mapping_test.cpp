#include "collector/core/mapping.h"

#include "tests/unit/collector/core/catalog_examples.h"

namespace ledgerline::collector {
namespace {

Timestamp at(std::string_view text) { return parse_rfc3339(text).value(); }
Timestamp day(int d) { return at("2026-01-01T00:00:00Z") + std::chrono::hours(24 * (d - 1)); }

std::string link(const std::string& device, const std::string& subject, const std::string& asset,
                 int from, int until = 0) {
  std::string out = "\n[[link]]\ndevice = \"" + device + "\"\nsubject = \"" + subject +
                    "\"\nsubscription = \"aqua-api\"\nasset = \"" + asset + "\"\nfrom = \"" +
                    to_rfc3339(day(from)) + "\"\n";
  if (until != 0) out += "until = \"" + to_rfc3339(day(until)) + "\"\n";
  return out;
}

std::string assets() {
  std::string out;
  for (const char* name : {"a", "b", "c", "d", "e", "all", "own", "self"})
    out += "\n[[asset]]\nname = \"" + std::string(name) + "\"\nmodel = \"M\"\n";
  return out;
}

struct Mapped {
  explicit Mapped(const std::string& links)
      : catalog(read_catalog(kExampleCatalog.substr(0, kExampleCatalog.find("[[link]]")) + links +
                             assets())),
        mapping(catalog) {}
  std::string asset(const std::string& device, const std::string& subject, Timestamp t) const {
    const Link* found = mapping.resolve(device, subject, t);
    return found == nullptr ? "-" : found->asset;
  }
  std::string spans(const std::string& subject, int from, int until) const {
    std::string out;
    for (const MappedSpan& span : mapping.spans("d", subject, {day(from), day(until)})) {
      out += std::to_string((span.from - day(1)).count() / 86'400'000 + 1) +
             (span.link == nullptr ? "-" : span.link->asset) + " ";
    }
    return out;
  }
  Catalog catalog;
  Mapping mapping;
};

TEST_CASE("a subject's link beats its device's") {
  const Mapped m(link("d", "*", "all", 1) + link("d", "x", "own", 1));

  CHECK(m.asset("d", "x", day(2)) == "own");
  CHECK(m.asset("d", "y", day(2)) == "all");
  CHECK(m.asset("d", "", day(2)) == "all");
  CHECK(m.asset("e", "x", day(2)) == "-");
}

TEST_CASE("links hold from their begin to just before their end") {
  const Mapped m(link("d", "x", "a", 2, 4) + link("d", "x", "b", 4, 5) + link("d", "x", "c", 6));

  CHECK(m.asset("d", "x", day(2) - Duration(1)) == "-");
  CHECK(m.asset("d", "x", day(2)) == "a");
  CHECK(m.asset("d", "x", day(4) - Duration(1)) == "a");
  CHECK(m.asset("d", "x", day(4)) == "b");
  CHECK(m.asset("d", "x", day(5)) == "-");
  CHECK(m.asset("d", "x", day(6)) == "c");
  CHECK(m.asset("d", "x", day(600)) == "c");
}

TEST_CASE("a device's link fills what a subject's leaves open") {
  const Mapped m(link("d", "*", "all", 1, 9) + link("d", "x", "own", 3, 5));

  CHECK(m.spans("x", 1, 20) == "1all 3own 5all 9- ");
  CHECK(m.spans("y", 1, 20) == "1all 9- ");
  CHECK(m.spans("x", 4, 5) == "4own ");
  CHECK(m.spans("x", 5, 6) == "5all ");
  CHECK(m.spans("x", 9, 10) == "9- ");
}

TEST_CASE("the device itself is a subject that can be linked") {
  const Mapped m(link("d", "", "self", 1) + link("d", "*", "all", 1));

  CHECK(m.asset("d", "", day(1)) == "self");
  CHECK(m.asset("d", "x", day(1)) == "all");
}

TEST_CASE("a contract needs its devices up to the period's end or their links'") {
  const Mapped m(link("d", "x", "a", 1, 5) + link("d", "y", "b", 1, 7) + link("e", "*", "c", 1) +
                 link("f", "*", "d", 10) + link("g", "*", "e", 1, 3));
  const Contract& contract = *m.catalog.contract("aqua-2026");

  const auto needs = m.mapping.devices_of(contract, {day(3), day(8)});
  REQUIRE(needs.size() == 2);
  CHECK(needs[0].device == "d");
  CHECK(needs[0].required == day(7));
  CHECK(needs[0].link_ended);
  CHECK(needs[1].device == "e");
  CHECK(needs[1].required == day(8));
  CHECK_FALSE(needs[1].link_ended);
}

}  // namespace
}  // namespace ledgerline::collector
