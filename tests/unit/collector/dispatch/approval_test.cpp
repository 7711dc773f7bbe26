// What needs an approval leaves with one that counts, whatever the store's rows say.

#include "collector/core/approvals.h"
#include "collector/core/exceptions.h"
#include "collector/core/operators.h"
#include "tests/support/fault_erp/fault_erp.h"
#include "tests/unit/collector/dispatch/dispatch_world.h"

namespace ledgerline::collector {
namespace {

using ledgerline::testing::FaultErp;
using namespace testing;  // NOLINT: the world of the connectors' tests

constexpr Timestamp kAdded{1'000};
constexpr Timestamp kSaid{2'000};

struct Erp {
  FaultErp erp_;
};

struct World : Erp, DispatchWorld {
  World() : DispatchWorld(tryton_options(erp_.url())) {
    register_operator(new_operator("ann", ann_->public_key(), kAdded));
  }

  void register_operator(const OperatorRow& row) {
    REQUIRE(store_->put_operator(
        row, {.kind = LeafKind::operator_key, .id = {}, .sealed = Bytes(1, 1), .at = kAdded}));
  }

  /// bs-1, which somebody has to approve; it waits.
  DocumentRow waiting() {
    Json body = example_document("bs-1");
    body.set("approval", Json::string("manual"));
    DocumentRow row;
    row.id = "bs-1";
    row.kind = "billing-summary";
    row.tenant = "demo";
    row.contract = "aqua-2026";
    row.connector = options_.name;
    row.currency = "EUR";
    row.body = body.dump();
    CommercialChanges changes;
    changes.documents.push_back({row, 0});
    REQUIRE(store_->put_documents(changes));
    return row;
  }

  StatementPut signed_by(Signer& signer, const ApprovalStatement& said) const {
    const auto made = sign_statement(LeafKind::approval, said.json(), signer).value();
    return {.kind = LeafKind::approval, .id = made.id, .sealed = made.bytes, .at = said.at};
  }

  /// The rows of an approved document, with this for an approval.
  void approve_with(const DocumentRow& row, std::optional<StatementPut> statement,
                    DocumentState expected = DocumentState::waiting_approval) {
    CommercialChanges changes;
    changes.decisions.push_back({.id = row.id,
                                 .expected = expected,
                                 .by = "ann",
                                 .at = kSaid,
                                 .delivery = {},
                                 .statement = std::move(statement)});
    if (expected == DocumentState::waiting_approval)
      changes.decisions[0].delivery = new_delivery(row, clock_.now());
    REQUIRE(store_->put_documents(changes));
  }

  /// Why it is held; nothing reached the external system.
  std::string held() {
    const auto counters = work();
    CHECK(counters.attempts == 0);
    CHECK(erp_.invoices().empty());
    const DeliveryRow row = delivery("bs-1");
    CHECK(row.state == DeliveryState::held);
    CHECK_FALSE(row.first_sent_at);
    CHECK(store_->exception(unapproved())->detail == row.reply);
    return row.reply;
  }

  std::string unapproved() {
    return exception_id(exception_kind::kDeliveryUnapproved, {delivery("bs-1").id});
  }

  std::unique_ptr<Signer> ann_ = new_signer();
  static std::unique_ptr<Signer> new_signer() {
    return *signer_from_pem(*generate_private_key_pem(KeyAlgorithm::ed25519));
  }
};

}  // namespace

TEST_CASE("what an operator approved is sent") {
  World world;
  const DocumentRow row = world.waiting();
  world.approve_with(row,
                     world.signed_by(*world.ann_, decision_about(row, true, "ann", kSaid, "")));
  CHECK(world.work().confirmed == 1);
  CHECK(world.delivery("bs-1").first_sent_at);
}

TEST_CASE("a forged row of an approval is not sent") {
  World world;
  world.approve_with(world.waiting(), std::nullopt);
  CHECK_THAT(world.held(), Catch::StartsWith("approved by nobody whose signature counts"));
}

TEST_CASE("an approval by a stranger's key, or of another body, is not sent") {
  const auto stranger = World::new_signer();
  {
    World world;
    const DocumentRow row = world.waiting();
    world.approve_with(row,
                       world.signed_by(*stranger, decision_about(row, true, "ann", kSaid, "")));
    CHECK_THAT(world.held(), Catch::StartsWith("approved by nobody whose signature counts"));
  }
  World world;
  const DocumentRow row = world.waiting();
  DocumentRow other = row;
  other.body += " ";
  world.approve_with(row,
                     world.signed_by(*world.ann_, decision_about(other, true, "ann", kSaid, "")));
  CHECK_THAT(world.held(), Catch::StartsWith("the approval is of another body"));
}

TEST_CASE("what was signed after the key was revoked is not sent") {
  World world;
  const DocumentRow row = world.waiting();
  OperatorRow ann = new_operator("ann", world.ann_->public_key(), kAdded);
  ann.revoked_at = kSaid;
  world.register_operator(ann);
  world.approve_with(row,
                     world.signed_by(*world.ann_, decision_about(row, true, "ann", kSaid, "")));
  CHECK_THAT(world.held(), Catch::Contains("not in force"));
}

TEST_CASE("a leaf that is no approval of the document cannot be borrowed") {
  World world;
  const DocumentRow row = world.waiting();
  DocumentRow other = row;
  other.id = "bs-2";
  world.approve_with(row,
                     world.signed_by(*world.ann_, decision_about(other, true, "ann", kSaid, "")));
  CHECK_THAT(world.held(), Catch::Contains("another document"));
}

TEST_CASE("once it is approved and released, it is sent, and the exception closes") {
  World world;
  const DocumentRow row = world.waiting();
  world.approve_with(row, std::nullopt);
  world.held();

  world.release(world.delivery("bs-1"));
  world.held();  // released without an approval it comes to the same stand

  world.approve_with(row, world.signed_by(*world.ann_, decision_about(row, true, "ann", kSaid, "")),
                     DocumentState::approved);
  world.release(world.delivery("bs-1"));
  CHECK(world.work().confirmed == 1);
  CHECK(world.store_->exception(world.unapproved())->state == ExceptionState::resolved);
}

}  // namespace ledgerline::collector
