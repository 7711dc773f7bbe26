#include "collector/core/epoch_statement.h"

#include <catch2/catch.hpp>

#include "tests/support/device/test_device.h"

namespace ledgerline::collector {

namespace {

EpochStatement example() {
  return {.collector = std::string(64, 'a'),
          .log = "ledgerline",
          .epoch = 3,
          .log_leaves = 17,
          .root = sha256(bytes_of(std::string_view("root"))),
          .shown = "a note\nin lines\n",
          .by = "collector",
          .at = Timestamp(1'700'000'061'000),
          .reason = "disk lost"};
}

struct Key {
  std::unique_ptr<Signer> signer = test::new_signer();
  LogOrigin origin{signer->public_key().id().hex(), "ledgerline", 2};

  [[nodiscard]] std::string note(uint32_t epoch, uint64_t size) const {
    LogOrigin of = origin;
    of.epoch = epoch;
    return *sign_checkpoint({to_string(of), size, sha256(bytes_of(std::to_string(size)))}, *signer);
  }
  [[nodiscard]] Contained judge(uint32_t epoch, uint64_t size, const LogHead& head) const {
    const auto shown = shown_checkpoint(note(epoch, size), origin, signer->public_key());
    REQUIRE(shown);
    return judge_shown(*shown, origin, head);
  }
};

}  // namespace

TEST_CASE("an epoch statement is read back as it was written", "[statement]") {
  EpochStatement statement = example();
  CHECK(statement.json() ==
        R"({"format":1,"collector":")" + std::string(64, 'a') +
            R"(","log":"ledgerline","epoch":3,"log_leaves":17,"root":")" + statement.root.hex() +
            R"(","shown":"a note\nin lines\n","by":"collector","at":"2023-11-14T22:14:21.000Z",)"
            R"("reason":"disk lost"})");
  CHECK(EpochStatement::parse(statement.json())->json() == statement.json());
  statement.shown.clear();
  CHECK(statement.json().find(R"("shown":null)") != std::string::npos);
  CHECK(EpochStatement::parse(statement.json())->shown.empty());
}

TEST_CASE("an epoch statement has one encoding, and no first epoch", "[statement]") {
  const std::string json = example().json();
  CHECK_FALSE(EpochStatement::parse(json + " "));
  CHECK_FALSE(EpochStatement::parse(R"({"format":1})"));
  for (const uint64_t epoch : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32}) {
    std::string other = json;
    other.replace(other.find("\"epoch\":3"), 9, "\"epoch\":" + std::to_string(epoch));
    CHECK_FALSE(EpochStatement::parse(other));
  }
}

TEST_CASE("a checkpoint counts as shown where this collector signed it for this log") {
  const Key key;
  const Key stranger;
  const PublicKey& collector = key.signer->public_key();
  const std::string note = key.note(2, 9);
  CHECK(shown_checkpoint(note, key.origin, collector)->note == note);
  CHECK(shown_checkpoint(key.note(1, 9), key.origin, collector)->origin.epoch == 1);
  // Lines that somebody added are not taken into the log.
  CHECK(shown_checkpoint(note + "\xe2\x80\x94 witness AAAAAAE=\n", key.origin, collector)->note ==
        note);

  CHECK_FALSE(shown_checkpoint("", key.origin, collector));
  CHECK_FALSE(shown_checkpoint(stranger.note(2, 9), key.origin, collector));
  const std::string forged =
      *sign_checkpoint({to_string(key.origin), 9, Digest()}, *stranger.signer);
  CHECK_FALSE(shown_checkpoint(forged, key.origin, collector));
  LogOrigin other = key.origin;
  other.log = "other";
  CHECK_FALSE(shown_checkpoint(note, other, collector));
}

TEST_CASE("what was signed and is not held: larger, of another root, or of a later epoch") {
  const Key key;
  const LogHead head{9, sha256(bytes_of(std::string_view("9")))};
  const LogHead another{9, Digest()};
  CHECK(key.judge(2, 9, head) == Contained::yes);
  CHECK(key.judge(2, 9, another) == Contained::no);
  CHECK(key.judge(2, 10, head) == Contained::no);
  CHECK(key.judge(2, 8, head) == Contained::by_proof);
  CHECK(key.judge(1, 10, head) == Contained::yes);  // the epoch since accounts for it
  CHECK(key.judge(3, 8, head) == Contained::no);
}

TEST_CASE("the next epoch is above all that was signed") {
  const Key key;
  const auto shown = [&](uint32_t epoch) {
    return shown_checkpoint(key.note(epoch, 9), key.origin, key.signer->public_key());
  };
  CHECK(next_epoch(key.origin, std::nullopt) == 3);
  CHECK(next_epoch(key.origin, shown(2)) == 3);
  CHECK(next_epoch(key.origin, shown(7)) == 8);
}

TEST_CASE("a new epoch tells a person what does not come back by itself") {
  const auto upsert = new_epoch_opened(example(), "device acme/one shows more", Timestamp(5));
  CHECK(upsert.row.kind == "new_epoch");
  CHECK(upsert.row.detail.find("epoch 3") != std::string::npos);
  CHECK(upsert.row.detail.find("device acme/one shows more") != std::string::npos);
  CHECK(upsert.row.detail.find("does not") != std::string::npos);
}

}  // namespace ledgerline::collector
