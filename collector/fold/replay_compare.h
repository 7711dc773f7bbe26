#pragma once
// What a store holds beside its log, against what a replay of the log came to. Blocking.

#include <functional>
#include <string>

#include "collector/store/store.h"

namespace ledgerline::collector {

/// Is told of each difference, in words.
using Finding = std::function<void(std::string)>;

/// The bodies of all documents that the replay made: `there` has the same.
Status compare_documents(Store& there, Store& here, const Finding& find);

/// All usage. The folds of both have the same cursor, so that a series has one id.
Status compare_usage(Store& there, Store& here, const Finding& find);

}  // namespace ledgerline::collector
