#include "agent/journal/journal.h"

#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "agent/journal/keys.h"
#include "agent/journal/tables.h"
#include "agent/journal/values.h"
#include "common/crc32c.h"
#include "common/io/lmdb.h"
#include "tests/unit/agent/journal/fixture.h"

using namespace ledgerline;
using namespace ledgerline::agent;
using namespace ledgerline::agent::test;

TEST_CASE("a clock stepped ahead for a moment makes no later reading late") {
  Device device;
  const auto first = device.journal->heartbeat();
  const Timestamp right = device.clock.wall;
  device.clock.wall = right + std::chrono::hours(24 * 365);
  REQUIRE(device.journal->heartbeat().has_value());
  device.clock.wall = right;

  const auto beat = device.journal->heartbeat();

  REQUIRE(beat->complete_through <= first->complete_through + std::chrono::minutes(2));
}

TEST_CASE("seqs go on after a restart and nothing is lost") {
  Device device;
  REQUIRE(device.seqs(request({calls(1), calls(2)})) == std::vector<Seq>{1, 2});

  device.open();

  REQUIRE(device.seqs(request({calls(3)})) == std::vector<Seq>{3});
  REQUIRE(device.status().totals == Totals{{1, 6}});
  device.seal();
  REQUIRE(verified_values(device) == std::vector<int64_t>{1, 2, 3});
}

TEST_CASE(
    "a repeated event and a repeated request get the seqs of the first time, after a restart too") {
  Device device;
  const auto event = device.seqs(request({calls(5, "app-e1")}));
  const auto whole = device.seqs(request({calls(1), calls(5, "app-e1"), calls(2)}, "request-1"));

  device.open();

  REQUIRE(device.seqs(request({calls(5, "app-e1")})) == event);
  REQUIRE(device.seqs(request({calls(1), calls(5, "app-e1"), calls(2)}, "request-1")) == whole);
  REQUIRE(whole == std::vector<Seq>{2, 1, 3});
  REQUIRE(device.status().next_seq == 4);
}

TEST_CASE("a bookmark is stored with its readings, or not at all, and also alone") {
  Device device;
  const auto marked = [](std::vector<RecordItem> items, std::string text) {
    RecordRequest out = request(std::move(items));
    out.bookmark = {.name = "file:a", .value = copy_of(bytes_of(text))};
    return out;
  };
  REQUIRE(device.journal->bookmarks()->empty());
  device.seqs(marked({calls(1)}, "line 1"));
  REQUIRE(!device.record(marked({calls(-1)}, "line 2")).has_value());

  device.open();
  REQUIRE(*device.journal->bookmarks() ==
          std::map<std::string, Bytes>{{"file:a", copy_of(bytes_of("line 1"))}});

  device.seqs(marked({}, "line 3"));
  device.open();
  REQUIRE(device.journal->bookmarks()->at("file:a") == copy_of(bytes_of("line 3")));
  REQUIRE(device.status().next_seq == 2);
}

TEST_CASE("idempotency keys are forgotten after their window and remembered until then") {
  Device device;
  const auto first = device.seqs(request({calls(1, "e1")}, "r1"));
  device.clock.advance(std::chrono::hours(7 * 24));
  device.trim_all();
  REQUIRE(device.seqs(request({calls(1, "e1")})) == first);

  device.clock.advance(std::chrono::hours(1));
  device.trim_all();

  REQUIRE(device.seqs(request({calls(1, "e1")})) == std::vector<Seq>{2});
  REQUIRE(device.seqs(request({calls(9)}, "r1")) == std::vector<Seq>{3});
  REQUIRE(device.status().oldest_key_hour == hour_of(device.clock.now()));
}

