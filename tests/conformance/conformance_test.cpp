// The conformance suite of connector profiles: store, dispatcher, engine and profile together
// against a system with its own truth, one fault at a time. Whatever happens on the way, a document
// is there exactly as often as it must be, and we know it.
//
// CONFORMANCE_PROFILE=NAME test-conformance   plays that profile alone
// CONFORMANCE_TABLE=FILE test-conformance     writes what was seen as a Markdown table

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "collector/api/state_names.h"
#include "tests/conformance/profiles.h"
#include "tests/unit/collector/dispatch/dispatch_world.h"

namespace ledgerline::conformance {
namespace {

using collector::DeliveryState;
using collector::testing::as_sent;
using collector::testing::DispatchWorld;
using ledgerline::testing::Fault;
using ledgerline::testing::FaultServer;

constexpr const char* kId = "doc-1";

/// What is under way while one row happens to one document.
struct Scene {
  const Kind& kind;
  Json document;
  FaultServer& system;
  DispatchWorld& world;
};

struct Row {
  const char* what;
  std::function<void(Scene&)> happens;  // until nothing moves any more
  DeliveryState state = DeliveryState::confirmed;
  size_t documents = 1;
  bool reads = false;         // it happens to reading back: nothing where nothing is read
  uint32_t attempts_max = 4;  // look-ups among them
  bool is_lost = false;       // and nobody knows: held where ids are not unique
};

Row lost(Row row) {
  row.is_lost = true;
  return row;
}

void add(Scene& scene) { scene.world.add(kId, scene.document); }

/// The system meets faults when the document is created.
std::function<void(Scene&)> creating(std::vector<Fault> faults) {
  return [faults = std::move(faults)](Scene& scene) {
    for (const Fault fault : faults) scene.system.queue(scene.kind.create, fault);
    add(scene);
    scene.world.work();
  };
}

/// The system meets faults when what was created is read back.
std::function<void(Scene&)> reading_back(std::vector<Fault> faults) {
  return [faults = std::move(faults)](Scene& scene) {
    for (int i = 0; i < scene.kind.reads_before; ++i)
      scene.system.queue(scene.kind.read, Fault::none);
    for (const Fault fault : faults) scene.system.queue(scene.kind.read, fault);
    add(scene);
    scene.world.work();
  };
}

void another_amount_unseen(Scene& scene) {
  scene.system.queue(scene.kind.create, Fault::wrong_echo);
  const Fault gone = Fault::field_missing;
  reading_back({gone, gone, gone})(scene);
}

/// A collector whose store was lost delivers what is there already.
void deliver_twice(Scene& scene) {
  DispatchWorld before(scene.world.options_);
  before.add(kId, scene.document);
  before.work();
  REQUIRE(before.delivery(kId).state == DeliveryState::confirmed);
  add(scene);
  scene.world.work();
}

void refuse_the_first_attempt(Scene& scene) {
  scene.system.hang_up();
  scene.world.after_attempt_ = [&scene, refused = true]() mutable {
    if (std::exchange(refused, false)) scene.system.listen();
  };
  add(scene);
  scene.world.work();
}

void crash_before_sending(Scene& scene) {
  add(scene);
  scene.world.crash_before_sending();
  scene.world.work();
}

void crash_after_creating(Scene& scene) {
  add(scene);
  scene.world.crash_after_creating(as_sent(scene.document));
  scene.world.work();
}

/// The system would take the document twice, and nobody knows whether it has it.
void lose_where_ids_are_not_unique(Scene& scene) {
  auto& profile = scene.world.options_.profile;
  const std::string unique = "unique_ref = true";
  const size_t at = profile.find(unique);
  if (at != std::string::npos) profile.replace(at, unique.size(), "unique_ref = false");
  creating({Fault::reset_before})(scene);
}

const std::vector<Row>& rows() {
  using F = Fault;
  constexpr auto confirmed = DeliveryState::confirmed;
  static const std::vector<Row> list = {
      {"nothing goes wrong", creating({}), confirmed, 1, false, 1},
      {"duplicate: it is there already", deliver_twice, confirmed, 1, false, 1},
      {"connection refused", refuse_the_first_attempt},
      lost({"reset before commit", creating({F::reset_before})}),
      {"reset after commit", creating({F::reset_after})},
      lost({"timeout before commit", creating({F::silence_before})}),
      {"timeout after commit", creating({F::silence_after})},
      {"timeout, committed after the first look-up", creating({F::late_commit})},
      {"429 with Retry-After", creating({F::too_many_requests})},
      lost({"500 before commit", creating({F::error_500_before})}),
      {"500 after commit", creating({F::error_500_after})},
      {"slow", creating({F::slow}), confirmed, 1, false, 1},
      {"half a reply", creating({F::half_reply_after})},
      {"garbage", creating({F::not_json})},
      {"wrong echo: another amount is kept", creating({F::wrong_echo}), DeliveryState::conflict},
      {"refused for good", creating({F::user_error}), DeliveryState::rejected, 0, false, 1},
      {"expired token (401)", creating({F::session_expired})},
      lost({"crash in flight, before commit", crash_before_sending}),
      {"crash in flight, after commit", crash_after_creating},
      {"lost, and ids are not unique there", lose_where_ids_are_not_unique, DeliveryState::held, 0},
      {"schema change: field gone from the reply", creating({F::field_missing})},
      {"schema change: field renamed in the reply", creating({F::field_renamed})},
      {"read back: 500", reading_back({F::error_500_after}), confirmed, 1, true},
      {"read back: timeout", reading_back({F::silence_after}), confirmed, 1, true},
      {"read back: garbage", reading_back({F::not_json}), confirmed, 1, true},
      {"read back: expired token (401)", reading_back({F::session_expired}), confirmed, 1, true},
      {"read back: field gone, three times",
       reading_back({F::field_missing, F::field_missing, F::field_missing}), confirmed, 1, true},
      {"read back: field renamed, three times",
       reading_back({F::field_renamed, F::field_renamed, F::field_renamed}), confirmed, 1, true},
      {"another amount is kept, and the field that shows it is gone three times",
       another_amount_unseen, DeliveryState::conflict, 1, true},
      lost({"six faults in a row",
            creating({F::error_500_before, F::too_many_requests, F::reset_before,
                      F::session_expired, F::refuse_connection, F::error_500_after}),
            confirmed, 1, false, 16}),
  };
  return list;
}

struct Seen {
  std::string text;
  bool right = false;
};

std::string counted(size_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

Seen play(const Profile& profile, const Kind& kind, const Row& row) {
  if (row.reads && kind.read.empty()) return {"nothing is read", true};
  const auto system = profile.system();
  DispatchWorld world(profile.options(system->url()));
  Scene scene{kind, kind.document(kId), *system, world};
  row.happens(scene);
  const auto delivery = world.delivery(kId);
  const size_t documents = system->documents();
  const bool is_held = row.is_lost && !profile.unique_ref;
  const auto exceptions = world.store_->list_exceptions({}).value();
  CHECK((is_held || system->faults_left() == 0));
  const bool is_confirmed = delivery.state == DeliveryState::confirmed;
  Seen seen;
  seen.text = std::string(collector::name_of(delivery.state)) + ", " +
              counted(documents, "document") + ", " + counted(delivery.attempt, "attempt");
  if (!exceptions.empty()) seen.text += ", exception for " + exceptions.front().owner;
  seen.right = delivery.state == (is_held ? DeliveryState::held : row.state) &&
               documents == (is_held ? 0 : row.documents) && delivery.attempt <= row.attempts_max &&
               exceptions.empty() == is_confirmed;
  return seen;
}

using Table = std::vector<std::vector<std::string>>;

Table& table() {
  static Table cells;
  return cells;
}

void write_table(const char* file) {
  std::ofstream out(file);
  for (size_t row = 0; row < table().size(); ++row) {
    for (const std::string& cell : table()[row]) out << "| " << cell << " ";
    out << "|\n";
    if (row > 0) continue;
    for (size_t i = 0; i < table()[row].size(); ++i) out << "|---";
    out << "|\n";
  }
  REQUIRE(out.flush());
}

std::vector<Profile> profiles_under_test() {
  const char* only = std::getenv("CONFORMANCE_PROFILE");
  std::vector<Profile> list;
  for (const Profile& profile : profiles()) {
    if (only == nullptr || profile.name == only) list.push_back(profile);
  }
  return list;
}

TEST_CASE("whatever happens, a document is in every system exactly as often as it must be") {
  const auto list = profiles_under_test();
  REQUIRE_FALSE(list.empty());
  table().assign(1, {"what happens"});
  for (const Profile& profile : list) {
    for (const Kind& kind : profile.kinds)
      table().front().push_back(profile.name + ": " + kind.name);
  }
  for (const Row& row : rows()) {
    table().push_back({row.what});
    for (const Profile& profile : list) {
      for (const Kind& kind : profile.kinds) {
        const Seen seen = play(profile, kind, row);
        INFO(row.what << ": " << profile.name << ", " << kind.name << ": " << seen.text);
        CHECK(seen.right);
        table().back().push_back(seen.text);
      }
    }
  }
  if (const char* file = std::getenv("CONFORMANCE_TABLE")) write_table(file);
}

}  // namespace
}  // namespace ledgerline::conformance
