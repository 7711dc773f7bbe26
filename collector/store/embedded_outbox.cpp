// The outbox and the leases of those who work on it.

#include <algorithm>

#include "collector/store/embedded_store.h"

namespace ledgerline::collector {

namespace {

Key delivery_key(const std::string& id) { return Key(Table::delivery).text(id); }
Key lease_key(const std::string& name) { return Key(Table::lease).text(name); }

bool waits(DeliveryState state) {
  return state == DeliveryState::pending || state == DeliveryState::retry ||
         state == DeliveryState::unknown;
}

Key due_key(const DeliveryRow& row) {
  return Key(Table::due).text(row.connector).time(row.next_attempt_at).text(row.id);
}
Key in_flight_key(const std::string& id) { return Key(Table::in_flight).text(id); }

Status check_lease(Rows& rows, const std::string& name, uint64_t epoch) {
  TRY(const auto lease, rows.find<Lease>(lease_key(name)));
  if (lease && lease->epoch == epoch) return {};
  return fail(Error(Errc::conflict, "the lease was taken over").with("lease", name));
}

std::string cut(std::string text) {
  if (text.size() > DeliveryRow::kReplySizeMax) text.resize(DeliveryRow::kReplySizeMax);
  return text;
}

Result<std::vector<std::string>> due_ids(Rows& rows, const ClaimRequest& request) {
  const Key prefix = Key(Table::due).text(request.connector);
  // Half-open: everything due up to and at `now`.
  const Key end = Key(Table::due).text(request.connector).time(request.now + Duration(1));
  std::vector<std::string> ids;
  if (request.limit == 0) return ids;
  const auto visit = [&](ByteView key) -> Result<bool> {
    KeyReader reader(key);
    TRY_VOID(reader.text());  // connector
    TRY_VOID(reader.u64());   // time
    TRY(auto id, reader.text());
    ids.push_back(std::move(id));
    return ids.size() < request.limit;
  };
  TRY_VOID(rows.scan_keys(prefix, end, visit));
  return ids;
}

Result<DeliveryRow> claim_one(Rows& rows, const ClaimRequest& request, const std::string& id) {
  TRY(auto row, rows.get<DeliveryRow>(delivery_key(id), "delivery"));
  const DeliveryRow before = row;
  row.lookup_first = row.lookup_first || row.state == DeliveryState::unknown;
  row.state = DeliveryState::in_flight;
  ++row.attempt;
  row.lease_epoch = request.lease_epoch;
  row.updated_at = request.now;
  TRY_VOID(write_delivery(rows, before, row));
  return row;
}

Status settle_document(Rows& rows, const DeliveryRow& delivery, DocumentState state) {
  const Key key = Key(Table::document).text(delivery.document).u32(delivery.revision);
  TRY(auto document, rows.get<DocumentRow>(key, "document"));
  document.state = state;
  if (!delivery.external_id.empty()) document.external_id = delivery.external_id;
  return rows.put(key, document);
}

bool matches(const DeliveryFilter& filter, const DeliveryRow& row) {
  return (filter.connector.empty() || filter.connector == row.connector) &&
         (filter.tenant.empty() || filter.tenant == row.tenant) &&
         (filter.document.empty() || filter.document == row.document) &&
         (!filter.state || *filter.state == row.state);
}

}  // namespace

Status write_delivery(Rows& rows, const std::optional<DeliveryRow>& before,
                      const DeliveryRow& row) {
  if (before && waits(before->state)) TRY_VOID(rows.erase(due_key(*before)));
  if (before && before->state == DeliveryState::in_flight)
    TRY_VOID(rows.erase(in_flight_key(row.id)));
  if (waits(row.state)) TRY_VOID(rows.put_nothing(due_key(row)));
  if (row.state == DeliveryState::in_flight) TRY_VOID(rows.put_nothing(in_flight_key(row.id)));
  return rows.put(delivery_key(row.id), row);
}

Status release(Rows& rows, const DeliveryRelease& release) {
  TRY(auto row, rows.get<DeliveryRow>(delivery_key(release.id), "delivery"));
  if (row.state != release.expected || row.state == DeliveryState::in_flight)
    return fail(Error(Errc::conflict, "the delivery has moved on").with("delivery", release.id));
  const DeliveryRow before = row;
  row.state = release.state;
  row.lookups = 0;
  row.resends = 0;
  row.released_at_attempt = row.attempt;
  row.next_attempt_at = release.next_attempt_at;
  row.updated_at = release.at;
  return write_delivery(rows, before, row);
}

Status insert_delivery(Rows& rows, const DeliveryRow& row) {
  TRY_VOID(check_stored_name("a delivery's id", row.id));
  TRY_VOID(check_stored_name("a connector's name", row.connector));
  TRY(const bool taken, rows.contains(delivery_key(row.id)));
  if (taken)
    return fail(
        Error(Errc::conflict, "the delivery is in the outbox already").with("delivery", row.id));
  return write_delivery(rows, std::nullopt, row);
}

Result<std::vector<DeliveryRow>> EmbeddedStore::claim_deliveries(const ClaimRequest& request) {
  // Most calls find nothing due: those need no synced transaction.
  TRY(const bool any, read([&](Rows& rows) -> Result<bool> {
        TRY_VOID(check_lease(rows, request.lease, request.lease_epoch));
        TRY(const auto ids, due_ids(rows, request));
        return !ids.empty();
      }));
  if (!any) return std::vector<DeliveryRow>{};
  return write([&](Rows& rows) -> Result<std::vector<DeliveryRow>> {
    TRY_VOID(check_lease(rows, request.lease, request.lease_epoch));
    TRY(const auto ids, due_ids(rows, request));
    std::vector<DeliveryRow> out;
    for (const std::string& id : ids) {
      TRY(auto row, claim_one(rows, request, id));
      out.push_back(std::move(row));
    }
    return out;
  });
}

Status EmbeddedStore::settle_delivery(const DeliverySettlement& settlement) {
  return write([&](Rows& rows) -> Status {
    TRY_VOID(check_lease(rows, settlement.lease, settlement.lease_epoch));
    TRY(auto row, rows.get<DeliveryRow>(delivery_key(settlement.id), "delivery"));
    if (row.state != DeliveryState::in_flight || row.attempt != settlement.attempt ||
        row.lease_epoch != settlement.lease_epoch) {
      return fail(
          Error(Errc::conflict, "the delivery has moved on").with("delivery", settlement.id));
    }
    const DeliveryRow before = row;
    row.state = settlement.state;
    row.lookup_first = settlement.lookup_first;
    row.lookups = settlement.lookups;
    row.resends = settlement.resends;
    row.next_attempt_at = settlement.next_attempt_at;
    if (!row.first_sent_at) row.first_sent_at = settlement.first_sent_at;
    if (!settlement.external_id.empty()) row.external_id = settlement.external_id;
    row.reply = cut(settlement.reply);
    row.updated_at = settlement.at;
    TRY_VOID(write_delivery(rows, before, row));
    if (settlement.document_state) TRY_VOID(settle_document(rows, row, *settlement.document_state));
    return write_exceptions(rows, settlement.exceptions);
  });
}

Status EmbeddedStore::release_delivery(const DeliveryRelease& wanted) {
  return write([&](Rows& rows) { return release(rows, wanted); });
}

Result<size_t> EmbeddedStore::recover_deliveries(const std::string& connector,
                                                 const std::string& lease, uint64_t lease_epoch,
                                                 Timestamp now) {
  return write([&](Rows& rows) -> Result<size_t> {
    TRY_VOID(check_lease(rows, lease, lease_epoch));
    std::vector<std::string> ids;
    const Key prefix(Table::in_flight);
    TRY_VOID(rows.scan_keys(prefix, prefix.end(), [&](ByteView key) -> Result<bool> {
      TRY(auto id, KeyReader(key).text());
      ids.push_back(std::move(id));
      return true;
    }));
    size_t recovered = 0;
    for (const std::string& id : ids) {
      TRY(auto row, rows.get<DeliveryRow>(delivery_key(id), "delivery"));
      if (row.connector != connector || row.lease_epoch >= lease_epoch) continue;
      const DeliveryRow before = row;
      row.state = DeliveryState::unknown;
      row.lookup_first = true;
      row.next_attempt_at = now;
      row.updated_at = now;
      TRY_VOID(write_delivery(rows, before, row));
      ++recovered;
    }
    return recovered;
  });
}

Result<std::optional<DeliveryRow>> EmbeddedStore::delivery(const std::string& id) {
  return read([&](Rows& rows) { return rows.find<DeliveryRow>(delivery_key(id)); });
}

Result<std::vector<DeliveryRow>> EmbeddedStore::list_deliveries(const DeliveryFilter& filter) {
  return read([&](Rows& rows) -> Result<std::vector<DeliveryRow>> {
    const Key prefix(Table::delivery);
    const Bytes from = filter.after.empty() ? prefix.bytes() : delivery_key(filter.after).end();
    std::vector<DeliveryRow> out;
    TRY_VOID(
        rows.scan<DeliveryRow>(from, prefix.end(), [&](ByteView, DeliveryRow row) -> Result<bool> {
          if (out.size() == filter.limit) return false;
          if (matches(filter, row)) out.push_back(std::move(row));
          return true;
        }));
    return out;
  });
}

Result<Lease> EmbeddedStore::acquire_lease(const LeaseRequest& request) {
  return write([&](Rows& rows) -> Result<Lease> {
    TRY_VOID(check_stored_name("a lease's name", request.name));
    TRY(const auto stored, rows.find<Lease>(lease_key(request.name)));
    if (stored && stored->holder != request.holder && stored->expires_at > request.now) {
      return fail(
          Error(Errc::conflict, "another worker holds the lease").with("holder", stored->holder));
    }
    const Lease lease{.name = request.name,
                      .holder = request.holder,
                      .epoch = stored ? stored->epoch + 1 : 1,
                      .expires_at = request.now + request.lifetime};
    TRY_VOID(rows.put(lease_key(request.name), lease));
    return lease;
  });
}

Result<Lease> EmbeddedStore::renew_lease(const std::string& name, uint64_t epoch, Timestamp now,
                                         Duration lifetime) {
  return write([&](Rows& rows) -> Result<Lease> {
    TRY_VOID(check_lease(rows, name, epoch));
    TRY(auto lease, rows.get<Lease>(lease_key(name), "lease"));
    lease.expires_at = now + lifetime;
    TRY_VOID(rows.put(lease_key(name), lease));
    return lease;
  });
}

}  // namespace ledgerline::collector
