#pragma once
// What a closed period has booked: the cumulative quantity of each line with its rated tiers, and
// the documents that said so. The sum of these documents is the amounts booked here. Pure.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "collector/core/catalog.h"
#include "collector/core/rating.h"
#include "collector/core/records.h"

namespace ledgerline::collector {

/// Subscription and meter: what one rated quantity belongs to.
using LineKey = std::pair<std::string, std::string>;
using PeriodUsage = std::map<LineKey, MeterUsage>;

/// What is booked for one line of a period, however many documents it took.
struct BookedLine {
  std::string subscription;
  std::string meter;
  std::string unit;
  Decimal quantity;
  uint64_t count = 0;     // readings in it
  std::string rate_card;  // that the period's start is rated by
  int64_t rate_card_version = 0;
  std::vector<RatedLine> tiers;  // none for quantity 0

  [[nodiscard]] LineKey key() const { return {subscription, meter}; }
  /// Of all tiers. Errc::reject beyond 128 bits.
  [[nodiscard]] Result<Decimal> amount() const;
};

/// The close, or one adjustment.
struct Booking {
  std::string document;  // empty: there was nothing to tell the customer
  Timestamp at;
};

/// PeriodRow::detail, canonical JSON: {format, catalog, zone_database, bookings [{document or null,
/// at}], lines [{subscription, meter, unit, quantity, readings, rate_card {name, version}, tiers
/// [{product, description, included, from, to or null, billable_quantity, unit_price, amount}]}]}.
struct PeriodDetail {
  static constexpr size_t kBookingsMax = 10'000;

  std::string catalog;  // hash, of the newest booking
  std::string zone_database;
  std::vector<Booking> bookings;  // the close first
  std::vector<BookedLine> lines;  // as they are after the newest booking

  [[nodiscard]] std::string json() const;
  /// Errc::corrupt.
  static Result<PeriodDetail> parse(std::string_view json);
  [[nodiscard]] const BookedLine* find(const LineKey& key) const;
  /// Of the close; empty: the period had nothing to bill then.
  [[nodiscard]] const std::string& original() const { return bookings.front().document; }
  /// Bookings after the close.
  [[nodiscard]] size_t adjustments() const { return bookings.size() - 1; }
  /// Documents after the close.
  [[nodiscard]] size_t adjustment_documents() const;
};

/// The lines of all usage that has a reading, rated by the cards in force at the period's start, in
/// the order of the contract's subscriptions and their prices. Errc::reject where it cannot be
/// rated.
Result<std::vector<BookedLine>> book_usage(const Catalog& catalog, const Contract& contract,
                                           Period period, const PeriodUsage& usage);

/// The part of a closed row that is one period at t: the row, or where nothing is booked for
/// perhaps many periods, the regular one.
Period named_period(const Contract& contract, const PeriodRow& row, const PeriodDetail& detail,
                    Timestamp t);

}  // namespace ledgerline::collector
