#pragma once
// Protobuf writes a line to standard error for every text that is not UTF-8, which would let a
// stranger fill the collector's log. Whoever parses says in its own Error what was wrong; the
// library is quiet. For the files that name Protobuf only.

#include <google/protobuf/stubs/logging.h>

namespace ledgerline {
inline const bool kProtobufIsQuiet = (google::protobuf::SetLogHandler(nullptr), true);
}  // namespace ledgerline