TEST_CASE("a register keeps its last value over a restart") {
  Device device;
  device.seqs(request({raw(1'000)}));

  device.open();
  device.seqs(request({raw(1'030), raw(10)}));

  REQUIRE(device.status().totals == Totals{{2, 40}});
  device.seal();
  REQUIRE(verified_values(device) == std::vector<int64_t>{0, 30, 10});
}

TEST_CASE("one group is one commit whose requests succeed and fail apart") {
  Device device;
  const std::vector<RecordRequest> group = {request({calls(1)}), request({calls(2), calls(-2)}),
                                            request({calls(4)})};

  const auto answers = device.journal->record(group);

  REQUIRE((*answers)[0]->seqs == std::vector<Seq>{1});
  REQUIRE((*answers)[1].error().index == 1);
  REQUIRE((*answers)[2]->seqs == std::vector<Seq>{2});
  REQUIRE(device.status().totals == Totals{{1, 5}});
}

TEST_CASE("a group larger than one run is recorded in one commit all the same") {
  Device device;
  const std::vector<RecordItem> items(3'000, calls(1));
  const std::vector<RecordRequest> group = {request(items), request(items),
                                            request({calls(1, "k")}), request({calls(1, "k")})};

  const auto answers = device.journal->record(group);

  REQUIRE((*answers)[1]->seqs.front() == 3'001);
  REQUIRE((*answers)[3]->seqs == (*answers)[2]->seqs);
  device.seal();
  REQUIRE(verified_values(device).size() == 6'001);
}

TEST_CASE("batches are sealed by count as whole runs and by age") {
  Device device({.batch = {.readings_max = 250}});
  for (int i = 0; i < 3; ++i) device.seqs(request(std::vector<RecordItem>(100, calls(1))));

  REQUIRE(device.seal(SealWhen::due) == 1);
  REQUIRE(device.status().sealed_upto == 200);
  REQUIRE(device.seal(SealWhen::due) == 0);
  device.clock.advance(std::chrono::seconds(5));
  REQUIRE(device.seal(SealWhen::due) == 1);
  REQUIRE(device.status().sealed_upto == 300);
  REQUIRE(verified_values(device).size() == 300);
}

TEST_CASE("a run larger than a batch is cut into batches") {
  Device device({.batch = {.readings_max = 100}});
  device.seqs(request(std::vector<RecordItem>(350, calls(2))));

  REQUIRE(device.seal() == 5);  // the boot records, and the run in four

  REQUIRE(verified_values(device).size() == 350);
}

TEST_CASE("readings whose sealed bytes would pass 64 KiB are cut into batches that do not") {
  Device device({.batch = {.readings_max = 4'096}});
  std::vector<RecordItem> items(400, calls(1));
  uint32_t random = 1;
  for (auto& item : items) {
    std::string noise;
    while (noise.size() < 500) {
      random = random * 1'664'525 + 1'013'904'223;
      noise.push_back(static_cast<char>('!' + (random >> 24) % 90));
    }
    item.reading.dimensions = {{"noise", noise}};
  }
  device.seqs(request(items));

  REQUIRE(device.seal() > 1);

  for (const auto& batch : device.batches()) {
    REQUIRE(batch.sealed.size() <= OpenBatch::kSealedSizeMax);
  }
  REQUIRE(verified_values(device).size() == 400);
}

TEST_CASE("restarts without readings are sealed as batches of records") {
  Device device;
  for (int i = 0; i < 80; ++i) device.open();

  REQUIRE(device.seal(SealWhen::due) > 0);
  device.seal();

  REQUIRE(verified_values(device).empty());
  REQUIRE(device.seqs(request({calls(1)})) == std::vector<Seq>{1});
}

TEST_CASE("sealed bytes are the same after a restart, and nothing is sealed twice") {
  Device device;
  device.seqs(request({calls(1), calls(2)}));
  device.seal();
  const auto before = device.batches();

  device.open();
  device.seal();

  const auto after = device.batches();
  REQUIRE(after.size() == before.size() + 1);  // the boot record
  for (size_t i = 0; i < before.size(); ++i) {
    REQUIRE(after[i].sealed == before[i].sealed);
    REQUIRE(after[i].id == before[i].id);
  }
}

TEST_CASE("a boot record names the receipt, and a meter table travels only when it changed") {
  Device device;
  device.seal();
  const auto first = open_columns(*open_envelope(device.batches()[0].sealed), {});
  REQUIRE(first->records.size() == 3);
  const auto id = device.batches()[0].id;
  REQUIRE(device.journal->store_receipt(device.receipt(4, 1, id), bytes_of("r")).has_value());

  device.open();
  device.seal();

  const auto second = open_columns(*open_envelope(device.batches()[1].sealed), {});
  REQUIRE(second->records.size() == 2);
  const auto& boot = std::get<BootRecord>(second->records[0].kind);
  REQUIRE(boot.last_receipt_number == 4);
  REQUIRE(boot.last_receipt_upto == 1);
}

TEST_CASE("the uplink gets batches within its limits, at least one") {
  Device device;
  for (int i = 0; i < 5; ++i) {
    device.seqs(request({calls(i)}));
    device.seal();
  }

  REQUIRE(device.journal->batches_after(0, {.batches_max = 3})->size() == 3);
  REQUIRE(device.journal->batches_after(0, {.batches_max = 3, .bytes_max = 1})->size() == 1);
  REQUIRE(device.journal->batches_after(4, {})->front().number == 5);
  REQUIRE(device.journal->batches_after(5, {})->empty());
}

TEST_CASE("a receipt moves what is acknowledged, once, and survives a restart") {
  Device device;
  device.seal();
  device.seqs(request({calls(1)}));
  device.seal();
  const auto ids = device.batches();
  const auto receipt = device.receipt(7, 2, ids[1].id);

  REQUIRE(device.journal->store_receipt(receipt, bytes_of("signed")) == ReceiptOutcome::stored);
  REQUIRE(device.journal->store_receipt(receipt, bytes_of("signed")) == ReceiptOutcome::repeated);
  device.open();

  REQUIRE(device.journal->resume_state()->acked_upto == 2);
  REQUIRE(device.journal->resume_state()->receipt_number == 7);
  REQUIRE(string_of(device.journal->resume_state()->receipt) == "signed");
  REQUIRE(device.journal->store_receipt(device.receipt(6, 1, ids[0].id), bytes_of("old")) ==
          ReceiptOutcome::older);
}

TEST_CASE("a receipt before the first batch carries the grant's id") {
  Device device;
  const auto chain = grant_id(device.grant_body);
  REQUIRE(device.journal->resume_state()->head_id == chain);
  REQUIRE(device.journal->store_receipt(device.receipt(1, 0, chain), bytes_of("signed")) ==
          ReceiptOutcome::stored);
}

TEST_CASE("a receipt that does not fit trims nothing") {
  Device device;
  device.seal();
  device.seqs(request({calls(1)}));
  device.seal();
  const auto ids = device.batches();
  REQUIRE(
      device.journal->store_receipt(device.receipt(3, 1, ids[0].id), bytes_of("x")).has_value());
  Receipt foreign = device.receipt(9, 2, ids[1].id);
  foreign.stream = *StreamId::from(std::string_view("another stream!!"));
  struct Case {
    const char* what;
    Receipt receipt;
    Errc code;
  };
  const std::vector<Case> cases = {
      {"another stream", foreign, Errc::corrupt},
      {"another chain value", device.receipt(9, 2, ids[0].id), Errc::corrupt},
      {"the same number saying something else", device.receipt(3, 2, ids[0].id), Errc::corrupt},
      {"batches we do not have", device.receipt(9, 3, ids[1].id), Errc::conflict},
      {"less than before", device.receipt(9, 0, grant_id(device.grant_body)), Errc::conflict},
  };
  for (const auto& c : cases) {
    INFO(c.what);
    const auto outcome = device.journal->store_receipt(c.receipt, bytes_of("bad"));
    REQUIRE(!outcome.has_value());
    REQUIRE(outcome.error().code() == c.code);
    REQUIRE(device.status().acked_upto == 1);
    REQUIRE(device.status().receipt_number == 3);
  }
}

TEST_CASE(
    "heartbeat numbers rise and promises are never taken back, over restarts and clock steps") {
  Device device;
  device.seqs(request({calls(3)}));
  const auto first = device.journal->heartbeat();
  REQUIRE(first->number == 1);
  REQUIRE(first->next_seq == 2);
  REQUIRE(first->totals == Totals{{1, 3}});
  REQUIRE(first->complete_through == device.clock.now() - std::chrono::seconds(5));

  device.open();
  device.clock.wall = device.clock.wall - std::chrono::hours(1);
  const auto second = device.journal->heartbeat();

  REQUIRE(second->number == 2);
  REQUIRE(second->complete_through == first->complete_through);
  REQUIRE(second->boot_id != first->boot_id);
}

TEST_CASE("a promise stays behind what an input has still to read, and goes on behind it") {
  Device device;
  const auto from = [&](int hours) { return device.clock.now() - std::chrono::hours(hours); };
  const auto lateness = std::chrono::seconds(5);

  REQUIRE(device.journal->heartbeat(Timestamp())->complete_through == Timestamp());
  REQUIRE(device.journal->heartbeat(from(3))->complete_through == from(3) - lateness);
  REQUIRE(device.journal->heartbeat(from(4))->complete_through == from(3) - lateness);
  REQUIRE(device.journal->heartbeat(from(-1))->complete_through == from(0) - lateness);
}

TEST_CASE("a reading earlier than the promise is recorded and flagged late") {
  Device device;
  const auto beat = device.journal->heartbeat();
  RecordItem late = calls(1);
  late.reading.time_ms = beat->complete_through.unix_ms() - 1;
  RecordItem in_time = calls(1);
  in_time.reading.time_ms = beat->complete_through.unix_ms();

  device.seqs(request({late, in_time}));
  device.seal();

  const auto columns = open_columns(*open_envelope(device.batches()[0].sealed), {});
  REQUIRE(columns->flags == std::vector<uint8_t>{Columns::kFlagLate, 0});
}

TEST_CASE(
    "a full quota refuses inputs while sealing, heartbeats and receipts go on; a receipt makes "
    "room") {
  Device device({.retention = {.quota_bytes = 2 << 20}});
  std::vector<RecordItem> items(500, calls(1));
  uint32_t random = 1;
  for (auto& item : items) {
    random = random * 1'664'525 + 1'013'904'223;
    item.reading.subject = "subject-" + std::to_string(random);
  }
  RecordResult answer;
  int groups = 0;
  Seq acknowledged = 0;
  while ((answer = device.record(request(items)))) {
    acknowledged = answer->seqs.back();
    REQUIRE(++groups < 2'000);
    device.seal(SealWhen::due);
    device.trim_all();
  }
  REQUIRE(answer.error().code == Errc::full);
  REQUIRE(device.status().next_seq == acknowledged + 1);
  REQUIRE(device.status().oldest_batch == 1);

  REQUIRE(device.journal->heartbeat().has_value());
  device.seal();
  const auto batches = device.batches();
  REQUIRE(verified_values(device).size() == acknowledged);
  REQUIRE(device.journal
              ->store_receipt(device.receipt(1, batches.size(), batches.back().id), bytes_of("r"))
              .has_value());
  device.trim_all();

  REQUIRE(device.record(request(items)).has_value());
  REQUIRE(device.status().oldest_batch > 1);
  REQUIRE(device.status().oldest_batch <= batches.size());
  const auto forgotten = device.journal->batches_after(0, {});
  REQUIRE(forgotten);
  REQUIRE(forgotten->front().tombstone_from == 1);
}

TEST_CASE("a full disk refuses inputs and answers nothing as recorded") {
  JournalOptions options;
  uint64_t disk_free = 1 << 30;
  options.disk_free = [&disk_free](const std::string&) -> Result<uint64_t> { return disk_free; };
  Device device(options);
  device.seqs(request({calls(1)}));

  disk_free = 1 << 20;
  const auto refused = device.record(request({calls(1)}));
  REQUIRE(refused.error().code == Errc::full);
  REQUIRE(device.status().next_seq == 2);

  disk_free = 1 << 30;
  REQUIRE(device.seqs(request({calls(1)})) == std::vector<Seq>{2});
}

TEST_CASE("skeletons outlive their batches by 24 months, and a receipt still finds its own") {
  JournalOptions options;
  uint64_t disk_free = 1 << 30;
  options.disk_free = [&disk_free](const std::string&) -> Result<uint64_t> { return disk_free; };
  options.retention.slice_keys = 2;
  Device device(options);
  for (int i = 0; i < 7; ++i) {
    device.seqs(request({calls(i)}));
    device.seal();
  }
  const auto ids = device.batches();
  REQUIRE(
      device.journal->store_receipt(device.receipt(1, 6, ids[5].id), bytes_of("r")).has_value());

  // A short disk lets the receipted batches go, and no other; the first step is enough.
  disk_free = 0;
  while (device.status().oldest_batch < 7) REQUIRE(device.journal->trim().has_value());
  disk_free = 1 << 30;
  REQUIRE(device.batches(6).size() == 1);
  REQUIRE(device.status().oldest_skeleton == 1);

  device.clock.advance(std::chrono::hours(731 * 24));
  device.trim_all();
  REQUIRE(device.status().oldest_skeleton == 6);
  REQUIRE(device.journal->store_receipt(device.receipt(2, 7, ids[6].id), bytes_of("r")) ==
          ReceiptOutcome::stored);
  device.open();
  REQUIRE(device.status().oldest_skeleton == 6);
}

TEST_CASE("where nothing else gives room skeletons go early, but the newest receipted one stays") {
  JournalOptions options;
  uint64_t disk_free = 1 << 30;
  options.disk_free = [&disk_free](const std::string&) -> Result<uint64_t> { return disk_free; };
  options.retention.slice_keys = 2;
  Device device(options);
  for (int i = 0; i < 7; ++i) {
    device.seqs(request({calls(i)}));
    device.seal();
  }
  const auto ids = device.batches();
  REQUIRE(
      device.journal->store_receipt(device.receipt(1, 6, ids[5].id), bytes_of("r")).has_value());

  disk_free = 0;
  device.trim_all();

  REQUIRE(device.status().oldest_skeleton == 6);
  REQUIRE(device.journal->store_receipt(device.receipt(2, 7, ids[6].id), bytes_of("r")) ==
          ReceiptOutcome::stored);
}

TEST_CASE("a step of the wall clock forgets no idempotency key") {
  Device device;
  const auto first = device.seqs(request({calls(5, "e1")}));

  device.clock.wall = device.clock.wall + std::chrono::hours(20 * 365 * 24);
  device.trim_all();
  REQUIRE(device.seqs(request({calls(5, "e1")})) == first);

  device.open();
  device.trim_all();
  REQUIRE(device.seqs(request({calls(5, "e1")})) == first);

  device.clock.mono = {60'000};  // the machine was started again
  device.open();
  device.trim_all();
  REQUIRE(device.seqs(request({calls(5, "e1")})) == first);
}

TEST_CASE("idempotency keys are forgotten once the window has passed, over restarts and reboots") {
  Device device;
  const auto first = device.seqs(request({calls(5, "e1")}));
  for (int day = 0; day < 7; ++day) {
    device.clock.mono = device.clock.mono + std::chrono::hours(23);
    device.journal->heartbeat();
    device.clock.mono = {60'000};
    device.open();
    device.trim_all();
    REQUIRE(device.seqs(request({calls(5, "e1")})) == first);
  }

  device.clock.mono = device.clock.mono + std::chrono::hours(10);
  device.trim_all();

  REQUIRE(device.seqs(request({calls(5, "e1")})) != first);
}

TEST_CASE("a journal belongs to one stream for its life") {
  Device device;
  StreamGrant other = device.grant;
  other.stream = *StreamId::from(std::string_view("another stream!!"));

  REQUIRE(device.journal->install_grant(device.grant, device.grant_body).has_value());
  REQUIRE(device.journal->install_grant(other, encode(other)).error().code() == Errc::conflict);
}

TEST_CASE("before enrolment readings are refused and nothing ends") {
  const TemporaryFolder folder;
  FakeClock clock;
  auto journal = Journal::open({.folder = folder.path() + "/journal"}, clock);
  const auto one = request({calls(1)});

  const auto answers = (*journal)->record(std::span(&one, 1));

  REQUIRE(answers->front().error().code == Errc::config);
  REQUIRE(!(*journal)->enrolled());
  REQUIRE((*journal)->heartbeat().error().code() == Errc::config);
}

TEST_CASE("a key that the stream was not granted to seals nothing") {
  Device device;
  device.seqs(request({calls(1)}));
  const auto other = new_signer();

  REQUIRE(device.journal->seal(SealWhen::now, *other).error().code() == Errc::config);
  REQUIRE(device.status().head_batch == 0);
}

TEST_CASE("a second process may look at a journal but not write to it") {
  Device device;
  device.seqs(request({calls(1)}));
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    FakeClock clock;
    const auto second = Journal::open(device.options, clock);
    const auto status = Journal::read_status(device.options);
    const bool ok = !second && second.error().code() == Errc::conflict && status &&
                    status->next_seq == 2 && status->enrolled;
    ::_exit(ok ? 0 : 1);
  }
  int state = 0;
  REQUIRE(::waitpid(child, &state, 0) == child);
  REQUIRE(WEXITSTATUS(state) == 0);
}

TEST_CASE("the status of no journal is not found, and a look at one that is closed shows it") {
  Device device;
  device.seqs(request({calls(1)}));
  device.journal.reset();

  REQUIRE(Journal::read_status(device.options)->totals == Totals{{1, 1}});
  JournalOptions nowhere = device.options;
  nowhere.folder = device.folder.path() + "/other";
  REQUIRE(Journal::read_status(nowhere).error().code() == Errc::not_found);
}
