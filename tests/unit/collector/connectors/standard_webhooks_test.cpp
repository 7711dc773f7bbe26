#include "collector/connectors/standard_webhooks.h"

#include <catch2/catch.hpp>

namespace ledgerline::collector {
namespace {

// The example that the reference libraries of Standard Webhooks test "sign" with:
// github.com/standard-webhooks/standard-webhooks, libraries/javascript/src/webhook.test.ts.
TEST_CASE("the published example of Standard Webhooks is signed as published") {
  const auto secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
  REQUIRE(secret);

  const auto headers = secret->headers("msg_p5jXN8AQM9LWM0D4loKWxJek", Timestamp(1'614'265'330'999),
                                       R"({"test": 2432232314})");

  const std::vector<std::pair<std::string, std::string>> expected = {
      {"webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"},
      {"webhook-timestamp", "1614265330"},
      {"webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}};
  CHECK(headers == expected);
}

TEST_CASE("a text that is no secret of Standard Webhooks is refused and not repeated") {
  const std::string good(32, 'A');  // 24 bytes
  CHECK(WebhookSecret::parse("whsec_" + good));
  CHECK(WebhookSecret::parse("whsec_" + std::string(86, 'A') + "=="));  // 64 bytes
  for (const std::string& text :
       {std::string(), std::string("whsec_"), good, "whsk_" + good, "whsec_" + good.substr(4),
        "whsec_" + std::string(88, 'A'), "whsec_" + good.substr(1) + "-", "whsec_" + good + "\n"}) {
    INFO(text);
    const auto secret = WebhookSecret::parse(text);
    REQUIRE_FALSE(secret);
    CHECK(secret.error().code() == Errc::config);
    CHECK(secret.error().text().find("AAAA") == std::string::npos);
  }
}

TEST_CASE("an id that could pass for another part of what is signed is none") {
  CHECK(is_webhook_id("mo-1/r2"));
  for (const char* id : {"", "a.b", "a b", "a\nb", "\xc3\xbc"}) {
    INFO(id);
    CHECK_FALSE(is_webhook_id(id));
  }
  CHECK_FALSE(is_webhook_id(std::string(256, 'a')));
}

}  // namespace
}  // namespace ledgerline::collector
