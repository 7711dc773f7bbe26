#pragma once
// The journal's keys. All integers big-endian, so that LMDB's order is the order of the numbers.
//
//   key    := table[1] version[1] tuple      version is 1 for every table
//   stream := 0x01                           a journal holds one stream; its class is in the grant
//
//   table               tuple                       value (values.h), followed by CRC-32C[4]
//   0x00 meta           "format"                    format[4]
//   0x10 stream part    stream part[1]              1 grant, 2 state, 3 meter table, 4 receipt,
//                                                   5 key clock, 6 dropped, 7 log,
//                                                   8 boots
//   0x20 run            stream run_number[8]        readings of one commit, not sealed yet
//   0x30 batch          stream batch_number[8]      sealed bytes
//   0x31 skeleton       stream batch_number[8]      id, seqs, totals
//   0x40 series         stream hash[16]             last raw counter of a register
//   0x50 seen           stream hash[16]             idempotency key -> seqs
//   0x51 seen by hour   stream hour[4] list[8] part[2]   hashes of 0x50 that expire together
//   0x60 bookmark       name                        where an input goes on
//
// The checksum covers the key too, so that a value at a wrong place is noticed.

#include <optional>

#include "agent/core/recorder.h"
#include "agent/core/retention.h"
#include "common/bytes.h"
#include "common/ids.h"

namespace ledgerline::agent::keys {

enum class StreamPart : uint8_t {
  grant = 1,
  state = 2,
  meters = 3,
  receipt = 4,
  key_clock = 5,
  dropped = 6,
  log = 7,
  boots = 8
};

Bytes format();
Bytes stream(StreamPart part);
Bytes run(uint64_t number);
Bytes batch(BatchNumber number);
Bytes skeleton(BatchNumber number);
Bytes series(const KeyHash& hash);
Bytes seen(const KeyHash& hash);
Bytes seen_by_hour(Hour hour, uint64_t list, uint16_t part);

Bytes bookmark(std::string_view name);
/// The name of a bookmark key; nothing for a key of another table.
std::optional<std::string> name_of_bookmark(ByteView key);

/// The number of a skeleton key; nothing for a key of another table.
std::optional<BatchNumber> number_of_skeleton(ByteView key);

/// The hour of a seen_by_hour key; nothing for a key of another table.
std::optional<Hour> hour_of_key(ByteView key);

}  // namespace ledgerline::agent::keys
