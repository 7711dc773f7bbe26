#pragma once
// The storage port in memory, for tests. Several handles may share one database, as processes share
// LMDB's folder.

#include "collector/store/store.h"

namespace ledgerline::collector {

class MemoryDatabase;

std::shared_ptr<MemoryDatabase> make_memory_database();
std::unique_ptr<Store> open_memory_store(std::shared_ptr<MemoryDatabase> database);
inline std::unique_ptr<Store> make_memory_store() {
  return open_memory_store(make_memory_database());
}

/// For tests of damage: changes one bit of the n-th stored value of the table (keys.h). False where
/// there is none.
bool flip_bit(MemoryDatabase& database, uint8_t table, size_t n, size_t bit);

/// For tests of crashes: the next commit of any handle fails, as if the process had died just
/// before (nothing is stored) or just after it (everything is). Nothing: none does.
enum class CommitFault { before, after };
void set_commit_fault(MemoryDatabase& database, std::optional<CommitFault> fault);

/// For tests of races: runs once, before the next write transaction of any handle begins.
void before_next_write(MemoryDatabase& database, std::function<void()> action);

/// For tests of cost: how many entries were looked up or walked over since the database was made.
uint64_t entries_read(MemoryDatabase& database);

}  // namespace ledgerline::collector
