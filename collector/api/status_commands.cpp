// check and status.

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <map>

#include "collector/api/commands.h"
#include "collector/api/setup.h"
#include "collector/api/state_names.h"
#include "collector/api/table.h"
#include "collector/fold/logged_catalog.h"
#include "collector/intake/log_epoch.h"
#include "common/exit_code.h"
#include "common/io/private_file.h"
#include "common/io/system.h"
#include "common/json.h"
#include "common/printable.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kPage = 1000;

Json number(uint64_t value) { return Json::number(std::to_string(value)); }
Json string(std::string_view text) { return Json::string(std::string(text)); }

struct Counts {
  std::map<std::string, uint64_t> documents;  // by state
  uint64_t open_exceptions = 0;
  uint64_t outbox = 0;  // deliveries on their way
};

template <class Row>
Result<std::vector<Row>> all_of(
    const std::function<Result<std::vector<Row>>(const std::string&)>& read) {
  std::vector<Row> out;
  std::string after;
  for (;;) {
    TRY(auto page, read(after));
    const bool last = page.size() < kPage;
    if (!page.empty()) after = page.back().id;
    std::move(page.begin(), page.end(), std::back_inserter(out));
    if (last) return out;
  }
}

Result<Counts> count_all(Store& store) {
  Counts out;
  TRY(const auto documents, all_of<DocumentRow>([&](const std::string& after) {
        return store.list_documents({.after = after, .limit = kPage});
      }));
  for (const auto& row : documents) ++out.documents[std::string(name_of(row.state))];
  TRY(const auto open, all_of<ExceptionRow>([&](const std::string& after) {
        return store.list_exceptions({.after = after, .limit = kPage});
      }));
  out.open_exceptions = open.size();
  TRY(const auto deliveries, all_of<DeliveryRow>([&](const std::string& after) {
        return store.list_deliveries({.after = after, .limit = kPage});
      }));
  for (const auto& row : deliveries) out.outbox += row.state == DeliveryState::confirmed ? 0 : 1;
  return out;
}

struct StreamLine {
  StreamRow row;
  StreamProgress progress;
  bool key_revoked = false;
};

Result<std::vector<StreamLine>> all_streams(Store& store) {
  std::vector<StreamLine> out;
  TRY(const auto devices, store.list_devices({}));
  for (const DeviceRow& device : devices) {
    TRY(auto rows, store.streams_of(device.tenant, device.device));
    TRY(const auto progress, store.progress(device.tenant, device.device));
    for (StreamRow& row : rows) {
      StreamLine line{.row = std::move(row)};
      for (const auto& one : progress) {
        if (one.stream == line.row.grant.stream) line.progress = one;
      }
      for (const auto& key : device.keys)
        line.key_revoked |= key.id == line.row.grant.key && key.revoked_at.has_value();
      out.push_back(std::move(line));
    }
  }
  return out;
}

std::string time_or_dash(const std::optional<Timestamp>& t) { return t ? to_rfc3339(*t) : "-"; }

std::string state_of(const StreamLine& line) {
  if (line.key_revoked) return "key revoked";
  return line.row.recovering() ? "recovering" : std::string(to_string(line.row.status));
}

Json as_json(const StreamLine& line) {
  return Json::object(
      {{"tenant", string(line.row.grant.tenant)},
       {"device", string(line.row.grant.device)},
       {"stream", string(line.row.grant.stream.hex())},
       {"class", string(to_string(line.row.grant.stream_class))},
       {"status", string(state_of(line))},
       {"linked_upto", number(line.row.head_number)},
       {"missing", number(line.row.missing())},
       {"parked", number(line.row.parked.size())},
       {"folded_upto", number(line.progress.folded_number)},
       {"readings", number(line.progress.folded_seq)},
       {"duplicates", number(line.row.duplicates)},
       {"complete_through", line.progress.complete_through
                                ? string(to_rfc3339(*line.progress.complete_through))
                                : Json::null()},
       {"heartbeat_at", line.progress.heartbeat_received_at
                            ? string(to_rfc3339(*line.progress.heartbeat_received_at))
                            : Json::null()}});
}

/// Why the fold stands still, from what it reads next; nothing where it does not.
Result<std::optional<std::string>> fold_error(Store& store, const FoldCursor& cursor) {
  if (cursor.cursor == cursor.log_size) return std::nullopt;
  const auto next = store.read_log(cursor.cursor, {.count = 1});
  if (next) return std::nullopt;
  if (next.error().code() != Errc::corrupt) return fail(next.error());
  return "stopped at leaf " + std::to_string(cursor.cursor) + ": " + next.error().text();
}

struct CatalogStatus {
  uint64_t catalog_version = 0;  // 0: none is loaded
  uint64_t mapping_version = 0;
  std::string error;  // empty: what is loaded is in force
};

Result<CatalogStatus> catalog_status(Store& store) {
  LoggedCatalog logged(store);
  const auto read = logged.refresh();
  if (!read && read.error().code() != Errc::corrupt) return fail(read.error());
  CatalogStatus out{.catalog_version = logged.state(LeafKind::catalog_version).number(),
                    .mapping_version = logged.state(LeafKind::mapping_version).number(),
                    .error = {}};
  if (!read) {
    out.error = read.error().text();
  } else if (const auto catalog = logged.catalog(); !catalog) {
    out.error = catalog.error().text();
  }
  return out;
}

std::string in_words(const CatalogStatus& status) {
  if (!status.error.empty()) return "nothing is rated: " + status.error;
  if (status.catalog_version == 0)
    return std::string("nothing is rated: no catalog is loaded; ") + kHowToLoad;
  return "version " + std::to_string(status.catalog_version) + ", mapping version " +
         std::to_string(status.mapping_version);
}

