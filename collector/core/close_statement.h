#pragma once
// The close statement: what a period came to, and everything it rests on. Signed by the collector,
// or by the operator who closed it by hand. Revision 1 closes the period; each later one is an
// adjustment of it. Pure.

#include "collector/core/periods.h"
#include "collector/core/statement.h"

namespace ledgerline::collector {

struct CloseStatement {
  /// How far a stream of a device that the period needed was read.
  struct Stream {
    StreamId stream;
    std::string device;
    BatchNumber batch = 0;  // the newest that was folded
    BatchId batch_id;       // its chain value; at 0 the grant's id
    Seq next_seq = 1;
    std::optional<Timestamp> complete_through;
    friend bool operator==(const Stream&, const Stream&) = default;
  };
  /// Cumulative over all revisions so far.
  struct Line {
    std::string subscription;
    std::string meter;
    std::string unit;
    Decimal quantity;
    uint64_t readings = 0;
    Decimal amount;
    friend bool operator==(const Line&, const Line&) = default;
  };
  struct Document {
    std::string id;
    uint32_t revision = 1;
    Digest sha256;  // of the body
    friend bool operator==(const Document&, const Document&) = default;
  };

  std::string tenant;
  std::string contract;
  Period period;
  uint32_t revision = 1;
  LeafNumber log_leaves = 0;      // leaves whose meaning it rests on
  std::optional<Digest> catalog;  // ids of the versions in force
  std::optional<Digest> mapping;
  std::string zone_database;
  std::vector<Stream> streams;
  std::vector<Digest> gaps;  // acceptances that it relies on
  std::vector<Line> lines;
  std::optional<Document> document;
  std::string by;
  Timestamp at;

  [[nodiscard]] std::string json() const;
  /// Errc::corrupt, naming the member.
  static Result<CloseStatement> parse(std::string_view json);
};

}  // namespace ledgerline::collector
