#pragma once
// Corrections: what an operator says about usage beside the readings, and what that does to it.
// Readings stay as they are. An add is a reading of a series of its own, a void is applied whenever
// usage is read, and a withdraw ends one of them: usage is a function of the set of readings and
// corrections, whatever the order in which they are folded. Pure.

#include <map>
#include <set>

#include "collector/core/catalog.h"
#include "collector/core/folding.h"
#include "collector/core/periods.h"
#include "collector/core/statement.h"

namespace ledgerline::collector {

struct Correction {
  static constexpr size_t kReferencesMax = 100;
  static constexpr size_t kTextSizeMax = 4096;  // of subject, reason and each reference

  std::string tenant;
  CorrectionAction action = CorrectionAction::add;
  // A withdraw repeats these members of what it ends.
  std::string device;
  std::string subject;  // empty: the device itself
  std::string meter;
  std::string unit;
  Timestamp from;                       // of an add: the reading's time
  std::optional<Timestamp> until;       // nothing: of an add
  std::optional<Decimal> value;         // of an add only: at its own scale, fits 64 bits, not 0
  std::optional<Digest> withdraws;      // of a withdraw only: the id of an add or void
  std::vector<std::string> references;  // tickets, letters, meter protocols
  std::string by;
  Timestamp at;
  std::string reason;

  [[nodiscard]] std::string json() const;
  /// Errc::corrupt, naming the member.
  static Result<Correction> parse(std::string_view json);
};

std::string_view to_string(CorrectionAction action);

/// What the command asks before it signs. Errc::reject: a meter that the catalog does not know,
/// another unit than its, times that no reading could have.
Status check_correction(const Correction& correction, const Catalog& catalog);

/// Names of dimensions that begin so are ours: a device's readings with one are no usage.
inline constexpr std::string_view kReservedDimensions = "ledgerline.";
/// The single dimension of a correction's series; its value is the statement's id in hexadecimal.
inline constexpr std::string_view kCorrectionDimension = "ledgerline.correction";
bool is_reserved(const DimensionSet& dimensions);
bool is_correction(const SeriesKey& key);

/// The row that a statement of this id and leaf becomes.
CorrectionRow row_of(const Correction& correction, const Digest& id, LeafNumber leaf);

/// What a correction leaf means.
struct CorrectionFold {
  std::optional<CorrectionRow> row;
  std::optional<SeriesUsage> usage;  // of an add
  std::vector<ExceptionUpsert> exceptions;
};
/// A statement that cannot be taken becomes an exception and changes no usage.
CorrectionFold fold_correction(const LogEntry& leaf);

/// The corrections of one device, taken together.
class Corrections {
 public:
  explicit Corrections(const std::vector<CorrectionRow>& rows);

  /// True for the series of an add that was withdrawn.
  [[nodiscard]] bool is_withdrawn(const SeriesKey& key) const;
  /// What voids leave of the period for the readings of a series, ascending; of a correction's
  /// series the whole.
  [[nodiscard]] std::vector<Period> kept(const SeriesKey& key, Period period) const;

 private:
  struct About {
    std::vector<Period> voided;       // ascending by from
    std::set<std::string> withdrawn;  // ids, in hexadecimal
  };
  /// Nullptr where there are none.
  [[nodiscard]] const About* about(const SeriesKey& key) const;

  std::map<std::pair<std::string, std::string>, About> about_;  // by subject and meter
};

}  // namespace ledgerline::collector
