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
//                                                   8 boots, 9 key packs
//   0x20 run            stream run_number[8]        readings of one commit, not sealed yet
//   0x30 batch          stream batch_number[8]      sealed bytes
//   0x31 skeleton       stream batch_number[8]      id, seqs, totals
//   0x40 series         stream hash[16]             last raw counter of a register
//   0x52 fresh keys     stream number[8]            idempotency keys of one commit -> seqs
//   0x53 key block      stream pack[8] hash[16]     the same, sorted (key_blocks.h), up to hash
//   0x60 bookmark       name                        where an input goes on
//
// Of format 1, which opening rewrites (journal_upgrade.cpp):
//   0x50 seen           stream hash[16]             hour[4] { first_seq[8] count[4] }
//   0x51 seen by hour   stream hour[4] list[8] part[2]   hashes of 0x50
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
  boots = 8,
  key_packs = 9
};

Bytes format();
Bytes stream(StreamPart part);
Bytes run(uint64_t number);
Bytes batch(BatchNumber number);
Bytes skeleton(BatchNumber number);
Bytes series(const KeyHash& hash);
Bytes fresh_keys(uint64_t number);
/// The number of a fresh_keys key; nothing for a key of another table.
std::optional<uint64_t> number_of_fresh_keys(ByteView key);

struct BlockKey {
  uint64_t pack = 0;
  KeyHash last;  // in the block
};
Bytes key_block(uint64_t pack, const KeyHash& last);
/// Nothing for a key of another table.
std::optional<BlockKey> block_of_key(ByteView key);

Bytes seen(const KeyHash& hash);
Bytes seen_by_hour(Hour hour, uint64_t list, uint16_t part);
/// The hash of a seen key; nothing for a key of another table.
std::optional<KeyHash> hash_of_seen(ByteView key);

Bytes bookmark(std::string_view name);
/// The name of a bookmark key; nothing for a key of another table.
std::optional<std::string> name_of_bookmark(ByteView key);

/// The number of a skeleton key; nothing for a key of another table.
std::optional<BatchNumber> number_of_skeleton(ByteView key);

/// The hour of a seen_by_hour key; nothing for a key of another table.
std::optional<Hour> hour_of_key(ByteView key);

}  // namespace ledgerline::agent::keys
