#pragma once
// What the agent says about itself: one JSON object that `status`, GET /v1/status and scripts read,
// the same in words, and its counters for Prometheus. Pure.

#include <optional>
#include <string>

#include "agent/journal/group_commit.h"
#include "agent/journal/journal.h"
#include "agent/ops/config.h"
#include "common/json.h"

namespace ledgerline::agent {

/// The uplink as a report shows it; main fills it in, because ops and uplink do not know each
/// other.
struct UplinkReport {
  bool connected = false;
  std::string failure;         // why it is not connected; empty while it is
  std::string alarm;           // why nothing is sent although connected; empty where all is well
  bool undeliverable = false;  // readings recorded now cannot be delivered on this stream
  std::string verdict;         // of the collector's newest answer; empty before the first
  uint64_t in_flight = 0;
  uint64_t batches_sent = 0;
  uint64_t batches_resent = 0;
  uint64_t batches_refused = 0;
  uint64_t tombstones_sent = 0;
  uint64_t resumes = 0;
  uint64_t receipts = 0;
  uint64_t statements_refused = 0;
  uint64_t heartbeats = 0;
  uint64_t checkpoints =
      0;  // of the collector's log, verified; of the billing stream, like the next
  uint64_t checkpoints_refused = 0;
  uint64_t checkpoint_conflicts = 0;
  uint64_t connects = 0;
  uint64_t connection_failures = 0;
};

/// What only a running agent knows. Session counters (connects, connected, failure) are the same
/// for both streams.
struct StreamReport {
  GroupCommitCounters commits;
  UplinkReport uplink;
};
struct LiveReport : StreamReport {
  Json inputs = Json::object();  // what each kind of input says of itself, by its name
};

/// The diagnostic stream of a device that has one.
struct DiagnosticReport {
  JournalStatus journal;
  std::optional<StreamReport> live;
  uint64_t lost = 0;  // readings that came with billing ones, could not wait and were refused
};

Json status_report(const AgentConfig& config, const JournalStatus& journal,
                   const std::optional<LiveReport>& live,
                   const std::optional<DiagnosticReport>& diagnostic = std::nullopt);
/// For a person; reads any object that status_report() made.
std::string status_text(const Json& report);
/// The diagnostic stream's have "diagnostic_" in their names.
std::string metrics_text(const JournalStatus& journal, const LiveReport& live,
                         const std::optional<DiagnosticReport>& diagnostic = std::nullopt);

}  // namespace ledgerline::agent
