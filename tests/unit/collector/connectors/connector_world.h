#pragma once
// What tests of connectors share: a clock that moves when it is read, a way to wait for a
// coroutine, and a document.

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>
#include <string>

#include "collector/connectors/engine.h"
#include "common/io/system.h"

namespace ledgerline::collector::testing {

/// Wall time jumps so that no look-up has to be waited for; the monotonic clock creeps so that no
/// operation runs out of time.
class HastyClock final : public Clock {
 public:
  Timestamp now() override { return now_ = now_ + Duration(20'000); }
  Monotonic monotonic() override { return monotonic_ = monotonic_ + Duration(40); }

 private:
  Timestamp now_{1'800'000'000'000};
  Monotonic monotonic_{5'000};
};

template <class T>
T wait_for(boost::asio::io_context& context, boost::asio::awaitable<T> coroutine) {
  std::optional<T> result;
  boost::asio::co_spawn(context, std::move(coroutine),
                        [&](const std::exception_ptr& thrown, T value) {
                          if (thrown) std::rethrow_exception(thrown);
                          result = std::move(value);
                        });
  context.restart();
  context.run();
  return std::move(*result);
}

inline std::string read_profile(const std::string& file) {
  return io::read_file(std::string(LEDGERLINE_SOURCE_DIR) + "/deploy/connectors/" + file).value();
}

inline std::string tryton_profile() { return read_profile("tryton.lua"); }

inline EngineOptions tryton_options(const std::string& url) {
  return {.name = "tryton",
          .profile_file = "tryton.lua",
          .profile = tryton_profile(),
          .url = url,
          .ca_file = "",
          .user = "user",
          .password = "right",
          .timeout = Duration(400),
          .settings = {{"company", "1"}}};
}

inline EngineOptions webhook_options(const std::string& url, const std::string& secret) {
  return {.name = "webhook",
          .profile_file = "webhook.lua",
          .profile = read_profile("webhook.lua"),
          .url = url,
          .ca_file = "",
          .user = "",
          .password = secret,
          .timeout = Duration(400),
          .settings = {{"path", "hooks/ledgerline"}, {"documents", "documents/"}}};
}

struct ExampleLine {
  std::string product = "API-CALL";
  std::string quantity = "1234";
  std::string unit_price = "0.00035";
  std::string amount = "0.43";
};

/// A billing summary as collector/core/documents.h describes it.
inline Json example_document(const std::string& id, const std::string& party = "C-1001",
                             const std::vector<ExampleLine>& lines = {
                                 {}, {"API-CALL", "45678.901", "0.00027", "12.33"}}) {
  const auto text = [](const std::string& value) { return Json::string(value); };
  Json array = Json::array();
  Decimal total(0, 2);
  for (const ExampleLine& line : lines) {
    total = add(total, Decimal::parse(line.amount).value()).value();
    array.push(Json::object({{"number", Json::number(int64_t{1})},
                             {"subscription", text("aqua-api")},
                             {"product", text(line.product)},
                             {"description", text("API calls")},
                             {"meter", text("api.requests")},
                             {"unit", text("1")},
                             {"quantity", text(line.quantity)},
                             {"included", text("0")},
                             {"tier", Json::object({{"from", text("0")}, {"to", Json::null()}})},
                             {"billable_quantity", text(line.quantity)},
                             {"unit_price", text(line.unit_price)},
                             {"amount", text(line.amount)}}));
  }
  return Json::object(
      {{"kind", text("billing-summary")},
       {"id", text(id)},
       {"external_id", text(id)},
       {"account", Json::object({{"name", text("aqua")}, {"external", text(party)}})},
       {"contract", text("aqua-2026")},
       {"currency", text("EUR")},
       {"untaxed_total", text(total.text())},
       {"period", Json::object({{"local_from", text("2026-11-01T00:00:00+01:00")},
                                {"local_until", text("2026-12-01T00:00:00+01:00")},
                                {"time_zone", text("Europe/Brussels")}})},
       {"lines", std::move(array)}});
}

/// An adjustment as collector/core/documents.h describes it: less was used than was billed.
inline Json example_adjustment(const std::string& id, const Json& original = Json::string("bs-1")) {
  Json out = example_document(id, "C-1001",
                              {{"API-CALL", "-1234", "0.00035", "-0.43"},
                               {"API-CALL", "-45678.901", "0.00027014", "-12.34"}});
  out.set("kind", Json::string("adjustment"));
  out.set("adjusts", Json::object({{"document", original}, {"number", Json::number(int64_t{2})}}));
  Json lines = *out.find("lines");
  for (Json& line : lines.items()) {
    line.set("quantity", Json::string("100"));
    line.set("booked_quantity", Json::string("47012.901"));
  }
  out.set("lines", std::move(lines));
  return out;
}

/// A maintenance order as collector/core/maintenance_order.h describes it.
inline Json example_order(const std::string& id, int64_t revision = 1,
                          const std::string& asset = "SN-100") {
  Json order = parse_json(R"({
    "format": 1, "kind": "maintenance-order", "tenant": "acme",
    "asset": {"name": "pump-7", "model": "P-100", "site": "Hall 3"},
    "account": {"name": "aqua", "legal_name": "Aqua Works Ltd", "external": "C-1001"},
    "rule": "compressor", "description": "Replace the seals", "number": 3, "priority": "high",
    "opened_at": "2026-11-20T08:00:00.000Z", "decided_at": "2026-11-20T08:00:00.000Z",
    "due_at": "2026-11-27T08:00:00.000Z", "effort_minutes": 90,
    "parts": [{"product": "SEAL-7", "quantity": "2"}, {"product": "BRG-6204", "quantity": "1"}],
    "conditions": [
      {"meter": "vibration", "where": {"axis": "x"}, "value": "trend", "window_minutes": 14400,
       "ahead_minutes": 7200, "side": "above", "limit": "7.1", "found": "7.3125", "met": true},
      {"meter": "", "where": {}, "value": "days_since_service", "window_minutes": 0,
       "ahead_minutes": 0, "side": "above", "limit": "90", "found": null, "met": false}],
    "readings": [
      {"condition": 1, "from": "2026-11-20T06:00:00.000Z", "until": "2026-11-20T07:00:00.000Z",
       "readings": 12, "value": "6.9"},
      {"condition": 1, "from": "2026-11-20T07:00:00.000Z", "until": "2026-11-20T08:00:00.000Z",
       "readings": 4, "value": "7.25"}],
    "catalog": "c0ffee",
    "evidence": {"log_leaves": 4711, "batches": [{"stream": "a1", "number": 12},
                 {"stream": "a1", "number": 13}, {"stream": "b2", "number": 4}],
                 "batches_more": 2}})")
                   .value();
  order.set("id", Json::string(id));
  order.set("external_id", Json::string(revision == 1 ? id : id + "/r" + std::to_string(revision)));
  order.set("revision", Json::number(revision));
  Json names = *order.find("asset");
  names.set("external", Json::string(asset));
  order.set("asset", std::move(names));
  return order;
}

}  // namespace ledgerline::collector::testing
