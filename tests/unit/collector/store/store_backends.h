#pragma once
// The contract suite's backends: each opens any number of handles on one database.

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "collector/store/lmdb_store.h"
#include "collector/store/memory_store.h"

namespace ledgerline::collector {

class MemoryBackend {
 public:
  std::unique_ptr<Store> open() { return open_memory_store(database_); }

 private:
  std::shared_ptr<MemoryDatabase> database_ = make_memory_database();
};

class LmdbBackend {
 public:
  LmdbBackend() {
    std::string name =
        (std::filesystem::temp_directory_path() / "ledgerline-store-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
  }
  LmdbBackend(const LmdbBackend&) = delete;
  LmdbBackend& operator=(const LmdbBackend&) = delete;
  ~LmdbBackend() { std::filesystem::remove_all(folder_); }

  [[nodiscard]] const std::string& folder() const { return folder_; }
  std::unique_ptr<Store> open() {
    auto store = open_lmdb_store({.folder = folder_ + "/store", .map_size_bytes = 1 << 30});
    INFO((store ? "" : store.error().text()));
    REQUIRE(store);
    return std::move(*store);
  }

 private:
  std::string folder_;
};

// ---- Small values for the suite

template <class Id>
Id id_of(uint8_t n) {
  Bytes bytes(Id::kSize, 0);
  bytes.front() = n;
  bytes.back() = n;
  return *Id::from(ByteView(bytes));
}
inline StreamId stream_id(uint8_t n) { return id_of<StreamId>(n); }
inline BatchId batch_id(uint8_t n) { return id_of<BatchId>(n); }

template <class T>
T must(Result<T> result) {
  INFO((result ? "" : result.error().text()));
  REQUIRE(result);
  return std::move(*result);
}
inline void must(const Status& status) {
  INFO((status ? "" : status.error().text()));
  REQUIRE(status);
}
template <class T>
bool failed_with(const Result<T>& result, Errc code) {
  return !result && result.error().code() == code;
}

/// A device "demo/d" with open streams of the given numbers; the grant's id is 200 + number.
inline void enroll(Store& store, std::initializer_list<uint8_t> streams,
                   const std::string& device = "d") {
  DeviceEnrolment enrolment;
  enrolment.tenant = "demo";
  enrolment.device = device;
  enrolment.key.id = id_of<KeyId>(9);
  enrolment.key.public_key = {1, 2, 3};
  for (const uint8_t n : streams) {
    NewStream stream;
    stream.grant.tenant = "demo";
    stream.grant.device = device;
    stream.grant.stream = stream_id(n);
    stream.grant_id = batch_id(static_cast<uint8_t>(200 + n));
    enrolment.streams.push_back(stream);
  }
  must(store.put_device(enrolment));
}

inline LinkedBatch link(BatchNumber number, uint8_t id, Bytes sealed = {7}) {
  return {.number = number,
          .id = batch_id(id),
          .sealed = std::move(sealed),
          .received_at = Timestamp(1000)};
}

/// The next change of the stream as it is stored now.
inline AdmitChange change_of(Store& store, uint8_t stream) {
  AdmitChange change;
  change.stream = stream_id(stream);
  change.expected_revision = must(store.stream(change.stream)).revision;
  return change;
}

inline void admit_links(Store& store, uint8_t stream, std::vector<LinkedBatch> links) {
  AdmitChange change = change_of(store, stream);
  change.links = std::move(links);
  must(store.admit(std::span(&change, 1)));
}

}  // namespace ledgerline::collector
