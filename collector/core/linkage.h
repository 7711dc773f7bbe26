#pragma once
// What becomes of batches that arrived for one stream, once their signatures and hashes are known
// to be right (reliability.md 1.4, step 3). Pure: decides about a whole group, so that one
// transaction can hold it.
//
// A batch extends the chain where its number follows the head and it names the head's id. A second
// batch for a number, or one that contradicts its neighbours, proves that two journals wrote one
// stream: both are kept, nothing links any more.
//
// A tombstone is one step of the chain that stands for several batches. It may stand for some that
// are linked already; a batch that it stands for and that comes later is a duplicate.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/messages.h"

namespace ledgerline::collector {

struct ChainedBatch {
  BatchNumber number = 0;  // of a tombstone: the last that it stands for
  BatchId id;              // the chain value at number
  BatchId previous;        // of a tombstone: the chain value at first - 1
  BatchNumber first = 0;   // of a tombstone: the first that it stands for; 0: a batch
};

struct LinkageState {
  StreamStatus status = StreamStatus::open;
  BatchNumber head_number = 0;
  BatchId head_id;  // the grant's id where head_number is 0
  std::map<BatchNumber, ChainedBatch> parked;
  /// Of each number up to the head that the group names, and of the one before (of a tombstone: the
  /// one before its first). A number that is missing lies inside a tombstone.
  std::map<BatchNumber, BatchId> linked;
  std::set<BatchId> forks;  // kept already, as the other branch or after a freeze
};

enum class Fate : uint8_t {
  linked,
  duplicate,  // the same id is linked, parked or kept
  parked,     // ahead of the head
  forked,     // contradicts the chain: kept, and the stream is frozen by it
  kept,       // the stream was frozen or closed before: evidence only
  dropped,    // beyond a limit; no receipt names it, so an honest agent sends it again
};

struct Linkage {
  static constexpr size_t kParkedMax = Receipt::kParkedMax;
  static constexpr size_t kForksMax = 64;  // per stream

  struct Link {
    BatchNumber number = 0;  // the one after the last; of a tombstone: any above it
    BatchId id;
    std::optional<size_t> arrival;  // index in the group; absent: it was parked before
  };

  std::vector<Fate> fates;    // one per arrival
  std::vector<Link> links;    // in order
  std::vector<size_t> parks;  // arrivals
  std::vector<size_t> keeps;  // arrivals: forked and kept
  std::optional<BatchNumber>
      frozen_at;  // set where this group froze the stream: both branches agree up to here at most
  BatchNumber head_number = 0;
  BatchId head_id;
  std::vector<BatchNumber> parked;  // ascending, afterwards

  /// A duplicate or a dropped batch changes nothing that is stored.
  [[nodiscard]] bool changed() const {
    return !links.empty() || !parks.empty() || !keeps.empty() || frozen_at.has_value();
  }
};

Linkage link_group(const LinkageState& state, const std::vector<ChainedBatch>& arrivals);

/// What a stream's row says when a device asks (resume).
struct HeldStream {
  StreamStatus status = StreamStatus::open;
  BatchNumber head_number = 0;
  BatchId head_id;
  std::vector<BatchNumber> parked;  // ascending
};
struct ResumeVerdict {
  Verdict verdict = Verdict::continue_;
  std::string detail;
  bool collector_is_behind =
      false;  // the device holds a receipt for more than we hold: our store was restored
};
/// Nothing that is stored follows from a resume: it may be an old one, replayed. Only the answer
/// does, and the device takes it only for the nonce that it asked with last.
ResumeVerdict judge_resume(const HeldStream& held, const Resume& resume);

}  // namespace ledgerline::collector
