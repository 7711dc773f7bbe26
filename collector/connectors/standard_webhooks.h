#pragma once
// Signs a request as Standard Webhooks 1.0.0 says (https://www.standardwebhooks.com, "Signature
// scheme", symmetric):
//   webhook-id         of the event, the same for every attempt; without '.'
//   webhook-timestamp  of the attempt, whole seconds of Unix time
//   webhook-signature  "v1," base64(HMAC-SHA256(secret, id "." timestamp "." body))
// Pure: time is passed in.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/time.h"

namespace ledgerline::collector {

class WebhookSecret {
 public:
  /// "whsec_" and the base64 of 24 to 64 random bytes. Errc::config otherwise; the text is not
  /// repeated in the error.
  static Result<WebhookSecret> parse(std::string_view text);

  /// The three headers.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> headers(
      std::string_view id, Timestamp at, std::string_view body) const;

 private:
  explicit WebhookSecret(Bytes key) : key_(std::move(key)) {}
  Bytes key_;
};

/// Whether an id can be signed: 1 to 255 visible ASCII characters, none of them '.', which
/// separates what is signed.
bool is_webhook_id(std::string_view id);

}  // namespace ledgerline::collector
