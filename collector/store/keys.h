#pragma once
// The embedded store's keys, byte for byte. Order of bytes is order of meaning, so that a range of
// keys is a range of rows.
//
// clang-format off
//   key     := table version field*
//   table   := one byte, below
//   version := 0x01
//   field   := text | u32 | u64 | time | quarter | id
//   text    := (byte other than 0x00 | 0x00 0xff)* 0x00 0x00
//                                            no length: "a" stands before "ab", and that before "b"
//   u32     := 4 bytes, big-endian
//   u64     := 8 bytes, big-endian
//   time    := u64, milliseconds since 1970 + 2^63       times before 1970 stand first
//   quarter := u32, quarter hours since 1970 + 2^31
//   id      := 16 or 32 bytes as they are
// clang-format on
//
// Each value is a record (record_codec.h), or the bytes named below, followed by its checksum
// (common/crc32c.h), which covers the key too. LMDB takes keys of at most 511 bytes: the longest
// texts that become keys are limited by kNameSizeMax.

#include <string_view>

#include "collector/core/usage.h"
#include "common/bytes.h"
#include "common/ids.h"
#include "common/time.h"

namespace ledgerline::collector {

// clang-format off
enum class Table : uint8_t {
  // fields                                  value
  meta = 0x01,              // text name                        "format", "origin", "log", "fold", "recovery", "checkpoint": signed note
  device = 0x10,            // text tenant, text device         DeviceRow
  stream = 0x11,            // id stream                        StreamRow without heartbeats
  device_stream = 0x12,     // text tenant, text device, id     nothing
  heartbeat = 0x13,         // id stream                        HeartbeatTrack
  quarantine_count = 0x14,  // text tenant, text device         QuarantineCounters
  quarantine = 0x15,        // text tenant, text device, u64 n  QuarantineItem
  operator_ = 0x16,         // text name, id key                OperatorRow
  recovering = 0x17,        // id stream                        u64 batches that are missing
  leaf = 0x20,              // u64 leaf                         LogEntry
  linked = 0x21,            // id stream, u64 number            LinkedRow
  parked = 0x22,            // id stream, u64 number            SideBatch
  fork = 0x23,              // id stream, u64 number, id batch  SideBatch
  statement = 0x24,         // u32 kind, u64 number             u64 leaf
  tile = 0x25,              // u32 level, u64 tile              256 hashes, embedded_tiles.cpp
  statement_about = 0x26,   // text about, u64 leaf             nothing
  fold_state = 0x30,        // id stream                        StreamFoldState
  series = 0x31,            // u64 series                       SeriesKey
  series_by_key = 0x32,     // text tenant, text device, id     u64 series; id: SHA-256 of the SeriesKey
  series_by_device = 0x33,  // text tenant, text device, u64    nothing
  series_count = 0x34,      // text tenant, text device         u64
  usage = 0x35,             // u64 series, quarter              UsageValue
  evidence = 0x36,          // u64 series, quarter, u64 leaf    nothing
  clock_note = 0x37,        // u64 leaf                         ClockAnchor
  touched = 0x38,           // u64 series, quarter              TouchedUsage
  correction = 0x39,        // text tenant, text device, id     CorrectionRow
  document = 0x40,          // text id, u32 revision            DocumentRow
  delivery = 0x41,          // text id                          DeliveryRow
  due = 0x42,               // text connector, time, text id    nothing: pending, retry or unknown
  in_flight = 0x43,         // text id                          nothing
  period = 0x44,            // text tenant, text contract, time PeriodRow
  closed_until = 0x45,      // text tenant ("": of any)         u64 ms, latest end of a closed period
  lease = 0x46,             // text name                        Lease
  maintenance_rule = 0x47,  // text tenant, text rule, text asset     RuleRow without its kind
  account_rule = 0x48,      // text tenant, text rule, text contract  likewise
  exception = 0x50,         // text id                          ExceptionRow
  exception_action = 0x51,  // text id, u32 number              ExceptionAction
};
// clang-format on

class Key {
 public:
  static constexpr size_t kSizeMax = 511;

  explicit Key(Table table);
  Key& text(std::string_view value) &;
  Key& u32(uint32_t value) &;
  Key& u64(uint64_t value) &;
  Key& time(Timestamp value) &;
  Key& quarter(QuarterHour value) &;
  Key& id(ByteView value) &;
  Key&& text(std::string_view value) && { return std::move(text(value)); }
  Key&& u32(uint32_t value) && { return std::move(u32(value)); }
  Key&& u64(uint64_t value) && { return std::move(u64(value)); }
  Key&& time(Timestamp value) && { return std::move(time(value)); }
  Key&& quarter(QuarterHour value) && { return std::move(quarter(value)); }
  Key&& id(ByteView value) && { return std::move(id(value)); }

  [[nodiscard]] const Bytes& bytes() const { return bytes_; }
  // NOLINTNEXTLINE(google-explicit-constructor): a key is the bytes that are looked up
  operator ByteView() const { return bytes_; }
  /// The first key after all that begin with this one.
  [[nodiscard]] Bytes end() const;

 private:
  Bytes bytes_;
};

/// Takes a key apart again; the fields are read in their order. Errc::corrupt where the bytes are
/// not such a key.
class KeyReader {
 public:
  explicit KeyReader(ByteView key) : rest_(key.size() < 2 ? ByteView() : key.subspan(2)) {}
  Result<std::string> text();
  Result<uint64_t> u64();
  Result<QuarterHour> quarter();

 private:
  ByteView rest_;
};

}  // namespace ledgerline::collector
