// recover: begins, says how it stands, ends.

#include <catch2/catch.hpp>

#include "collector/core/enrolling.h"
#include "collector/core/epoch_statement.h"
#include "collector/core/recovery.h"
#include "collector/intake/log_epoch.h"
#include "common/exit_code.h"
#include "tests/unit/collector/api/office.h"

namespace ledgerline::collector {

namespace {

struct Desk : Office {
  Result<int> recover(const std::string& reason, bool end = false) {
    out.str("");
    options.reason = reason;
    options.end = end;
    return ledgerline::collector::recover(config, options, clock, out);
  }
  Result<int> resume(const std::string& reason) {
    options.resume = true;
    auto code = recover(reason);
    options.resume = false;
    return code;
  }
  [[nodiscard]] std::unique_ptr<Store> store() const { return open_store(config).value(); }
};

}  // namespace

TEST_CASE("recover: without the collector's key, or without a store, there is nothing to begin") {
  Desk desk;
  const auto refused = desk.recover("disk lost");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::config);
  CHECK_THAT(refused.error().text(), Catch::Contains("put the collector's key back first"));
  CHECK_FALSE(fs::exists(desk.config.store_folder()));

  REQUIRE(load_or_make_signer(desk.config));
  const auto nothing = desk.recover("");
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error().code() == Errc::not_found);
}

TEST_CASE("recover: an empty store begins with the log's second epoch, said by the collector") {
  Desk desk;
  const auto signer = load_or_make_signer(desk.config).value();

  REQUIRE(desk.recover("disk lost") == kExitOk);

  CHECK_THAT(desk.out.str(), Catch::Contains("recover mode since") &&
                                 Catch::Contains("disk lost") &&
                                 Catch::Contains("evidence log: epoch 2"));
  const auto store = desk.store();
  CHECK(store->recovery_mode()->active);
  CHECK(store->log_origin()->epoch == 2);
  const auto leaves = store->statements(LeafKind::epoch);
  REQUIRE(leaves->size() == 1);
  const auto open = open_statement(LeafKind::epoch, leaves->front().sealed);
  CHECK(verify(open->message, signer->public_key()));
  const auto statement = EpochStatement::parse(open->json);
  CHECK(statement->log_leaves == 0);
  CHECK(statement->root == empty_root());
  CHECK(statement->reason == "disk lost");
  CHECK(store->list_exceptions({.kind = "new_epoch"})->empty());  // a person asked for it
}

TEST_CASE("recover: twice is refused, and the end is said once") {
  Desk desk;
  REQUIRE(load_or_make_signer(desk.config));
  REQUIRE(desk.recover("disk lost") == kExitOk);
  CHECK(desk.recover("again").error().code() == Errc::conflict);
  CHECK(desk.store()->log_origin()->epoch == 2);

  REQUIRE(desk.recover("", true) == kExitOk);
  CHECK_THAT(desk.out.str(), Catch::Contains("not in recover mode; it ended at"));
  CHECK(desk.recover("", true).error().code() == Errc::conflict);
  CHECK(desk.recover(std::string(401, 'x')).error().code() == Errc::reject);
  REQUIRE(desk.recover("once more") == kExitOk);
  CHECK(desk.store()->log_origin()->epoch == 3);
}

