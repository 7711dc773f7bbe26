#pragma once
// Readings as columns: the plain bytes of a section (message Section, PROTOCOL.md "Section"). The
// journal's runs and the batches use the same encoding. Pure; the hot path of both programs.

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "common/bytes.h"
#include "common/meter.h"
#include "common/time.h"

namespace ledgerline {

struct BootRecord {
  BootId boot_id;
  std::string software;
  Digest configuration_hash;
  uint64_t last_receipt_number = 0;
  BatchNumber last_receipt_upto = 0;
  friend bool operator==(const BootRecord&, const BootRecord&) = default;
};

struct MeterTable {
  static constexpr size_t kStreamMetersMax = 1024;  // all tables of a stream together
  static constexpr size_t kNameMax = 128;
  static constexpr size_t kUnitMax = 32;

  uint32_t number = 0;
  std::vector<MeterRow> rows;  // ascending by number
  friend bool operator==(const MeterTable&, const MeterTable&) = default;
};

struct ClockAnchor {
  Monotonic monotonic;
  Timestamp wall;
  bool synchronised = false;
  friend bool operator==(const ClockAnchor&, const ClockAnchor&) = default;
};

/// The journal had no room for each measurement: from before_seq on, `readings` readings stand for
/// `measurements` of them.
struct Coarsened {
  uint32_t readings = 0;
  uint64_t measurements = 0;
  Timestamp from;  // when the first was taken
  Timestamp to;    // and the last
  Duration step{};
  friend bool operator==(const Coarsened&, const Coarsened&) = default;
};

using RecordKind = std::variant<BootRecord, MeterTable, ClockAnchor, Coarsened>;

/// A statement of the stream about itself, standing before the reading with seq before_seq.
struct Record {
  Seq before_seq = 0;
  RecordKind kind;
  friend bool operator==(const Record&, const Record&) = default;
};

/// The meters of a stream known so far, by number.
using MeterRows = std::map<uint32_t, MeterRow>;

/// One run of readings and the records between them. All per-reading vectors have size() entries,
/// but two: ids is empty where no reading has one, seqs where they are first_seq, first_seq + 1 ...
/// as they are everywhere but in a section of a batch by subject and in what is left of a batch
/// with sections withheld. There, first_seq is the batch's.
struct Columns {
  static constexpr size_t kReadingsMax = 4096;
  static constexpr size_t kPlainSizeMax = 1 << 20;
  /// Of one reading's subject and dimensions: a dictionary names them once, usage once per series.
  static constexpr size_t kSeriesTextMax = 4 * 1024;

  Seq first_seq = 1;
  std::vector<Record> records;
  std::vector<std::string> subjects;         // subject_indexes: 0 the device, n subjects[n - 1]
  std::vector<DimensionSet> dimension_sets;  // dimension_indexes: 0 none, n dimension_sets[n - 1]
  std::vector<uint32_t> meters;
  std::vector<uint32_t> subject_indexes;
  std::vector<uint32_t> dimension_indexes;
  std::vector<int64_t> times;
  std::vector<uint8_t> flags;  // kFlag...
  std::vector<int64_t> values;
  std::vector<int64_t> registers;  // 0 where the meter is not a register
  std::vector<std::string> ids;
  std::vector<Seq> seqs;  // ascending

  static constexpr uint8_t kFlagMonotonic = 1;
  static constexpr uint8_t kFlagReset = 2;
  static constexpr uint8_t kFlagLate = 4;

  [[nodiscard]] size_t size() const { return meters.size(); }
  [[nodiscard]] Seq seq(size_t i) const { return seqs.empty() ? first_seq + i : seqs[i]; }
  [[nodiscard]] Seq next_seq() const { return size() == 0 ? first_seq : seq(size() - 1) + 1; }
  /// The first reading with this seq or a later one; size() where there is none.
  [[nodiscard]] size_t index_of(Seq seq) const;
  [[nodiscard]] std::string_view subject(size_t i) const;
  [[nodiscard]] const DimensionSet& dimensions(size_t i) const;
  [[nodiscard]] Reading reading(size_t i) const;
  friend bool operator==(const Columns&, const Columns&) = default;
};

/// Collects readings into Columns with shared dictionaries.
class ColumnsBuilder {
 public:
  explicit ColumnsBuilder(Seq first_seq) { columns_.first_seq = first_seq; }

  void add(const Reading& reading);
  /// Another run whose readings are added one by one; each of its texts is looked up once.
  class Source {
   public:
    explicit Source(const Columns& columns);  // outlives the source

   private:
    friend class ColumnsBuilder;
    const Columns* columns_;
    std::vector<uint32_t> subjects_;  // theirs -> ours; 0: not looked up
    std::vector<uint32_t> dimensions_;
  };
  /// The i-th reading of the source, as the next one here. A source belongs to one builder.
  void add(Source& source, size_t i);
  /// A record that stands before the next reading added.
  void add(RecordKind record);
  /// Everything of a run that begins at next_seq(). Invariant: run.first_seq == next_seq(), and it
  /// leaves no seq out.
  void append(const Columns& run);

  [[nodiscard]] size_t size() const { return columns_.size(); }
  [[nodiscard]] Seq next_seq() const { return columns_.next_seq(); }
  [[nodiscard]] bool empty() const { return columns_.size() == 0 && columns_.records.empty(); }
  [[nodiscard]] const Columns& columns() const { return columns_; }
  Columns take() { return std::move(columns_); }

 private:
  uint32_t subject_index(std::string_view subject);
  uint32_t dimension_index(const DimensionSet& dimensions);

  Columns columns_;
  std::map<std::string, uint32_t, std::less<>> subject_indexes_;
  std::map<DimensionSet, uint32_t> dimension_indexes_;
};

/// Plain bytes of one section. `meters` says which meters are registers or forward ids; tables
/// among the records count.
Bytes encode_section(const Columns& columns, const MeterRows& meters);

/// Errc::corrupt, naming the column, where it does not parse, a count or index is off, a limit is
/// passed, a dimension set is not sorted, a meter is in no table, or text is not UTF-8.
Result<Columns> decode_section(ByteView plain, Seq first_seq, const MeterRows& meters);

/// A section of a batch by subject: it may leave out any seq from first_seq to last_seq (first_seq
/// - 1: none), and its records stand anywhere between them.
Result<Columns> decode_subject_section(ByteView plain, Seq first_seq, Seq last_seq,
                                       const MeterRows& meters);

/// Meters after the tables among `records`. Errc::corrupt where a number changes its meaning or the
/// stream would have more than kStreamMetersMax.
Status apply_meter_tables(const std::vector<Record>& records, MeterRows& meters);

}  // namespace ledgerline
