#pragma once
// One external system as the dispatcher sees it. Implementations: engine.h (a Lua profile over
// HTTP), fakes in tests. Called on the runtime's context thread; one operation at a time.

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <string>

#include "collector/core/delivery.h"
#include "collector/core/field_work.h"
#include "common/json.h"

namespace ledgerline::collector {

struct ConnectorCounters {
  uint64_t requests = 0;
  uint64_t failures = 0;  // no reply, 429 or 5xx
  uint64_t logins = 0;
};

using ProgressOutcome = tl::expected<WorkProgress, AttemptOutcome>;

class Connector {
 public:
  virtual ~Connector() = default;
  [[nodiscard]] virtual const std::string& name() const = 0;
  [[nodiscard]] virtual const DeliveryRules& rules() const = 0;
  /// Zero where an operation may start; else how long the system is to be left alone.
  [[nodiscard]] virtual Duration wait() const = 0;
  [[nodiscard]] virtual const ConnectorCounters& counters() const = 0;
  /// Why the newest operation failed; empty after one that worked.
  [[nodiscard]] virtual const std::string& last_failure() const = 0;

  /// Find by our id; where there is nothing, create; read back. `document` is the body with its
  /// external_id.
  virtual boost::asio::awaitable<AttemptOutcome> deliver(Json document) = 0;
  /// Find by our id and read back. Creates nothing.
  virtual boost::asio::awaitable<AttemptOutcome> look_up(Json document) = 0;

  /// Whether the external system can say how far its people are.
  [[nodiscard]] virtual bool has_progress() const = 0;
  /// Of a confirmed document. The error is a retry, or a rejection where it is not to be found.
  virtual boost::asio::awaitable<ProgressOutcome> progress(Json document,
                                                           std::string reference) = 0;
};

}  // namespace ledgerline::collector
