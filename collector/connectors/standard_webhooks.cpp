#include "collector/connectors/standard_webhooks.h"

#include <algorithm>

#include "common/base64.h"
#include "common/crypto.h"

namespace ledgerline::collector {

namespace {

constexpr std::string_view kPrefix = "whsec_";
constexpr size_t kSecretSizeMin = 24;
constexpr size_t kSecretSizeMax = 64;

}  // namespace

Result<WebhookSecret> WebhookSecret::parse(std::string_view text) {
  const auto wrong = [] {
    return fail(
        Errc::config,
        "the secret of Standard Webhooks is whsec_ and the base64 of 24 to 64 random bytes");
  };
  if (!text.starts_with(kPrefix)) return wrong();
  auto key = from_base64(text.substr(kPrefix.size()));
  if (!key || key->size() < kSecretSizeMin || key->size() > kSecretSizeMax) return wrong();
  return WebhookSecret(std::move(*key));
}

std::vector<std::pair<std::string, std::string>> WebhookSecret::headers(
    std::string_view id, Timestamp at, std::string_view body) const {
  const std::string seconds = std::to_string(at.unix_ms() / 1000);
  const Digest signature = hmac_sha256(
      key_, {bytes_of(id), bytes_of("."), bytes_of(seconds), bytes_of("."), bytes_of(body)});
  return {{"webhook-id", std::string(id)},
          {"webhook-timestamp", seconds},
          {"webhook-signature", "v1," + to_base64(signature.view())}};
}

bool is_webhook_id(std::string_view id) {
  return !id.empty() && id.size() <= 255 &&
         std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c <= '~' && c != '.'; });
}

}  // namespace ledgerline::collector
