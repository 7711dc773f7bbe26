#include "collector/core/ledger.h"

#include <algorithm>

#include "collector/core/booking.h"
#include "common/json.h"

namespace ledgerline::collector {

std::string LedgerRow::text() const {
  return Json::array({Json::string(tenant), Json::string(subscription),
                      Json::string(to_rfc3339(from)), Json::string(to_rfc3339(until)),
                      Json::string(meter), Json::string(quantity.trimmed().text()),
                      Json::string(amount.trimmed().text()), Json::string(rate_card),
                      Json::number(rate_card_version)})
      .dump();
}

Result<std::vector<LedgerRow>> ledger_rows(const PeriodRow& period) {
  std::vector<LedgerRow> out;
  if (!period.closed) return out;
  TRY(const PeriodDetail detail, PeriodDetail::parse(period.detail));
  for (const BookedLine& line : detail.lines) {
    LedgerRow row{.tenant = period.tenant,
                  .subscription = line.subscription,
                  .from = period.from,
                  .until = period.to,
                  .meter = line.meter,
                  .quantity = line.quantity,
                  .amount = {},
                  .rate_card = line.rate_card,
                  .rate_card_version = line.rate_card_version};
    TRY(row.amount, line.amount());
    out.push_back(std::move(row));
  }
  return out;
}

Digest ledger_hash(std::vector<std::string> texts) {
  std::sort(texts.begin(), texts.end());  // as bytes: std::string compares them unsigned
  std::string all;
  for (const std::string& text : texts) all += text + "\n";
  return sha256(bytes_of(all));
}

}  // namespace ledgerline::collector
