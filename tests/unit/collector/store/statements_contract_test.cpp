#include "tests/unit/collector/store/store_backends.h"

namespace ledgerline::collector {

namespace {

Digest digest(uint8_t n) { return id_of<Digest>(n); }

StatementPut statement(LeafKind kind, uint8_t n, std::optional<uint64_t> expected = {}) {
  return {.kind = kind,
          .id = digest(n),
          .sealed = Bytes(3, n),
          .at = Timestamp(n),
          .expected_count = expected};
}

OperatorRow operator_row(const std::string& name, uint8_t n) {
  OperatorRow row;
  row.name = name;
  row.key = id_of<KeyId>(n);
  row.public_key = Bytes(44, n);
  row.added_at = Timestamp(n);
  return row;
}

}  // namespace

TEMPLATE_TEST_CASE("statements are leaves, numbered per kind, written with what they change",
                   "[store]", MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  const LogHead empty = must(store->log_head());
  CommercialChanges changes;
  changes.statements = {statement(LeafKind::close, 1), statement(LeafKind::approval, 2),
                        statement(LeafKind::close, 3)};
  changes.statements[0].about = changes.statements[1].about = "a";
  changes.statements[2].about = "aa";
  must(store->put_documents(changes));

  const LogHead head = must(store->log_head());
  REQUIRE(head.size == 3);
  REQUIRE(head.root != empty.root);
  REQUIRE(must(store->statement_count(LeafKind::close)) == 2);
  REQUIRE(must(store->statement_count(LeafKind::correction)) == 0);
  const auto closes = must(backend.open()->statements(LeafKind::close));
  REQUIRE(closes.size() == 2);
  REQUIRE(closes[1].leaf == 2);
  REQUIRE(closes[1].number == 2);
  REQUIRE(closes[1].data == digest(3));
  REQUIRE(closes[1].sealed == Bytes(3, 3));
  REQUIRE(must(store->leaf(1)).kind == LeafKind::approval);
  REQUIRE(must(store->statements(LeafKind::close, 2, 5)).size() == 1);
  REQUIRE(must(store->statements(LeafKind::close, 1, 1)).size() == 1);
  const auto about = must(backend.open()->statements_about("a"));
  REQUIRE(about.size() == 2);
  REQUIRE(about[1].kind == LeafKind::approval);
  REQUIRE(must(store->statements_about("")).empty());
}

TEMPLATE_TEST_CASE("of two who number a statement alike, the second writes nothing", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  auto other = backend.open();
  CommercialChanges changes;
  changes.statements = {statement(LeafKind::catalog_version, 1, 0)};
  must(store->put_documents(changes));
  changes.statements = {statement(LeafKind::mapping_version, 2, 0),
                        statement(LeafKind::catalog_version, 3, 0)};
  REQUIRE(failed_with(other->put_documents(changes), Errc::conflict));
  REQUIRE(must(store->log_head()).size == 1);
  REQUIRE(must(store->statement_count(LeafKind::mapping_version)) == 0);
}

TEMPLATE_TEST_CASE("what rests on the closed periods is refused where one more was closed",
                   "[store]", MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  CommercialChanges close;
  close.statements = {statement(LeafKind::close, 1)};
  must(store->put_documents(close));
  CommercialChanges version;
  version.expected_closes = 0;
  version.statements = {statement(LeafKind::catalog_version, 2)};
  REQUIRE(failed_with(store->put_documents(version), Errc::conflict));
  REQUIRE(must(store->statement_count(LeafKind::catalog_version)) == 0);
  version.expected_closes = 1;
  must(store->put_documents(version));
}

TEMPLATE_TEST_CASE("an operator has one key in force, and a key one operator", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  const auto put = [&](const OperatorRow& row) {
    return backend.open()->put_operator(row, statement(LeafKind::operator_key, 9));
  };
  must(put(operator_row("ann", 1)));
  REQUIRE(failed_with(put(operator_row("ann", 2)), Errc::conflict));
  REQUIRE(failed_with(put(operator_row("bob", 1)), Errc::conflict));
  REQUIRE(failed_with(put(operator_row("Bad Name", 3)), Errc::reject));
  REQUIRE(must(store->statement_count(LeafKind::operator_key)) == 1);

  OperatorRow revoked = operator_row("ann", 1);
  revoked.revoked_at = Timestamp(5);
  must(put(revoked));
  REQUIRE(failed_with(put(operator_row("ann", 1)), Errc::conflict));
  must(put(operator_row("ann", 2)));
  const auto rows = must(store->operators());
  REQUIRE(rows.size() == 2);
  REQUIRE(rows[0] == revoked);
}

TEMPLATE_TEST_CASE("an action that names its number is refused where that one is taken", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  ExceptionUpsert upsert;
  upsert.row.id = "a";
  must(store->upsert_exceptions(std::span(&upsert, 1)));
  const ExceptionChange first{
      .action = {.exception = "a", .number = 1, .by = "ann", .detail = "bob"},
      .release = {},
      .statements = {statement(LeafKind::exception_action, 1)}};
  must(store->act_on_exception(first));
  REQUIRE(failed_with(store->act_on_exception(first), Errc::conflict));
  REQUIRE(must(store->statement_count(LeafKind::exception_action)) == 1);
  REQUIRE(must(store->exception_actions("a")).size() == 1);
}

TEMPLATE_TEST_CASE("a resolved exception takes no action but the release of its delivery",
                   "[store]", MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  ExceptionUpsert upsert;
  upsert.row.id = "a";
  upsert.row.state = ExceptionState::resolved;
  must(store->upsert_exceptions(std::span(&upsert, 1)));
  CommercialChanges changes;
  DeliveryRow& delivery = changes.deliveries.emplace_back();
  delivery.id = "d";
  delivery.connector = "c";
  delivery.state = DeliveryState::held;
  must(store->put_documents(changes));

  ExceptionChange change{
      .action = {.exception = "a", .by = "ann"}, .release = {}, .statements = {}};
  REQUIRE(failed_with(store->act_on_exception(change), Errc::conflict));
  change.action.kind = ExceptionActionKind::requeue;
  change.release = {.id = "d", .next_attempt_at = Timestamp(1), .at = Timestamp(1)};
  must(store->act_on_exception(change));
  REQUIRE(must(store->delivery("d"))->state == DeliveryState::retry);
  REQUIRE(must(store->exception("a")).state == ExceptionState::resolved);
}

TEMPLATE_TEST_CASE("an epoch begins with its leaf, where epoch and size are those that it names",
                   "[store]", MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  EpochPut put{.expected_epoch = 1,
               .expected_leaves = 0,
               .epoch = 3,
               .statement = statement(LeafKind::epoch, 1),
               .exceptions = {}};
  REQUIRE(failed_with(store->begin_epoch(put), Errc::not_found));
  must(store->ensure_origin({.collector = "c", .log = "main", .epoch = 1}));

  must(store->begin_epoch(put));

  REQUIRE(must(backend.open()->log_origin()) ==
          LogOrigin{.collector = "c", .log = "main", .epoch = 3});
  REQUIRE(must(store->leaf(0)).kind == LeafKind::epoch);
  REQUIRE(failed_with(store->begin_epoch(put), Errc::conflict));
  put.expected_epoch = 3;
  put.epoch = 4;
  REQUIRE(failed_with(store->begin_epoch(put), Errc::conflict));  // one leaf more
  REQUIRE(must(store->log_origin()).epoch == 3);
  REQUIRE(must(store->log_head()).size == 1);
  put.expected_leaves = 1;
  must(store->begin_epoch(put));
  REQUIRE(must(store->statement_count(LeafKind::epoch)) == 2);
}

}  // namespace ledgerline::collector
