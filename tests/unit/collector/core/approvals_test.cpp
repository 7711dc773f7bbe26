// What lets a document leave: a signature that counts, on this very body.

#include "collector/core/approvals.h"

#include <catch2/catch.hpp>

#include "collector/core/operators.h"

namespace ledgerline::collector {

namespace {

std::unique_ptr<Signer> new_signer() {
  return *signer_from_pem(*generate_private_key_pem(KeyAlgorithm::ed25519));
}

DocumentRow document() {
  DocumentRow out;
  out.id = "bs-1";
  out.revision = 2;
  out.tenant = "demo";
  out.body = R"({"approval":"manual","total":"12.77"})";
  return out;
}

struct Desk {
  [[nodiscard]] ApprovalStatement said() const {
    return decision_about(document(), true, "ann", Timestamp(150), "checked");
  }

  std::optional<LogEntry> leaf(const ApprovalStatement& statement, Signer* signer = nullptr,
                               LeafKind kind = LeafKind::approval) {
    const auto made =
        sign_statement(kind, statement.json(), signer == nullptr ? *ann : *signer).value();
    return LogEntry{.leaf = 7,
                    .kind = kind,
                    .data = made.id,
                    .stream = {},
                    .number = 1,
                    .received_at = statement.at,
                    .sealed = made.bytes};
  }

  std::string why_not(const std::optional<LogEntry>& leaf) const {
    const Status counts = check_approval(document(), leaf, operators);
    return counts ? "" : counts.error().text();
  }

  std::unique_ptr<Signer> ann = new_signer();
  std::vector<OperatorRow> operators = {new_operator("ann", ann->public_key(), Timestamp(100))};
};

}  // namespace

TEST_CASE("an approval statement is read back as it was written", "[statement]") {
  const Desk desk;
  CHECK(
      desk.said().json() ==
      R"({"format":1,"tenant":"demo","document":"bs-1","revision":2,"sha256":")" +
          sha256(bytes_of(document().body)).hex() +
          R"(","verdict":"approved","by":"ann","at":"1970-01-01T00:00:00.150Z","reason":"checked"})");
  for (const bool approved : {true, false}) {
    ApprovalStatement statement = desk.said();
    statement.approved = approved;
    const auto again = ApprovalStatement::parse(statement.json());
    REQUIRE(again);
    CHECK(again->json() == statement.json());
    CHECK(again->approved == approved);
  }
  std::string other = desk.said().json();
  other.replace(other.find("\"approved\""), 10, "\"perhaps\"");
  CHECK_FALSE(ApprovalStatement::parse(other));
}

TEST_CASE("an operator's approval of this body lets the document leave", "[statement]") {
  Desk desk;
  CHECK(desk.why_not(desk.leaf(desk.said())).empty());

  // Revoked later, registered by several, of P-256: what was signed before counts.
  desk.operators[0].revoked_at = Timestamp(151);
  desk.operators.push_back(new_operator("bob", desk.ann->public_key(), Timestamp(200)));
  CHECK(desk.why_not(desk.leaf(desk.said())).empty());
}

TEST_CASE("an approval by nobody whose signature counts does not", "[statement]") {
  Desk desk;
  const auto nobody = Catch::StartsWith("approved by nobody whose signature counts");
  const auto stranger = new_signer();

  CHECK_THAT(desk.why_not(std::nullopt), nobody);
  CHECK_THAT(desk.why_not(desk.leaf(desk.said(), stranger.get())), nobody);
  CHECK_THAT(desk.why_not(desk.leaf(desk.said(), nullptr, LeafKind::exception_action)), nobody);

  // In ann's name and with her key's id, but not signed by her.
  auto forged = desk.leaf(desk.said());
  forged->sealed.back() ^= 1;
  CHECK_THAT(desk.why_not(forged), nobody);

  // Somebody else's name on a good signature.
  ApprovalStatement lent = desk.said();
  lent.by = "bob";
  CHECK_THAT(desk.why_not(desk.leaf(lent)), nobody);

  // Other bytes than those that the leaf was hashed from.
  auto moved = desk.leaf(desk.said());
  moved->data = Digest();
  CHECK_THAT(desk.why_not(moved), nobody);

  desk.operators[0].revoked_at = Timestamp(150);
  CHECK_THAT(desk.why_not(desk.leaf(desk.said())), nobody && Catch::Contains("not in force"));
  desk.operators.clear();
  CHECK_THAT(desk.why_not(desk.leaf(desk.said())), nobody);
}

TEST_CASE("an approval of something else does not", "[statement]") {
  Desk desk;
  ApprovalStatement said = desk.said();
  said.sha256 = Digest();
  CHECK_THAT(desk.why_not(desk.leaf(said)), Catch::StartsWith("the approval is of another body"));
  said = desk.said();
  said.revision = 1;
  CHECK_THAT(desk.why_not(desk.leaf(said)), Catch::Contains("another document: bs-1 revision 1"));
  said = desk.said();
  said.document = "bs-2";
  CHECK_FALSE(desk.why_not(desk.leaf(said)).empty());
  said = desk.said();
  said.tenant = "other";
  CHECK_FALSE(desk.why_not(desk.leaf(said)).empty());
  said = desk.said();
  said.approved = false;
  CHECK_THAT(desk.why_not(desk.leaf(said)), Catch::Contains("refused"));
}

TEST_CASE("the body says whether a person has to approve", "[statement]") {
  const auto needs = [](const std::string& body) {
    DocumentRow row = document();
    row.body = body;
    return needs_approval(row);
  };
  CHECK(needs(R"({"approval":"manual"})").value());
  CHECK_FALSE(needs(R"({"approval":"auto"})").value());
  CHECK_FALSE(needs("{}").value());  // orders and account updates
  CHECK(needs(R"({"approval":"whatever"})").value());
  CHECK_FALSE(needs("not JSON"));
}

}  // namespace ledgerline::collector
