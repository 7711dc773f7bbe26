#pragma once
// Plays the engine towards the Tryton profile with the recorded requests and replies of
// deploy/tryton/goldens. No sockets.

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "collector/connectors/lua.h"
#include "tests/unit/collector/connectors/connector_world.h"

namespace ledgerline::collector::testing {

/// Members by name: two objects are the same in any order.
inline Json sorted(const Json& value) {
  if (value.is(Json::Kind::array)) {
    Json out = Json::array();
    for (const Json& item : value.items()) out.push(sorted(item));
    return out;
  }
  if (!value.is(Json::Kind::object)) return value;
  auto members = value.members();
  std::sort(members.begin(), members.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [name, member] : members) member = sorted(member);
  return Json::object(std::move(members));
}

struct Golden {
  Json request;  // body
  int64_t status = 0;
  std::string body;
};

inline Golden golden(const std::string& name) {
  const auto path = std::string(LEDGERLINE_SOURCE_DIR) + "/deploy/tryton/goldens/" + name + ".json";
  const Json file = parse_json(io::read_file(path).value()).value();
  const Json& reply = *file.find("reply");
  return {sorted(*file.find("request")->find("body")), std::stoi(reply.find("status")->text()),
          reply.find("body")->text()};
}

inline Json reply_of(const Golden& pair) {
  Json reply = Json::object({{"status", Json::number(pair.status)}, {"headers", Json::object()}});
  if (auto json = parse_json(pair.body)) reply.set("json", std::move(*json));
  return reply;
}

/// The texts for people are ours to word; everything else is compared.
inline Json without_texts(const Json& value) {
  if (value.is(Json::Kind::array)) {
    Json out = Json::array();
    for (const Json& item : value.items()) out.push(without_texts(item));
    return out;
  }
  Json out = value;
  for (const auto& [name, member] : value.members()) {
    static const std::set<std::string> kWorded = {"reference", "description", "readings", "message",
                                                  "usage"};
    const bool worded = kWorded.contains(name);
    out.set(name, worded ? Json::string("-") : without_texts(member));
  }
  return out;
}

class Conversation {
 public:
  Conversation() : profile_(LuaProfile::load(tryton_profile(), "tryton.lua").value()) {}

  /// Runs `function`; each request it makes must be the recorded one of the next name, whose reply
  /// it gets.
  LuaStep run(const char* function, std::vector<Json> arguments,
              const std::vector<std::string>& names) {
    const Json settings = Json::object({{"company", Json::string("1")},
                                        {"user", Json::string("collector")},
                                        {"password", Json::string("PASSWORD")}});
    arguments.push_back(settings);
    auto call = profile_->start(function, arguments);
    REQUIRE(call);
    std::optional<Json> reply;
    for (const std::string& name : names) {
      auto step = call->resume(reply);
      INFO(name << ": " << (step ? step->value.dump() : step.error().text()));
      REQUIRE(step);
      REQUIRE(step->kind == LuaStep::Kind::request);
      const Golden pair = golden(name);
      const Json asked = sorted(*step->value.find("json"));
      const std::string method = asked.find("method")->text();
      CHECK((step->value.find("effect") != nullptr) ==
            (method.ends_with(".create") || method.ends_with(".write")));
      CHECK(without_texts(asked).dump() == without_texts(pair.request).dump());
      last_request_ = asked;
      reply = reply_of(pair);
    }
    auto end = call->resume(reply);
    INFO((end ? end->value.dump() : end.error().text()));
    REQUIRE(end);
    REQUIRE(end->kind != LuaStep::Kind::request);
    return *end;
  }

  Json last_request_;

 private:
  std::unique_ptr<LuaProfile> profile_;
};

}  // namespace ledgerline::collector::testing
