#pragma once
// MQTT topics: ledgerline/v1/<tenant>/<partition>/<device>/<leaf>, partition as two hexadecimal
// digits. Pure.

#include <string>
#include <string_view>

#include "common/result.h"

namespace ledgerline {

enum class TopicLeaf { batch, heartbeat, resume, receipt, answer };

struct Topic {
  std::string tenant;
  uint8_t partition = 0;
  std::string device;
  TopicLeaf leaf = TopicLeaf::batch;

  [[nodiscard]] std::string text() const;
};

/// Errc::reject where the text is not exactly such a topic.
Result<Topic> parse_topic(std::string_view text);
/// A subscription for all devices of all tenants: ledgerline/v1/+/+/+/<leaf>.
std::string topic_filter(TopicLeaf leaf);
std::string_view to_string(TopicLeaf leaf);

}  // namespace ledgerline
