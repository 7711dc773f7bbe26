#include "agent/journal/table_sizes.h"

#include <filesystem>

#include "agent/journal/keys.h"
#include "common/io/lmdb.h"

namespace ledgerline::agent {

namespace {

std::string name_of(uint8_t table) {
  switch (table) {
    case 0x00:
      return "meta";
    case 0x10:
      return "stream part";
    case 0x20:
      return "run";
    case 0x30:
      return "batch";
    case 0x31:
      return "skeleton";
    case 0x40:
      return "series";
    case 0x50:
      return "seen (format 1)";
    case 0x51:
      return "seen by hour (format 1)";
    case 0x52:
      return "fresh keys";
    case 0x53:
      return "key block";
    case 0x60:
      return "bookmark";
    default:
      return "unknown " + to_hex({&table, 1});
  }
}

}  // namespace

Result<std::vector<TableSize>> read_table_sizes(const JournalOptions& options,
                                                uint64_t entries_max) {
  const std::string file = options.folder + "/data.mdb";
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(file, error);
  if (error)
    return fail(Error(Errc::not_found, "there is no journal").with("folder", options.folder));
  TRY(auto env,
      io::LmdbEnv::open({.folder = options.folder, .map_size_bytes = size, .read_only = true}));
  TRY(const auto txn, env.begin_read());
  TRY(auto cursor, io::LmdbCursor::open(txn));
  std::vector<TableSize> out;
  int last = -1;
  TRY(auto entry, cursor.seek(Bytes{0}));
  for (uint64_t i = 0; entry && i < entries_max; ++i) {
    const uint8_t table = entry->key.empty() ? uint8_t{0xff} : entry->key[0];
    if (table != last) out.push_back({.table = name_of(table)});
    last = table;
    ++out.back().entries;
    out.back().bytes += entry->key.size() + entry->value.size();
    TRY(entry, cursor.next());
  }
  return out;
}

}  // namespace ledgerline::agent