std::string there_or_not(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored) ? "there" : "made at the first use";
}

template <class Read>
Status readable(const std::string& what, const std::string& file, Read read) {
  const auto text = read(file);
  if (text) return {};
  return fail(Error(Errc::config, what + ": " + text.error().text()));
}

}  // namespace

Result<int> check(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                  std::ostream& out) {
  TRY(const Catalog catalog, read_catalog(config));
  boost::asio::io_context unused;
  TRY(const auto engines, open_engines(unused.get_executor(), clock, config));
  const auto read_public = [](const std::string& file) { return io::read_file(file); };
  const auto read_private = [](const std::string& file) { return io::read_private_file(file); };
  TRY_VOID(readable("[broker] ca", config.broker_ca, read_public));
  TRY_VOID(readable("[broker] certificate", config.broker_certificate, read_public));
  TRY_VOID(readable("[broker] private_key", config.broker_private_key, read_private));
  TRY_VOID(readable("[authority] certificate", config.authority_certificate, read_public));
  TRY_VOID(readable("[authority] private_key", config.authority_private_key, read_private));
  const std::string store = there_or_not(config.store_folder());
  if (options.json) {
    out << Json::object({{"config", string(config.file)},
                         {"catalog", string(catalog.hash().hex())},
                         {"meters", number(catalog.meters().size())},
                         {"contracts", number(catalog.contracts().size())},
                         {"links", number(catalog.links().size())},
                         {"connectors", number(engines.size())}})
               .dump()
        << "\n";
    return kExitOk;
  }
  out << config.file << " is in order\n"
      << "catalog " << catalog.hash().hex().substr(0, 16) << ": " << catalog.meters().size()
      << " meters, " << catalog.contracts().size() << " contracts, " << catalog.links().size()
      << " links\n";
  for (const auto& engine : engines) out << "connector " << engine->name() << ": profile loads\n";
  out << "store " << config.store_folder() << ": " << store << "\n";
  return kExitOk;
}

Result<int> status(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                   std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  TRY(const auto streams, all_streams(*store));
  TRY(const LogHead log, store->log_head());
  TRY(const uint32_t epoch, epoch_in_force(*store));
  TRY(const FoldCursor cursor, store->fold_cursor());
  TRY(const auto stopped, fold_error(*store, cursor));
  TRY(const CatalogStatus catalog, catalog_status(*store));
  TRY(const Counts counts, count_all(*store));
  TRY(const StoreUsage usage, store->store_usage());
  TRY(const Recovering lost, store->recovering());
  TRY(const RecoveryMode mode, store->recovery_mode());
  TRY(const bool halted, rating_halted(*store));
  if (options.json) {
    Json list = Json::array();
    for (const auto& line : streams) list.push(as_json(line));
    Json documents = Json::object();
    for (const auto& [state, count] : counts.documents) documents.set(state, number(count));
    out << Json::object(
               {{"at", string(to_rfc3339(clock.now()))},
                {"log_size", number(log.size)},
                {"log_root", string(log.root.hex())},
                {"log_epoch", number(epoch)},
                {"folded", number(cursor.cursor)},
                {"fold_error", stopped ? string(*stopped) : Json::null()},
                {"recovering_streams", number(lost.streams)},
                {"recovering_batches", number(lost.batches)},
                {"recover_mode", Json::boolean(mode.active)},
                {"rating_halted", Json::boolean(halted)},
                {"catalog_version", number(catalog.catalog_version)},
                {"mapping_version", number(catalog.mapping_version)},
                {"catalog_error", catalog.error.empty() ? Json::null() : string(catalog.error)},
                {"documents", std::move(documents)},
                {"outbox", number(counts.outbox)},
                {"open_exceptions", number(counts.open_exceptions)},
                {"store_used_bytes", number(usage.used_bytes)},
                {"store_capacity_bytes", number(usage.capacity_bytes)},
                {"streams", std::move(list)}})
               .dump()
        << "\n";
    return kExitOk;
  }
  if (lost.streams > 0) {
    out << "RECOVERY: " << lost.batches << " batches of " << lost.streams
        << " streams that a receipt covers are still to come back; no period that needs them "
           "closes (exceptions list --kind recovery)\n";
  }
  if (halted) out << "RATING HALTED: " << kHowToResume << "\n";
  if (mode.active) out << "recover mode: unknown devices are let in by their grants (recover)\n";
  out << "evidence log: " << log.size << " leaves of epoch " << epoch << ", " << cursor.cursor
      << " folded\n"
      << "catalog: " << printable(in_words(catalog)) << "\n"
      << (stopped ? "fold: " + printable(*stopped) + "\n" : "")
      << "store: " << usage.used_bytes / 1024 << " KiB of " << usage.capacity_bytes / 1024
      << " KiB\ndocuments:";
  for (const auto& [state, count] : counts.documents) out << " " << count << " " << state;
  if (counts.documents.empty()) out << " none";
  out << "; " << counts.outbox << " on their way\nexceptions: " << counts.open_exceptions
      << " open\n\n";
  TextTable table({"DEVICE", "CLASS", "STATE", "LINKED", "PARKED", "READINGS", "COMPLETE THROUGH",
                   "LAST HEARTBEAT"});
  for (const auto& line : streams) {
    table.add({line.row.grant.tenant + "/" + line.row.grant.device,
               std::string(to_string(line.row.grant.stream_class)), state_of(line),
               std::to_string(line.row.head_number), std::to_string(line.row.parked.size()),
               std::to_string(line.progress.folded_seq),
               time_or_dash(line.progress.complete_through),
               time_or_dash(line.progress.heartbeat_received_at)});
  }
  table.print(out);
  return kExitOk;
}

}  // namespace ledgerline::collector
