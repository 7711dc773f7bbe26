#pragma once
// Which errors a step of the fold, commerce, maintenance or accounts cannot go on after.

#include "common/result.h"

namespace ledgerline::collector {

/// A fault of the store, not of something in it: nothing else can go on either.
inline bool is_for_all(const Error& error) {
  return error.code() == Errc::full || error.code() == Errc::internal ||
         error.code() == Errc::retry;
}

}  // namespace ledgerline::collector
