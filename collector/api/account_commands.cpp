// accounts: the newest account update of each rule and contract.

#include <map>

#include "collector/api/commands.h"
#include "collector/api/document_text.h"
#include "collector/api/setup.h"
#include "collector/api/table.h"
#include "collector/core/account_update.h"
#include "common/exit_code.h"
#include "common/json.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kPage = 1000;

/// By account, contract and rule.
using Newest = std::map<std::tuple<std::string, std::string, std::string>, Json>;

Result<Newest> newest_updates(Store& store) {
  Newest out;
  std::map<std::tuple<std::string, std::string, std::string>, Timestamp> since;
  DocumentFilter filter{.limit = kPage};
  for (;;) {
    TRY(const auto rows, store.list_documents(filter));
    for (const DocumentRow& row : rows) {
      if (row.kind != kAccountUpdate) continue;
      TRY(Json body, parse_json(row.body));
      const auto key = std::tuple(row.account, row.contract, text_of(body, "rule"));
      const auto found = since.find(key);
      if (found != since.end() && found->second > row.period_from) continue;
      since[key] = row.period_from;
      out.insert_or_assign(key, std::move(body));
    }
    if (rows.size() < kPage) return out;
    filter.after = rows.back().id;
  }
}

template <class Text>
std::string listed(const Json& body, const char* name, Text text) {
  std::string out;
  const Json* items = body.find(name);
  for (const Json& one : items == nullptr ? std::vector<Json>() : items->items()) {
    const std::string words = text(one);
    if (!words.empty()) out += (out.empty() ? "" : ", ") + words;
  }
  return out.empty() ? "-" : out;
}

std::string shares(const Json& body) {
  return listed(body, "meters", [](const Json& meter) {
    const std::string used = text_of(meter, "meter") + " " + text_of(meter, "quantity");
    return text_of(meter, "share") == "-" ? used : used + " of " + text_of(meter, "included");
  });
}

std::string signals(const Json& body) {
  return listed(body, "signals", [](const Json& one) { return text_of(one, "kind"); });
}

}  // namespace

Result<int> accounts(const CollectorConfig& config, const CommandLine& options, std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  return accounts(*store, options, out);
}

Result<int> accounts(Store& store, const CommandLine& options, std::ostream& out) {
  TRY(const Newest newest, newest_updates(store));
  Json list = Json::array();
  TextTable table(
      {"ACCOUNT", "CONTRACT", "RULE", "AS OF", "USED", "SIGNALS", "HEALTH", "DOCUMENT"});
  for (const auto& [key, body] : newest) {
    list.push(body);
    const Json* health = body.find("health");
    table.add({std::get<0>(key), std::get<1>(key), std::get<2>(key), text_of(body, "as_of"),
               shares(body), signals(body), health == nullptr ? "-" : text_of(*health, "score"),
               text_of(body, "id")});
  }
  if (options.json) {
    out << list.dump() << "\n";
  } else if (newest.empty()) {
    out << "no account updates yet: a [[account_update]] of the catalog writes them when a limit "
           "is "
           "crossed and when a period closes\n";
  } else {
    table.print(out);
  }
  return kExitOk;
}

}  // namespace ledgerline::collector
