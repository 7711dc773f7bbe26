#pragma once
// What people in the external system still have to do, and how far they are: the part of a
// maintenance order that comes back. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/time.h"

namespace ledgerline::collector {

/// How far the people behind the external system are with a document.
struct WorkProgress {
  bool closed = false;
  std::optional<Timestamp> closed_at;
  std::string by;
  std::optional<int64_t> effort_minutes;
};

/// An order that the external system confirmed and nobody has closed yet.
struct OpenWork {
  std::string document;
  uint32_t revision = 1;
  std::string external_id;
  std::string rule;
  std::string asset;
  uint32_t number = 0;
};

/// Who keeps the open orders. Blocks: on the storage thread.
class WorkBook {
 public:
  virtual ~WorkBook() = default;
  virtual Result<std::vector<OpenWork>> open_work(const std::string& connector) = 0;
  /// Errc::conflict where the order was written again or closed meanwhile.
  virtual Status close_work(const OpenWork& work, const WorkProgress& progress, Timestamp now) = 0;
};

}  // namespace ledgerline::collector
