#include "tests/unit/collector/store/store_backends.h"

namespace ledgerline::collector {

namespace {

DocumentRow document(const std::string& id, uint32_t revision = 1) {
  DocumentRow row;
  row.id = id;
  row.revision = revision;
  row.kind = "billing-summary";
  row.tenant = "demo";
  row.contract = "c";
  row.connector = "tryton";
  row.total = *Decimal::parse("12.50");
  row.currency = "EUR";
  row.body = "{\"total\":\"12.50\"}";
  return row;
}

DeliveryRow delivery(const std::string& id, int64_t due = 0) {
  DeliveryRow row;
  row.id = id;
  row.document = "doc";
  row.connector = "tryton";
  row.tenant = "demo";
  row.next_attempt_at = Timestamp(due);
  return row;
}

Lease lease_of(Store& store, const std::string& holder, int64_t now = 0) {
  return must(store.acquire_lease(
      {.name = "outbox", .holder = holder, .now = Timestamp(now), .lifetime = Duration(100)}));
}

ClaimRequest claim(const Lease& lease, int64_t now, size_t limit = 10) {
  return {.connector = "tryton",
          .lease = lease.name,
          .lease_epoch = lease.epoch,
          .now = Timestamp(now),
          .limit = limit};
}

DeliverySettlement settle(const DeliveryRow& row, const Lease& lease, DeliveryState state) {
  DeliverySettlement out;
  out.id = row.id;
  out.attempt = row.attempt;
  out.lease = lease.name;
  out.lease_epoch = lease.epoch;
  out.state = state;
  return out;
}

void put(Store& store, std::vector<DocumentPut> documents,
         std::vector<DeliveryRow> deliveries = {}) {
  CommercialChanges changes;
  changes.documents = std::move(documents);
  changes.deliveries = std::move(deliveries);
  must(store.put_documents(changes));
}

}  // namespace

TEMPLATE_TEST_CASE("documents and their deliveries appear together or not at all", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  put(*store, {{document("doc"), 0}}, {delivery("doc/1")});

  CommercialChanges again;
  again.documents = {{document("other"), 0}};
  again.deliveries = {delivery("doc/1")};
  REQUIRE(failed_with(store->put_documents(again), Errc::conflict));

  REQUIRE(must(backend.open()->document("doc")) == document("doc"));
  REQUIRE(failed_with(store->document("other"), Errc::not_found));
  REQUIRE(must(store->list_deliveries({})) == std::vector{delivery("doc/1")});
  REQUIRE(must(store->delivery("doc/1")) == delivery("doc/1"));
  REQUIRE_FALSE(must(store->delivery("doc/2")));
}

TEMPLATE_TEST_CASE("a document's revisions follow each other and the newest is shown", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  put(*store, {{document("a"), 0}, {document("b"), 0}});
  auto other = backend.open();
  put(*other, {{document("a", 2), 1}});

  CommercialChanges stale;
  stale.documents = {{document("a", 2), 1}};
  REQUIRE(failed_with(store->put_documents(stale), Errc::conflict));
  stale.documents = {{document("a", 1), 0}};
  REQUIRE(failed_with(store->put_documents(stale), Errc::conflict));

  REQUIRE(must(store->document("a")).revision == 2);
  REQUIRE(must(store->document("a", 1)).revision == 1);
  const auto all = must(store->list_documents({.tenant = "demo"}));
  REQUIRE(all.size() == 2);
  REQUIRE(all[0].revision == 2);
  REQUIRE(must(store->list_documents({.after = "a"}))[0].id == "b");
  REQUIRE(must(store->list_documents({.limit = 1})).size() == 1);
  REQUIRE(must(store->list_documents({.state = DocumentState::confirmed})).empty());
}

TEMPLATE_TEST_CASE(
    "of two decisions about a document one wins, and its delivery enters the outbox with it",
    "[store]", MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  auto other = backend.open();
  put(*store, {{document("doc"), 0}});
  DocumentDecision approve{
      .id = "doc", .by = "ann", .at = Timestamp(3), .delivery = delivery("doc/1")};
  DocumentDecision refuse{.id = "doc", .state = DocumentState::refused, .by = "bob"};

  approve.statement = {.kind = LeafKind::approval, .id = {}, .sealed = Bytes(3, 1), .at = {}};
  refuse.statement = approve.statement;
  const auto decided = [](const DocumentDecision& decision) {
    CommercialChanges changes;
    changes.statements.push_back(*decision.statement);  // so that its leaf is not the first
    changes.decisions.push_back(decision);
    return changes;
  };

  must(store->put_documents(decided(approve)));
  REQUIRE(failed_with(other->put_documents(decided(refuse)), Errc::conflict));

  const auto row = must(other->document("doc"));
  REQUIRE(row.state == DocumentState::approved);
  REQUIRE(row.decided_by == "ann");
  REQUIRE(row.decided_at == Timestamp(3));
  REQUIRE(must(other->list_deliveries({.document = "doc"})).size() == 1);
  REQUIRE(must(other->statement_count(LeafKind::approval)) == 2);
  REQUIRE(must(other->leaf(row.decided_leaf.value())).kind == LeafKind::approval);
}

TEMPLATE_TEST_CASE("periods are compared, listed and found newest first", "[store]", MemoryBackend,
                   LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  const auto period = [](int64_t from, uint32_t revision) {
    PeriodRow row;
    row.tenant = "demo";
    row.contract = "c";
    row.from = Timestamp(from);
    row.to = Timestamp(from + 10);
    row.revision = revision;
    return row;
  };
  CommercialChanges changes;
  changes.periods = {{period(-10, 1), 0}, {period(0, 1), 0}, {period(10, 1), 0}};
  must(store->put_documents(changes));
  REQUIRE(failed_with(backend.open()->put_documents(changes), Errc::conflict));

  REQUIRE(must(store->newest_period("demo", "c"))->from == Timestamp(10));
  REQUIRE_FALSE(must(store->newest_period("demo", "b")).has_value());
  REQUIRE_FALSE(must(store->newest_period("demo", "cc")).has_value());
  REQUIRE(must(store->period("demo", "c", Timestamp(0))) == period(0, 1));
  const auto rows = must(store->list_periods("demo", "c", Timestamp(-10), 2));
  REQUIRE(rows.size() == 2);
  REQUIRE(rows[0].from == Timestamp(-10));
}

TEMPLATE_TEST_CASE("a rule's state is compared, and written with its order or not at all",
                   "[store]", MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  const auto kind = GENERATE(RuleKind::maintenance, RuleKind::account_update);
  const auto other =
      kind == RuleKind::maintenance ? RuleKind::account_update : RuleKind::maintenance;
  const auto row = [&](uint32_t revision) {
    return RuleRow{kind, "demo", "rule", "pump", revision, "{}"};
  };
  REQUIRE_FALSE(must(store->rule_state(kind, "demo", "rule", "pump")).has_value());
  CommercialChanges changes;
  changes.rules = {{row(1), 0}};
  must(store->put_documents(changes));
  REQUIRE(must(backend.open()->rule_state(kind, "demo", "rule", "pump")) == row(1));
  REQUIRE_FALSE(must(store->rule_state(kind, "demo", "rul", "epump")).has_value());
  REQUIRE_FALSE(must(store->rule_state(other, "demo", "rule", "pump")).has_value());

  changes.documents = {{document("order"), 0}};
  REQUIRE(failed_with(store->put_documents(changes), Errc::conflict));
  REQUIRE(failed_with(store->document("order"), Errc::not_found));
  changes.rules = {{row(2), 1}};
  must(store->put_documents(changes));
  REQUIRE(must(store->rule_state(kind, "demo", "rule", "pump"))->revision == 2);
}

TEMPLATE_TEST_CASE("a claimed delivery is in flight before anybody can send it, and only once",
                   "[store]", MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  put(*store, {{document("doc"), 0}}, {delivery("d2", 20), delivery("d1", 10), delivery("d3", 99)});
  const Lease lease = lease_of(*store, "w");

  const auto claimed = must(store->claim_deliveries(claim(lease, 20)));

  REQUIRE(claimed.size() == 2);
  REQUIRE(claimed[0].id == "d1");
  REQUIRE(claimed[1].id == "d2");
  REQUIRE(claimed[0].attempt == 1);
  REQUIRE_FALSE(claimed[0].lookup_first);
  REQUIRE(must(backend.open()->list_deliveries({.state = DeliveryState::in_flight})).size() == 2);
  REQUIRE(must(store->claim_deliveries(claim(lease, 20))).empty());
  auto elsewhere = claim(lease, 1000);
  elsewhere.connector = "try";
  REQUIRE(must(store->claim_deliveries(elsewhere)).empty());
}

TEMPLATE_TEST_CASE("an outcome is settled once, with the document and by the claimed attempt only",
                   "[store]", MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  auto row = delivery("d");
  row.document = "doc";
  put(*store, {{document("doc"), 0}}, {row});
  const Lease lease = lease_of(*store, "w");
  auto claimed = must(store->claim_deliveries(claim(lease, 0)))[0];

  auto retry = settle(claimed, lease, DeliveryState::retry);
  retry.next_attempt_at = Timestamp(50);
  retry.reply = std::string(10'000, 'x');
  must(store->settle_delivery(retry));
  REQUIRE(failed_with(store->settle_delivery(retry), Errc::conflict));
  REQUIRE(must(store->claim_deliveries(claim(lease, 49))).empty());
  REQUIRE(must(store->list_deliveries({}))[0].reply.size() == DeliveryRow::kReplySizeMax);

  claimed = must(store->claim_deliveries(claim(lease, 50)))[0];
  REQUIRE(claimed.attempt == 2);
  auto stale = settle(claimed, lease, DeliveryState::confirmed);
  stale.attempt = 1;
  REQUIRE(failed_with(store->settle_delivery(stale), Errc::conflict));
  auto done = settle(claimed, lease, DeliveryState::confirmed);
  done.external_id = "INV-7";
  done.document_state = DocumentState::confirmed;
  must(store->settle_delivery(done));

  REQUIRE(must(store->document("doc")).state == DocumentState::confirmed);
  REQUIRE(must(store->document("doc")).external_id == "INV-7");
  REQUIRE(must(store->list_deliveries({}))[0].state == DeliveryState::confirmed);
}

TEMPLATE_TEST_CASE("what a crash left in flight becomes unknown and is looked up first", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  put(*store, {}, {delivery("d")});
  const Lease old = lease_of(*store, "w");
  const auto claimed = must(store->claim_deliveries(claim(old, 0)))[0];

  auto after = backend.open();
  const Lease fresh = lease_of(*after, "w", 1);
  REQUIRE(fresh.epoch == old.epoch + 1);
  REQUIRE(must(after->recover_deliveries("another", fresh.name, fresh.epoch, Timestamp(5))) == 0);
  REQUIRE(must(after->recover_deliveries("tryton", fresh.name, fresh.epoch, Timestamp(5))) == 1);
  REQUIRE(must(after->recover_deliveries("tryton", fresh.name, fresh.epoch, Timestamp(5))) == 0);

  REQUIRE(failed_with(store->settle_delivery(settle(claimed, old, DeliveryState::confirmed)),
                      Errc::conflict));
  REQUIRE(failed_with(store->claim_deliveries(claim(old, 9)), Errc::conflict));
  const auto again = must(after->claim_deliveries(claim(fresh, 5)));
  REQUIRE(again.size() == 1);
  REQUIRE(again[0].lookup_first);
  REQUIRE(again[0].attempt == 2);
}

TEMPLATE_TEST_CASE("a lease is held by one worker until it expires", "[store]", MemoryBackend,
                   LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  const Lease mine = lease_of(*store, "me", 0);
  const LeaseRequest theirs{
      .name = "outbox", .holder = "you", .now = Timestamp(99), .lifetime = Duration(100)};
  REQUIRE(failed_with(backend.open()->acquire_lease(theirs), Errc::conflict));

  REQUIRE(must(store->renew_lease("outbox", mine.epoch, Timestamp(50), Duration(100))).expires_at ==
          Timestamp(150));
  REQUIRE(failed_with(store->acquire_lease(theirs), Errc::conflict));
  LeaseRequest later = theirs;
  later.now = Timestamp(150);
  REQUIRE(must(store->acquire_lease(later)).epoch == mine.epoch + 1);

  REQUIRE(failed_with(store->renew_lease("outbox", mine.epoch, Timestamp(151), Duration(1)),
                      Errc::conflict));
}

TEMPLATE_TEST_CASE("a held delivery waits for a person", "[store]", MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  put(*store, {}, {delivery("d")});
  const Lease lease = lease_of(*store, "w");
  const auto claimed = must(store->claim_deliveries(claim(lease, 0)))[0];
  must(store->settle_delivery(settle(claimed, lease, DeliveryState::held)));
  REQUIRE(must(store->claim_deliveries(claim(lease, 1'000'000))).empty());

  const DeliveryRelease release{.id = "d", .next_attempt_at = Timestamp(7)};
  must(store->release_delivery(release));
  REQUIRE(failed_with(store->release_delivery(release), Errc::conflict));

  REQUIRE(must(store->claim_deliveries(claim(lease, 7))).size() == 1);
}

TEMPLATE_TEST_CASE("exceptions are upserted, filtered, paged and resolved once", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  std::vector<ExceptionUpsert> upserts;
  for (const auto* id : {"b", "a", "c"}) {
    ExceptionRow row;
    row.id = id;
    row.kind = id == std::string("c") ? "late" : "fork";
    row.tenant = "demo";
    row.count = 2;
    upserts.push_back({UpsertMode::add, row});
  }
  must(store->upsert_exceptions(upserts));
  must(store->upsert_exceptions(std::span(upserts).first(1)));

  REQUIRE(must(store->exception("b")).count == 4);
  REQUIRE(must(store->list_exceptions({})).size() == 3);
  REQUIRE(must(store->list_exceptions({.kind = "late"})).size() == 1);
  REQUIRE(must(store->list_exceptions({.after = "a", .limit = 1}))[0].id == "b");
  const ExceptionChange ignored{.action = {.exception = "a",
                                           .kind = ExceptionActionKind::ignore,
                                           .by = "ann",
                                           .at = Timestamp(4),
                                           .reason = "accepted"}};
  REQUIRE(must(store->act_on_exception(ignored)).number == 1);
  REQUIRE(failed_with(backend.open()->act_on_exception(ignored), Errc::conflict));
  REQUIRE(must(store->list_exceptions({})).size() == 2);
  REQUIRE(must(store->list_exceptions({.state = ExceptionState::resolved}))[0].resolved_by ==
          "ann");
  REQUIRE(must(store->list_exceptions({.state = std::nullopt})).size() == 3);
}

TEMPLATE_TEST_CASE("actions are numbered, and stored with what they do or not at all", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  for (const auto* id : {"a", "ab"}) {
    ExceptionUpsert upsert;
    upsert.row.id = id;
    must(store->upsert_exceptions(std::span(&upsert, 1)));
  }
  const auto act = [&](const std::string& id, ExceptionActionKind kind,
                       std::optional<DeliveryRelease> release = {}) {
    return backend.open()->act_on_exception(
        {.action = {.exception = id, .kind = kind, .by = "ann", .detail = "bob"},
         .release = std::move(release)});
  };
  must(act("ab", ExceptionActionKind::assign));
  must(act("a", ExceptionActionKind::assign));
  REQUIRE(must(act("a", ExceptionActionKind::map)).number == 2);
  REQUIRE(failed_with(act("a", ExceptionActionKind::requeue, DeliveryRelease{.id = "none"}),
                      Errc::not_found));
  REQUIRE(failed_with(act("b", ExceptionActionKind::assign), Errc::not_found));

  REQUIRE(must(store->exception("a")).assignee == "bob");
  REQUIRE(must(store->exception("a")).state == ExceptionState::open);
  const auto actions = must(store->exception_actions("a"));
  REQUIRE(actions.size() == 2);
  REQUIRE(actions[1].kind == ExceptionActionKind::map);
  REQUIRE(must(store->exception_actions("a", 1)) ==
          std::vector<ExceptionAction>(actions.begin() + 1, actions.end()));
  REQUIRE(must(store->exception_actions("a", 0, 1)).size() == 1);
  REQUIRE(must(store->exception_actions("ab")).size() == 1);
}

TEMPLATE_TEST_CASE("a name that is empty or too long is refused, not cut", "[store]", MemoryBackend,
                   LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  ExceptionUpsert upsert;
  REQUIRE(failed_with(store->upsert_exceptions(std::span(&upsert, 1)), Errc::reject));
  upsert.row.id = std::string(kNameSizeMax + 1, 'x');
  REQUIRE(failed_with(store->upsert_exceptions(std::span(&upsert, 1)), Errc::reject));
  upsert.row.id = std::string(kNameSizeMax, '\0');  // twice as long as a key
  must(store->upsert_exceptions(std::span(&upsert, 1)));
  REQUIRE(must(store->exception(upsert.row.id)).id == upsert.row.id);
}

}  // namespace ledgerline::collector
