#pragma once
// Typed rows over a transaction: every value is checked against its checksum when it is read and
// gets one when it is written.

#include "collector/store/key_value.h"
#include "collector/store/keys.h"
#include "collector/store/record_codec.h"
#include "common/crc32c.h"

namespace ledgerline::collector {

class Rows {
 public:
  explicit Rows(KeyValueTxn& txn) : txn_(txn) {}

  template <class T>
  Result<std::optional<T>> find(const Key& key) {
    TRY(const auto stored, txn_.get(key));
    if (!stored) return std::nullopt;
    TRY(auto value, record<T>(key, *stored));
    return std::optional<T>(std::move(value));
  }

  /// Errc::not_found says what is missing.
  template <class T>
  Result<T> get(const Key& key, const char* what) {
    TRY(auto value, find<T>(key));
    if (!value) return fail(Errc::not_found, std::string("there is no such ") + what);
    return std::move(*value);
  }

  template <class T>
  Status put(const Key& key, const T& value) {
    return put_bytes(key, encode_record(value));
  }

  /// Errc::reject where a name makes the key longer than the engine takes.
  Status put_bytes(const Key& key, ByteView value) {
    if (key.bytes().size() > Key::kSizeMax)
      return fail(Errc::reject, "a name is too long to be stored");
    return txn_.put(key, with_checksum(key, value));
  }
  Status put_nothing(const Key& key) { return put_bytes(key, {}); }

  Result<std::optional<Bytes>> find_bytes(const Key& key) {
    TRY(const auto stored, txn_.get(key));
    if (!stored) return std::nullopt;
    TRY(const auto value, checked(key, *stored));
    return copy_of(value);
  }

  Result<std::optional<uint64_t>> find_u64(const Key& key) {
    TRY(const auto stored, txn_.get(key));
    if (!stored) return std::nullopt;
    TRY(const auto value, checked(key, *stored));
    if (value.size() != 8) return fail(Errc::corrupt, "a stored number has the wrong length");
    return big_endian64(value);
  }
  Status put_u64(const Key& key, uint64_t value) {
    Bytes bytes;
    append_big_endian64(bytes, value);
    return put_bytes(key, bytes);
  }

  /// Numbers with keys in [from, to), ascending, until visit(number) says false.
  template <class Visit>
  Status scan_u64(ByteView from, ByteView to, Visit visit) {
    return txn_.scan(from, to, [&](ByteView key, ByteView stored) -> Result<bool> {
      TRY(const auto value, checked(key, stored));
      if (value.size() != 8) return fail(Errc::corrupt, "a stored number has the wrong length");
      return visit(big_endian64(value));
    });
  }

  /// The greatest key in [from, to).
  Result<std::optional<Bytes>> last_key(ByteView from, ByteView to) {
    TRY(auto entry, txn_.last(from, to));
    if (!entry) return std::nullopt;
    return Bytes(entry->first.begin(), entry->first.end());
  }

  Result<bool> contains(const Key& key) {
    TRY(const auto stored, txn_.get(key));
    return stored.has_value();
  }
  Result<bool> erase(const Key& key) { return txn_.erase(key); }

  /// Keys in [from, to), ascending, until visit(key) says false.
  template <class Visit>
  Status scan_keys(ByteView from, ByteView to, Visit visit) {
    return txn_.scan(from, to, [&](ByteView key, ByteView stored) -> Result<bool> {
      TRY_VOID(checked(key, stored));
      return visit(key);
    });
  }

  /// Records with keys in [from, to), ascending, until visit(key, record) says false.
  template <class T, class Visit>
  Status scan(ByteView from, ByteView to, Visit visit) {
    return txn_.scan(from, to, [&](ByteView key, ByteView stored) -> Result<bool> {
      TRY(auto value, record<T>(key, stored));
      return visit(key, std::move(value));
    });
  }

  /// The record with the greatest key in [from, to).
  template <class T>
  Result<std::optional<T>> last(ByteView from, ByteView to) {
    TRY(const auto entry, txn_.last(from, to));
    if (!entry) return std::nullopt;
    TRY(auto value, record<T>(entry->first, entry->second));
    return std::optional<T>(std::move(value));
  }

  Status commit() { return txn_.commit(); }

 private:
  template <class T>
  static Result<T> record(ByteView key, ByteView stored) {
    TRY(const auto value, checked(key, stored));
    auto out = decode_record<T>(value);
    if (!out) return fail(std::move(out).error().with("key", to_hex(key)));
    return out;
  }

  KeyValueTxn& txn_;
};

}  // namespace ledgerline::collector
