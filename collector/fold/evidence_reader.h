#pragma once
// Readings read back from the evidence log, placed in time as the fold placed them.

#include <optional>
#include <string>
#include <vector>

#include "common/columns.h"
#include "common/result.h"
#include "common/time.h"

namespace ledgerline::collector {

/// The readings of one batch.
struct PlacedLeaf {
  std::string tenant;
  std::string device;
  StreamId stream;
  MeterRows meters;
  Columns columns;
  std::vector<std::optional<Timestamp>>
      times;  // one per reading; nothing: the fold did not count it
};

class EvidenceReader {
 public:
  virtual ~EvidenceReader() = default;
  /// Errc::not_found, or Errc::corrupt where the leaf no longer says what the fold read.
  virtual Result<PlacedLeaf> read(LeafNumber leaf) = 0;
};

}  // namespace ledgerline::collector
