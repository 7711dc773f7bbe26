#include "tests/unit/collector/store/store_backends.h"

namespace ledgerline::collector {

TEMPLATE_TEST_CASE("a device and its streams are found again by another handle", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();

  enroll(*store, {1, 2});

  auto other = backend.open();
  const auto device = must(other->device("demo", "d"));
  REQUIRE(device.revision == 1);
  REQUIRE(device.keys.size() == 1);
  REQUIRE(device.keys[0].public_key == Bytes{1, 2, 3});
  const auto stream = must(other->stream(stream_id(1)));
  REQUIRE(stream.status == StreamStatus::open);
  REQUIRE(stream.head_number == 0);
  REQUIRE(stream.head_id == batch_id(201));
  REQUIRE(must(other->streams_of("demo", "d")).size() == 2);
  REQUIRE(failed_with(other->device("demo", "e"), Errc::not_found));
  REQUIRE(failed_with(other->stream(stream_id(3)), Errc::not_found));
}

TEMPLATE_TEST_CASE("two enrolments of one device cannot both win", "[store]", MemoryBackend,
                   LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  enroll(*store, {1});

  DeviceEnrolment again;
  again.tenant = "demo";
  again.device = "d";
  again.expected_revision = 0;  // as read before the first one
  again.key.id = id_of<KeyId>(8);
  REQUIRE(failed_with(store->put_device(again), Errc::conflict));
  REQUIRE(must(store->device("demo", "d")).keys.size() == 1);

  again.expected_revision = 1;
  again.closes = {stream_id(1)};
  must(store->put_device(again));
  REQUIRE(must(store->device("demo", "d")).keys.size() == 2);
  REQUIRE(must(store->stream(stream_id(1))).status == StreamStatus::closed);
}

TEMPLATE_TEST_CASE("an enrolment that fails half way leaves no trace", "[store]", MemoryBackend,
                   LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  enroll(*store, {1});

  DeviceEnrolment taken;
  taken.tenant = "demo";
  taken.device = "e";
  NewStream stream;
  stream.grant.stream = stream_id(1);
  taken.streams = {stream};

  REQUIRE(failed_with(store->put_device(taken), Errc::conflict));
  REQUIRE(failed_with(store->device("demo", "e"), Errc::not_found));
}

TEMPLATE_TEST_CASE("a revoked key keeps the time of its first revocation", "[store]", MemoryBackend,
                   LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  enroll(*store, {1});

  must(store->revoke_key("demo", "d", id_of<KeyId>(9), Timestamp(50), "stolen"));
  must(store->revoke_key("demo", "d", id_of<KeyId>(9), Timestamp(60), "again"));

  const auto device = must(backend.open()->device("demo", "d"));
  REQUIRE(device.keys[0].revoked_at == Timestamp(50));
  REQUIRE(device.keys[0].revoke_reason == "stolen");
  REQUIRE(failed_with(store->revoke_key("demo", "d", id_of<KeyId>(7), Timestamp(1), ""),
                      Errc::not_found));
}

TEMPLATE_TEST_CASE("devices are listed tenant by tenant and page by page", "[store]", MemoryBackend,
                   LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  for (const auto* tenant : {"b", "a", "ab"}) {
    for (const auto* device : {"y", "x", "x-1"}) {
      DeviceEnrolment enrolment;
      enrolment.tenant = tenant;
      enrolment.device = device;
      must(store->put_device(enrolment));
    }
  }

  const auto names = [](const std::vector<DeviceRow>& rows) {
    std::string out;
    for (const auto& row : rows) out += row.tenant + "/" + row.device + " ";
    return out;
  };
  REQUIRE(names(must(store->list_devices(""))) == "a/x a/x-1 a/y ab/x ab/x-1 ab/y b/x b/x-1 b/y ");
  REQUIRE(names(must(store->list_devices("a"))) == "a/x a/x-1 a/y ");
  REQUIRE(names(must(store->list_devices("", "a", "y", 2))) == "ab/x ab/x-1 ");
  REQUIRE(names(must(store->list_devices("a", "a", "x"))) == "a/x-1 a/y ");
}

namespace {

Heartbeat heartbeat_of(uint8_t stream, uint64_t number, int64_t complete_through) {
  Heartbeat out;
  out.stream = stream_id(stream);
  out.number = number;
  out.complete_through = Timestamp(complete_through);
  return out;
}

}  // namespace

TEMPLATE_TEST_CASE("an older heartbeat changes nothing", "[store]", MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  enroll(*store, {1});
  const uint64_t revision = must(store->stream(stream_id(1))).revision;
  const auto put = [&](uint64_t number, int64_t complete_through, int64_t received_at) {
    HeartbeatPut out{heartbeat_of(1, number, complete_through), Timestamp(received_at), {}};
    out.exception.emplace();
    out.exception->row.id = "x" + std::to_string(received_at);
    return must(store->put_heartbeats(std::span(&out, 1)));
  };

  REQUIRE(put(5, 777, 1010) == 1);
  REQUIRE(put(5, 888, 1020) == 0);
  REQUIRE(put(4, 888, 1030) == 0);

  const auto stream = must(store->stream(stream_id(1)));
  REQUIRE(stream.revision == revision);
  REQUIRE(stream.heartbeats.newest.number == 5);
  REQUIRE(stream.heartbeats.newest_received_at == Timestamp(1010));
  const auto progress = must(store->progress("demo", "d"));
  REQUIRE(progress.size() == 1);
  REQUIRE(progress[0].complete_through == Timestamp(777));  // no reading was promised before it
  const auto exceptions = must(store->list_exceptions({}));
  REQUIRE(exceptions.size() == 1);
  REQUIRE(exceptions[0].id == "x1010");
}

TEMPLATE_TEST_CASE("a group's heartbeats are one transaction", "[store]", MemoryBackend,
                   LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  enroll(*store, {1, 2});
  std::vector<HeartbeatPut> group{{heartbeat_of(1, 1, 500), Timestamp(1000), {}},
                                  {heartbeat_of(2, 1, 600), Timestamp(1000), {}}};

  group.push_back({heartbeat_of(3, 1, 700), Timestamp(1000), {}});
  REQUIRE(failed_with(store->put_heartbeats(group), Errc::not_found));
  REQUIRE(must(store->stream(stream_id(1))).heartbeats.newest.number == 0);

  group.pop_back();
  REQUIRE(must(store->put_heartbeats(group)) == 2);
  group[1].heartbeat.number = 2;
  REQUIRE(must(store->put_heartbeats(group)) == 1);
  REQUIRE(must(backend.open()->stream(stream_id(2))).heartbeats.newest.number == 2);
}

TEMPLATE_TEST_CASE("a quarantine counts beyond its budget and keeps what fits", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  QuarantineItem item{.tenant = "demo",
                      .device = "d",
                      .topic = "t",
                      .reason = "signature",
                      .bytes = Bytes(1 << 20, 7)};
  QuarantineCounters counters;
  for (int i = 0; i < 6; ++i) counters = must(store->quarantine(item));

  REQUIRE(counters.count == 6);
  REQUIRE(counters.bytes == 6 << 20);
  REQUIRE(counters.kept_count == 3);  // topic and overhead count too
  REQUIRE(must(store->quarantine_counters("demo", "d")) == counters);
  const auto kept = must(store->list_quarantine("demo", "d", 3));
  REQUIRE(kept.size() == 3);
  REQUIRE(kept[0] == item);
  REQUIRE(must(store->list_quarantine("demo", "e", 3)).empty());
}

TEMPLATE_TEST_CASE("a quarantine keeps nothing for free", "[store]", MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = backend.open();
  QuarantineItem item{
      .tenant = "demo", .device = "d", .topic = std::string(500, 't'), .reason = "r", .bytes = {}};

  const auto counters = must(store->quarantine(item));

  REQUIRE(counters.bytes == 0);
  REQUIRE(counters.kept_bytes == 500 + QuarantineCounters::kItemOverhead);
}

}  // namespace ledgerline::collector
