#pragma once
// What distinguishes two sets of entries of logged versions, entry by entry and in words. Pure.

#include <string>
#include <vector>

namespace ledgerline::collector {

struct EntryChange {
  std::string name;    // entry_name()
  std::string before;  // the entry's text; empty: it was not there
  std::string after;   // empty: it is gone
};

/// Ascending by name.
std::vector<EntryChange> entry_changes(const std::vector<std::string>& before,
                                       const std::vector<std::string>& after);

/// One line, of a changed entry one for each member: "changed contract "a": grace_ms 0 -> 10000".
std::vector<std::string> in_words(const EntryChange& change);

}  // namespace ledgerline::collector