TEST_CASE("recover: rating waits for an operator, who says why it goes on") {
  Desk desk;
  const auto signer = load_or_make_signer(desk.config).value();
  REQUIRE(desk.store()->ensure_origin(first_epoch(signer->public_key())));
  CHECK(desk.resume("nothing happened").error().code() == Errc::conflict);
  const EpochCause cause{.epoch = 1, .shown = std::nullopt, .reason = "a device shows more"};
  REQUIRE(begin_epoch(*desk.store(), *signer, cause, Timestamp(7)));

  REQUIRE(desk.recover("") == kExitOk);
  CHECK_THAT(desk.out.str(), Catch::Contains("nothing is rated: the store was lost or put back"));
  CHECK(desk.resume(std::string(401, 'x')).error().code() == Errc::reject);
  CHECK(*rating_halted(*desk.store()));
  REQUIRE(desk.resume("catalog and ERP compared") == kExitOk);

  CHECK_THAT(desk.out.str(), Catch::Contains("rating was resumed at") &&
                                 Catch::Contains("catalog and ERP compared"));
  CHECK_FALSE(*rating_halted(*desk.store()));
  CHECK_FALSE(desk.store()->recovery_mode()->active);
  CHECK(desk.store()->list_exceptions({.kind = "new_epoch"})->empty());
  const auto closed =
      desk.store()->list_exceptions({.kind = "new_epoch", .state = ExceptionState::resolved});
  REQUIRE(closed->size() == 1);
  CHECK_THAT(closed->front().resolution, Catch::Contains("catalog and ERP compared"));
  CHECK(desk.resume("again").error().code() == Errc::conflict);
}

TEST_CASE("recover: a store rebuilt from nothing rates nothing either before somebody resumes") {
  Desk desk;
  REQUIRE(load_or_make_signer(desk.config));
  REQUIRE(desk.recover("disk lost") == kExitOk);
  CHECK(*rating_halted(*desk.store()));

  REQUIRE(desk.resume("all is made again") == kExitOk);
  CHECK(desk.store()->recovery_mode()->active);
  REQUIRE(desk.recover("", true) == kExitOk);
  CHECK_FALSE(*rating_halted(*desk.store()));
  REQUIRE(desk.recover("lost again") == kExitOk);
  CHECK(*rating_halted(*desk.store()));
}

TEST_CASE("recover: lists who was let in and who was not, and JSON says the same") {
  Desk desk;
  REQUIRE(load_or_make_signer(desk.config));
  REQUIRE(desk.recover("disk lost") == kExitOk);
  StreamGrant grant;
  grant.tenant = "demo";
  grant.device = "host-1";
  const ExceptionUpsert unknown = unknown_stream(grant, "it is not known here", Timestamp(5));
  Introduced introduced;
  introduced.grant = grant;
  introduced.grant.device = "host-2";
  const ExceptionUpsert in = let_in(introduced, Timestamp(5));
  REQUIRE(desk.store()->upsert_exceptions(std::vector{unknown, in}));

  REQUIRE(desk.recover("") == kExitOk);
  CHECK_THAT(desk.out.str(),
             Catch::Contains("let in, to be looked at") && Catch::Contains("demo/host-2") &&
                 Catch::Contains("not known and not let in") && Catch::Contains("demo/host-1"));
  desk.options.json = true;
  REQUIRE(desk.recover("") == kExitOk);
  CHECK_THAT(desk.out.str(), Catch::Contains("\"active\":true") &&
                                 Catch::Contains("\"log_epoch\":2") &&
                                 Catch::Contains("\"device\":\"host-1\""));
}

TEST_CASE("recover: the broker's list keeps who is not back yet, until the mode ends") {
  Desk desk;
  REQUIRE(load_or_make_signer(desk.config));
  DeviceRow lost;
  lost.tenant = "demo";
  lost.device = "host-1";
  lost.keys.emplace_back();
  const auto list = [&] { return io::read_file(desk.config.acl_file).value(); };
  REQUIRE(io::write_file_durably(desk.config.acl_file, access_list({lost}, Timestamp(1))));
  // The collector was started on the empty store before anybody noticed.
  REQUIRE(write_access_list(desk.config, *desk.store(), Timestamp(1), true));
  REQUIRE(desk.recover("disk lost") == kExitOk);

  REQUIRE(write_access_list(desk.config, *desk.store(), Timestamp(2)));
  CHECK_THAT(list(), Catch::Contains("user demo.host-1\n"));
  REQUIRE(desk.recover("", true) == kExitOk);
  REQUIRE(write_access_list(desk.config, *desk.store(), Timestamp(3)));
  CHECK_THAT(list(), !Catch::Contains("user demo.host-1\n"));
}

}  // namespace ledgerline::collector
