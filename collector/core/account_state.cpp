#include "collector/core/account_state.h"

#include <limits>

#include "common/json.h"

namespace ledgerline::collector {

namespace {

tl::unexpected<Error> corrupt() {
  return fail(Errc::corrupt, "an account update's stored state does not parse");
}

Json line_json(const LineKey& key) {
  return Json::object(
      {{"subscription", Json::string(key.first)}, {"meter", Json::string(key.second)}});
}

Json period_json(Timestamp from, const ToldPeriod& told) {
  Json crossed = Json::array();
  for (const auto& [key, limits] : told.crossed) {
    Json line = line_json(key);
    Json texts = Json::array();
    for (const Decimal& limit : limits) texts.push(Json::string(limit.text()));
    line.set("limits", std::move(texts));
    crossed.push(std::move(line));
  }
  return Json::object({{"from_ms", Json::number(from.unix_ms())},
                       {"revision", Json::number(int64_t{told.revision})},
                       {"crossed", std::move(crossed)}});
}

Result<int64_t> integer(const Json* value) {
  if (value == nullptr || !value->is(Json::Kind::number)) return corrupt();
  const auto parsed = Decimal::parse(value->text());
  if (!parsed || parsed->scale() != 0 ||
      parsed->coefficient() > std::numeric_limits<int64_t>::max() ||
      parsed->coefficient() < std::numeric_limits<int64_t>::min())
    return corrupt();
  return static_cast<int64_t>(parsed->coefficient());
}

Result<std::vector<Json>> items(const Json& object, const char* name) {
  const Json* found = object.find(name);
  if (found == nullptr || !found->is(Json::Kind::array)) return corrupt();
  return found->items();
}

Result<LineKey> parse_line(const Json& json) {
  const Json* subscription = json.find("subscription");
  const Json* meter = json.find("meter");
  if (subscription == nullptr || meter == nullptr) return corrupt();
  return LineKey{subscription->text(), meter->text()};
}

Result<ToldPeriod> parse_told(const Json& json) {
  ToldPeriod out;
  TRY(const int64_t revision, integer(json.find("revision")));
  out.revision = static_cast<uint32_t>(revision);
  TRY(const auto crossed, items(json, "crossed"));
  for (const Json& line : crossed) {
    TRY(const LineKey key, parse_line(line));
    TRY(const auto limits, items(line, "limits"));
    for (const Json& text : limits) {
      const auto limit = Decimal::parse(text.text());
      if (!limit) return corrupt();
      out.crossed[key].push_back(*limit);
    }
  }
  return out;
}

}  // namespace

std::string to_json(const AccountState& state) {
  Json open = Json::array();
  for (const auto& [from, told] : state.open) open.push(period_json(from, told));
  Json overage = Json::array();
  for (const LineKey& key : state.overage) overage.push(line_json(key));
  return Json::object(
             {{"format", Json::number(1)},
              {"next_closed_ms", Json::number(state.next_closed.unix_ms())},
              {"open", std::move(open)},
              {"overage", std::move(overage)},
              {"renewal_until_ms",
               state.renewal_until ? Json::number(state.renewal_until->unix_ms()) : Json::null()}})
      .dump();
}

Result<AccountState> parse_account_state(std::string_view text) {
  const auto json = parse_json(text);
  if (!json || !json->is(Json::Kind::object)) return corrupt();
  AccountState out;
  TRY(const int64_t next_closed, integer(json->find("next_closed_ms")));
  out.next_closed = Timestamp(next_closed);
  TRY(const auto open, items(*json, "open"));
  for (const Json& period : open) {
    TRY(const int64_t from, integer(period.find("from_ms")));
    TRY(out.open[Timestamp(from)], parse_told(period));
  }
  TRY(const auto overage, items(*json, "overage"));
  for (const Json& line : overage) {
    TRY(LineKey key, parse_line(line));
    out.overage.insert(std::move(key));
  }
  const Json* renewal = json->find("renewal_until_ms");
  if (renewal == nullptr || renewal->is(Json::Kind::null)) return out;
  TRY(const int64_t until, integer(renewal));
  out.renewal_until = Timestamp(until);
  return out;
}

}  // namespace ledgerline::collector
