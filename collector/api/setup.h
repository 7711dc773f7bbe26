#pragma once
// What both the running collector and its commands begin with: store, signing key, catalog,
// connector engines.

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <vector>

#include "collector/api/config.h"
#include "collector/connectors/engine.h"
#include "collector/core/catalog.h"
#include "collector/store/store.h"
#include "common/crypto.h"
#include "common/io/file_lock.h"

namespace ledgerline::collector {

/// Around each read-modify-write of a file that several commands may write at the same time.
Result<io::FileLock> lock_setup(const CollectorConfig& config);

/// Makes the state folder (mode 0700) where it is absent.
Result<std::unique_ptr<Store>> open_store(const CollectorConfig& config);
/// Errc::not_found where nothing was ever stored: a command that only reads makes no store.
Result<std::unique_ptr<Store>> open_existing_store(const CollectorConfig& config);

/// The collector's key, made at the first use with mode 0600.
Result<std::unique_ptr<Signer>> load_or_make_signer(const CollectorConfig& config);

/// The catalog folder's files: what catalog load would put into force.
Result<Catalog> read_catalog(const CollectorConfig& config);

/// One engine per [[connector]], its profile loaded and checked.
Result<std::vector<std::unique_ptr<Engine>>> open_engines(boost::asio::any_io_executor executor,
                                                          Clock& clock,
                                                          const CollectorConfig& config);

/// Rewrites the broker's access list from the store; nothing where none is configured. The list's
/// entries of devices that the store does not know stay while recover mode lasts, and with
/// `keep_unknown`: at a start it may be the store that lost them.
Status write_access_list(const CollectorConfig& config, Store& store, Timestamp now,
                         bool keep_unknown = false);

}  // namespace ledgerline::collector
