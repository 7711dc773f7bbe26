#include "collector/dispatch/approval_of.h"

#include "collector/core/approvals.h"

namespace ledgerline::collector {

Result<std::optional<std::string>> why_unapproved(Store& store, const DocumentRow& document) {
  const auto needed = needs_approval(document);
  if (!needed || !*needed) return std::nullopt;  // what cannot be read cannot be sent either
  std::optional<LogEntry> leaf;
  if (document.decided_leaf) {
    auto read = store.leaf(*document.decided_leaf);
    // A leaf that is gone or damaged is no approval; it must not end the process.
    const bool unreadable =
        !read && (read.error().code() == Errc::not_found || read.error().code() == Errc::corrupt);
    if (!read && !unreadable) return fail(read.error());
    if (read) leaf = std::move(*read);
  }
  TRY(const auto operators, store.operators());
  const Status counts = check_approval(document, leaf, operators);
  if (counts) return std::nullopt;
  return counts.error().text();
}

}  // namespace ledgerline::collector
