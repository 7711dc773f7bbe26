// What people see of account updates, opportunities and orders.

#include <catch2/catch.hpp>
#include <sstream>

#include "collector/api/commands.h"
#include "collector/store/memory_store.h"
#include "common/json.h"

namespace ledgerline::collector {
namespace {

std::string update_body(const std::string& rule, const std::string& share) {
  return R"({"kind":"account-update","id":"au-)" + rule + share + R"(","rule":")" + rule +
         R"(","reason":"limit","as_of":"2026-02-14T23:00:00.000Z","meters":[{)"
         R"("subscription":"aqua-api","meter":"api.requests","unit":"1","quantity":")" +
         share.substr(2, 3) + R"(","included":"1000","share":")" + share +
         R"(","previous_quantity":null,"trend":null,"days_to_limit":2,"limits_crossed":["0.8"]},)"
         R"({"subscription":"aqua-api","meter":"seats","unit":"1","quantity":"7","included":"0",)"
         R"("share":null,"trend":"-0.4000","days_to_limit":null,"limits_crossed":[]}],)"
         R"("features":[{"name":"search","active":3,"known":12,"adoption":"0.2500"}],)"
         R"("signals":[{"kind":"churn","because":"seats of aqua-api is 40 % below"}],)"
         R"("health":{"score":55,"parts":[{"name":"data","score":55,"weight":30,)"
         R"("because":"readings of 1 of 2 devices are there"}]}})";
}

class Office {
 public:
  void put(const std::string& kind, const std::string& body, int64_t from,
           const std::string& asset = "") {
    const Json json = parse_json(body).value();
    DocumentRow row;
    row.id = json.find("id")->text();
    row.kind = kind;
    row.account = "aqua";
    row.contract = asset.empty() ? "aqua-2026" : "";
    row.asset = asset;
    row.connector = "crm";
    row.state = DocumentState::approved;
    row.period_from = Timestamp(from);
    row.period_to = Timestamp(from + 1000);
    if (kind == "opportunity") {
      row.total = Decimal(1001, 2);
      row.currency = "EUR";
    }
    row.body = body;
    CommercialChanges changes;
    changes.documents.push_back({row, 0});
    REQUIRE(store->put_documents(changes));
  }
  std::string show(const std::string& id) {
    CommandLine options;
    options.document = id;
    std::ostringstream out;
    REQUIRE(documents(*store, options, out));
    return out.str();
  }
  std::string list(bool json, Result<int> (*command)(Store&, const CommandLine&, std::ostream&)) {
    CommandLine options;
    options.json = json;
    std::ostringstream out;
    REQUIRE(command(*store, options, out));
    return out.str();
  }

  std::unique_ptr<Store> store = open_memory_store(make_memory_database());
};

TEST_CASE("an account update is shown with its figures and no amount") {
  Office office;
  office.put("account-update", update_body("health", "0.8500"), 0);

  const std::string shown = office.show("au-health0.8500");

  CHECK_THAT(shown, Catch::Contains("account-update for aqua, contract aqua-2026") &&
                        Catch::Contains("reason: limit, as of 2026-02-14T23:00:00.000Z") &&
                        Catch::Contains("feature search: 3 of 12 subjects, 0.2500") &&
                        Catch::Contains("signal churn: seats of aqua-api is 40 % below") &&
                        Catch::Contains("health 55") &&
                        Catch::Contains("data 55, weight 30: readings of 1 of 2 devices"));
  CHECK_THAT(shown, Catch::Contains("0.8500") && Catch::Contains("-0.4000"));
  CHECK_THAT(shown, !Catch::Contains("EUR") && !Catch::Contains("PRODUCT"));
  CHECK_THAT(office.list(false, documents), Catch::Contains("aqua-2026  account-update"));
  const Json row = parse_json(office.list(true, documents)).value().items()[0];
  CHECK(row.find("total")->is(Json::Kind::null));
}

TEST_CASE("an opportunity and an order are shown as what they are") {
  Office office;
  office.put(
      "opportunity",
      R"({"kind":"opportunity","id":"op-1","reason":"overage","due_at":null,)"
      R"("description":"Aqua used more","lines":[{"subscription":"aqua-api",)"
      R"("meter":"api.requests","unit":"1","quantity":"151","included":"100","periods":2}]})",
      0);
  office.put("maintenance-order",
             R"({"kind":"maintenance-order","id":"mo-1","description":"Change the seal",)"
             R"("priority":"high","due_at":"2026-01-07T00:30:00.000Z","conditions":[{)"
             R"("meter":"pressure","value":"mean","side":"above","limit":"47.6","found":"48.1",)"
             R"("met":true}],"parts":[{"product":"SEAL","quantity":"2"}]})",
             0, "pump-1");

  CHECK_THAT(office.show("op-1"),
             Catch::Contains("10.01 EUR, approved") &&
                 Catch::Contains("reason: overage, due at -\nAqua used more") &&
                 Catch::Contains("151"));
  CHECK_THAT(office.show("mo-1"), Catch::Contains("maintenance-order for aqua, asset pump-1") &&
                                      Catch::Contains("Change the seal, priority high") &&
                                      Catch::Contains("48.1") && Catch::Contains("part SEAL: 2"));
}

TEST_CASE("accounts lists the newest update of each rule and contract") {
  Office office;
  CHECK_THAT(office.list(false, accounts), Catch::Contains("no account updates yet"));
  office.put("account-update", update_body("health", "0.8500"), 1000);
  office.put("account-update", update_body("health", "0.1000"), 5000);
  office.put("account-update", update_body("health", "0.3000"), 3000);
  office.put("account-update", update_body("other", "0.2000"), 0);

  const std::string table = office.list(false, accounts);

  CHECK_THAT(table, Catch::Contains("api.requests 100 of 1000, seats 7") &&
                        Catch::Contains("api.requests 200 of 1000") && Catch::Contains("churn"));
  CHECK_THAT(table, !Catch::Contains("850 of") && !Catch::Contains("300 of"));
  CHECK(parse_json(office.list(true, accounts)).value().items().size() == 2);
}

}  // namespace
}  // namespace ledgerline::collector
