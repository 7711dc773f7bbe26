#include "common/topics.h"

#include <array>

#include "common/bytes.h"
#include "common/messages.h"

namespace ledgerline {

namespace {

constexpr std::string_view kPrefix = "ledgerline/v1/";
constexpr std::array kLeaves = {TopicLeaf::batch, TopicLeaf::heartbeat, TopicLeaf::resume,
                                TopicLeaf::receipt, TopicLeaf::answer};

}  // namespace

std::string_view to_string(TopicLeaf leaf) {
  switch (leaf) {
    case TopicLeaf::batch:
      return "batch";
    case TopicLeaf::heartbeat:
      return "heartbeat";
    case TopicLeaf::resume:
      return "resume";
    case TopicLeaf::receipt:
      return "receipt";
    case TopicLeaf::answer:
      return "answer";
  }
  return "unknown";
}

std::string Topic::text() const {
  std::string out(kPrefix);
  out.append(tenant)
      .append("/")
      .append(to_hex(ByteView(&partition, 1)))
      .append("/")
      .append(device)
      .append("/");
  return out.append(to_string(leaf));
}

Result<Topic> parse_topic(std::string_view text) {
  const auto refuse = [&] {
    return fail(Error(Errc::reject, "not a Ledgerline topic")
                    .with("topic", std::string(text.substr(0, 200))));
  };
  if (!text.starts_with(kPrefix)) return refuse();
  std::array<std::string_view, 4> parts;
  std::string_view rest = text.substr(kPrefix.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    const size_t slash = rest.find('/');
    if ((slash == std::string_view::npos) != (i == 3)) return refuse();
    parts[i] = rest.substr(0, slash);
    rest = i == 3 ? std::string_view() : rest.substr(slash + 1);
  }
  const auto partition = from_hex(parts[1]);
  if (!partition || partition->size() != 1) return refuse();
  Topic topic{.tenant = std::string(parts[0]),
              .partition = partition->front(),
              .device = std::string(parts[2])};
  if (!check_name("tenant", topic.tenant) || !check_name("device", topic.device)) return refuse();
  for (const TopicLeaf leaf : kLeaves) {
    if (parts[3] != to_string(leaf)) continue;
    topic.leaf = leaf;
    if (topic.text() != text) return refuse();  // "FF" for "ff"
    return topic;
  }
  return refuse();
}

std::string topic_filter(TopicLeaf leaf) {
  return std::string(kPrefix).append("+/+/+/").append(to_string(leaf));
}

}  // namespace ledgerline
