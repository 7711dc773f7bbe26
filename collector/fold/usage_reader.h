#pragma once
// Usage of any span of time, exact. Whole quarter hours are read from the fold's rows; where a span
// begins or ends inside a quarter hour (a period of minutes, a link that changes at noon and a bit)
// the readings of that quarter hour are read back from the evidence, each leaf once for all that
// asked. Blocking: runs on the storage thread.

#include <map>
#include <vector>

#include "collector/fold/evidence_reader.h"
#include "collector/store/store.h"

namespace ledgerline::collector {

class UsageReader {
 public:
  UsageReader(Store& store, EvidenceReader& evidence) : store_(store), evidence_(evidence) {}

  /// Asks for the usage of a series in [from, until); answered by the next read(), under the
  /// returned index.
  size_t ask(SeriesRow series, Timestamp from, Timestamp until);
  /// Answers in the order of the questions, and forgets them.
  Result<std::vector<UsageValue>> read();

 private:
  struct Question {
    SeriesRow series;
    Timestamp from;
    Timestamp until;
  };
  /// A piece of a question that is shorter than its quarter hour.
  struct Piece {
    size_t question = 0;
    Timestamp from;
    Timestamp until;
  };

  Status read_quarters(size_t index);
  Status ask_evidence(size_t index, QuarterHour quarter);
  Status read_leaf(LeafNumber leaf, const std::vector<Piece>& pieces);

  Store& store_;
  EvidenceReader& evidence_;
  std::vector<Question> questions_;
  std::vector<UsageValue> answers_;
  std::map<LeafNumber, std::vector<Piece>> leaves_;
};

}  // namespace ledgerline::collector
