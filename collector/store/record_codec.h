#pragma once
// Records as bytes, without Protobuf: these never leave the store. One description per record
// (record_codec.cpp) both writes and reads it.
//
// clang-format off
//   record   := version member*               one byte, then the members in the order of the struct
//   member   := unsigned | signed | bytes | fixed | optional | list | int128 | decimal | member*
//   unsigned := LEB128, shortest form         enums and booleans too
//   signed   := zigzag, then LEB128           times too
//   bytes    := unsigned length, bytes        text too
//   fixed    := 16 or 32 bytes                identifiers
//   optional := 0x00 | 0x01 member
//   list     := unsigned count, member*
//   int128   := 0x00 signed                   what fits 64 bits stays short
//             | 0x01 negative upper lower     each unsigned: sign, 64 + 64 bits of the magnitude
//   decimal  := unsigned scale, int128
// clang-format on
//
// A change of a record is a new version byte and a reader for both. ExceptionRow is at version 2,
// which added its last member, StreamRow too, which added its last four, all others at 1.

#include "collector/store/store.h"

namespace ledgerline::collector {

/// Where a linked batch is in the evidence log.
struct LinkedRow {
  BatchId id;
  LeafNumber leaf = 0;
};

/// The evidence log's frontier (LogTree).
struct LogRow {
  uint64_t size = 0;
  std::vector<Digest> frontier;
};

struct FoldRow {
  LeafNumber cursor = 0;
  SeriesId next_series_id = 1;
};

/// T is one of the records of records.h, or a row above.
template <class T>
Bytes encode_record(const T& value);
/// Errc::corrupt where the bytes are no such record or one of a later version.
template <class T>
Result<T> decode_record(ByteView bytes);

}  // namespace ledgerline::collector
