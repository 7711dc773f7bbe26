#include "collector/core/catalog_difference.h"

#include "catalog_examples.h"
#include "collector/core/catalog_version.h"

namespace ledgerline::collector {
namespace {

using Lines = std::vector<std::string>;

Lines difference(const std::string& before, const std::string& after) {
  const Catalog a = read_catalog(before);
  const Catalog b = read_catalog(after);
  Lines out;
  for (const auto& [old_texts, new_texts] : {std::pair(catalog_entries(a), catalog_entries(b)),
                                             std::pair(mapping_entries(a), mapping_entries(b))}) {
    for (const EntryChange& change : entry_changes(old_texts, new_texts)) {
      for (const std::string& line : in_words(change)) out.push_back(line);
    }
  }
  return out;
}

Lines difference(const std::string& after) { return difference(kExampleCatalog, after); }

TEST_CASE("a difference names the entry, the member, and what it was", "[catalog_version]") {
  CHECK(difference(kExampleCatalog).empty());
  CHECK(difference(example_with("\"9.90\"", "\"11\"")) ==
        Lines{R"(changed rate_card "standard" version 1: prices[seats].tiers[1].unit_price )"
              R"("9.9" -> "11")"});
  CHECK(difference(example_with("grace = \"10s\"", "grace = \"20s\"\nuntil = \"2027-01-01\"")) ==
        Lines{R"(changed contract "aqua-2026": grace_ms 10000 -> 20000)",
              R"(changed contract "aqua-2026": until null -> "2026-12-31T23:00:00.000Z")"});
  CHECK(difference(example_with("included = \"1000\"\n", "")) ==
        Lines{R"(changed rate_card "standard" version 1: prices[api.requests].included "1000" -> )"
              R"("0")"});
}

TEST_CASE("what is new and what is gone is named", "[catalog_version]") {
  const std::string more =
      "[[account]]\nname = \"b\"\nexternal = \"C-2\"\n[[link]]\ndevice = \"d\"\nsubject = \"*\"\n"
      "subscription = \"aqua-api\"\nfrom = \"2026-01-01T00:00:00Z\"\n";

  CHECK(difference(kExampleCatalog + more) ==
        Lines{R"(added account "b")", R"(added links of device "d", subject "*")"});
  CHECK(difference(kExampleCatalog + more, kExampleCatalog) ==
        Lines{R"(removed account "b")", R"(removed links of device "d", subject "*")"});
}

TEST_CASE("a change of a link is one of its device and subject", "[catalog_version]") {
  const std::string ended = example_with("asset = \"pump-7\"\nfrom = \"2026-01-01T00:00:00Z\"",
                                         "asset = \"pump-7\"\nfrom = \"2026-01-01T00:00:00Z\"\n"
                                         "until = \"2026-05-01T00:00:00Z\"");

  CHECK(difference(ended) ==
        Lines{R"(changed links of device "app-1", subject "aqua": )"
              R"(links[2026-01-01T00:00:00.000Z].until null -> "2026-05-01T00:00:00.000Z")"});
}

}  // namespace
}  // namespace ledgerline::collector
