#include "tests/support/fault_erp/small_erp.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <functional>
#include <regex>

namespace ledgerline::testing {

namespace {

constexpr size_t kPageSize = 2;
constexpr size_t kLinesMax = 200;
constexpr int64_t kFirstVoucher = 15;

const std::map<std::string, int64_t> kCustomers = {
    {"C-1000", 700}, {"C-1001", 701}, {"C-1002", 702}};
const std::vector<std::string> kAssets = {"SN-100", "SN-101", "SN-200"};
const std::vector<std::string> kSkus = {"SEAL-7", "BRG-6204", "OIL-5W30"};
const std::vector<std::string> kCurrencies = {"EUR", "USD", "CHF"};
/// The bookkeepers' own.
const std::vector<std::string> kForeignMemos = {"doc-10", "Customer asks about doc-1"};

Json text(std::string value) { return Json::string(std::move(value)); }
Json number(int64_t value) { return Json::number(value); }

const Json& member(const Json& value, std::string_view name) {
  static const Json none;
  const Json* found = value.find(name);
  return found == nullptr ? none : *found;
}

bool is_one_of(const std::vector<std::string>& known, const std::string& value) {
  return std::find(known.begin(), known.end(), value) != known.end();
}

FaultReply replied(int status, const Json& body) {
  return {status, body.dump(), "application/json; charset=utf-8", ""};
}

FaultReply refused(int status, const std::string& code, const std::string& message) {
  return replied(
      status,
      Json::object({{"error", Json::object({{"code", text(code)}, {"message", text(message)}})}}));
}

FaultReply bad_field(const std::string& why) { return refused(422, "BAD_FIELD", why); }

/// Header names are the same in upper and lower case.
std::string header_of(const FaultRequest& request, std::string name) {
  const auto lower = [](std::string value) {
    for (char& c : value) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return value;
  };
  const size_t at = lower(request.head).find("\r\n" + lower(std::move(name)) + ": ");
  if (at == std::string::npos) return {};
  const size_t begin = request.head.find(": ", at) + 2;
  return request.head.substr(begin, request.head.find("\r\n", begin) - begin);
}

bool contains(const std::string& where, const std::string& what) {
  const auto same = [](unsigned char a, unsigned char b) {
    return std::tolower(a) == std::tolower(b);
  };
  return std::search(where.begin(), where.end(), what.begin(), what.end(), same) != where.end();
}

// ---- Fields: what is wrong with one; empty: nothing

using Check = std::function<std::string(const Json&)>;
using Checks = std::map<std::string, Check>;

Check text_up_to(size_t size_max) {
  return [=](const Json& value) -> std::string {
    if (!value.is(Json::Kind::string) || value.text().empty()) return "must be a text, not empty";
    if (value.text().size() > size_max) return "is longer than " + std::to_string(size_max);
    return {};
  };
}

Check text_like(const std::string& pattern, const std::string& wanted) {
  return [=](const Json& value) -> std::string {
    const bool fits =
        value.is(Json::Kind::string) && std::regex_match(value.text(), std::regex(pattern));
    return fits ? "" : "must be " + wanted;
  };
}

Check number_like(const std::string& pattern, const std::string& wanted) {
  return [=](const Json& value) -> std::string {
    const bool fits =
        value.is(Json::Kind::number) && std::regex_match(value.text(), std::regex(pattern));
    return fits ? "" : "must be " + wanted;
  };
}

std::string wrong_currency(const Json& value) {
  return is_one_of(kCurrencies, value.text()) ? "" : "must be EUR, USD or CHF";
}

std::string wrong_date(const Json& value) {
  const std::string wanted = "must be a date, DD.MM.YYYY";
  static const std::regex pattern(R"((\d\d)\.(\d\d)\.(\d{4}))");
  std::smatch parts;
  if (!value.is(Json::Kind::string) || !std::regex_match(value.text(), parts, pattern))
    return wanted;
  const auto part = [&](int i) { return static_cast<unsigned>(std::stoul(parts[i])); };
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(part(3))),
                                         std::chrono::month(part(2)), std::chrono::day(part(1))};
  return date.ok() ? "" : wanted;
}

/// Every field that is there must be known and right; `all`: and none may be missing.
std::string wrong_fields(const Json& body, const Checks& checks, bool all = true) {
  if (!body.is(Json::Kind::object)) return "must be an object";
  for (const auto& [name, value] : body.members()) {
    const auto check = checks.find(name);
    if (check == checks.end()) return "unknown field '" + name + "'";
    if (const std::string wrong = check->second(value); !wrong.empty())
      return "'" + name + "' " + wrong;
  }
  for (const auto& [name, check] : checks) {
    if (all && body.find(name) == nullptr) return "field '" + name + "' is missing";
  }
  return {};
}

Check list_of(const Checks& checks, size_t size_min) {
  return [=](const Json& value) -> std::string {
    const size_t size = value.items().size();
    if (!value.is(Json::Kind::array) || size < size_min || size > kLinesMax)
      return "must be a list of " + std::to_string(size_min) + " to " + std::to_string(kLinesMax);
    for (const Json& item : value.items()) {
      if (const std::string wrong = wrong_fields(item, checks); !wrong.empty())
        return "holds a line where " + wrong;
    }
    return {};
  };
}

const Checks& voucher_fields() {
  static const Checks checks = {
      {"customer_id", number_like("[1-9][0-9]{0,8}", "a customer's id")},
      {"currency", wrong_currency},
      {"memo", text_up_to(120)},
      {"lines", list_of({{"text", text_up_to(250)},
                         {"net_cents", number_like("0|-?[1-9][0-9]{0,11}", "whole cents")}},
                        1)}};
  return checks;
}

const Checks& job_fields() {
  static const Checks checks = {
      {"asset_tag", text_up_to(40)},
      {"title", text_up_to(80)},
      {"text", text_up_to(4000)},
      {"prio", number_like("[159]", "1, 5 or 9")},
      {"due", wrong_date},
      {"ref", text_up_to(80)},
      {"material", list_of({{"sku", text_up_to(40)},
                            {"qty", text_like("[0-9]{1,6}(,[0-9]{1,3})?",
                                              "a quantity as text, with a decimal comma")}},
                           0)}};
  return checks;
}

/// What may be amended.
const Checks& amended_fields() {
  static const Checks checks = [] {
    Checks some = job_fields();
    for (const char* name : {"ref", "asset_tag", "material"}) some.erase(name);
    return some;
  }();
  return checks;
}

}  // namespace

SmallErp::SmallErp() {
  for (const std::string& memo : kForeignMemos) {
    add_voucher(Json::object(
        {{"customer_id", number(kCustomers.at("C-1001"))},
         {"currency", text("EUR")},
         {"memo", text(memo)},
         {"lines",
          Json::array({Json::object({{"text", text("By hand")}, {"net_cents", number(500)}})})}}));
  }
  start();
}

void SmallErp::finish_jobs() {
  const std::lock_guard lock(lock_);
  for (Json& job : jobs_) {
    job.set("state", text("done"));
    job.set("done_at", text("21.11.2026 09:05"));
    job.set("done_by", text("M. Peeters"));
    job.set("hours", text("1,50"));
  }
}

size_t SmallErp::documents() const {
  const std::lock_guard lock(lock_);
  return vouchers_.size() - kForeignMemos.size() + jobs_.size();
}

SmallErp::Place SmallErp::place_of(const FaultRequest& request) {
  const size_t mark = std::min(request.target.find('?'), request.target.size());
  Place place{request.target.substr(0, mark), {}};
  for (size_t at = mark + 1; at < request.target.size();) {
    const size_t end = std::min(request.target.find('&', at), request.target.size());
    const std::string pair = request.target.substr(at, end - at);
    const size_t equals = std::min(pair.find('='), pair.size());
    place.query[url_decoded(pair.substr(0, equals))] =
        url_decoded(pair.substr(std::min(equals + 1, pair.size())));
    at = end + 1;
  }
  return place;
}

std::string SmallErp::operation_of(const FaultRequest& request) const {
  const Place place = place_of(request);
  const std::string& path = place.path;
  const bool is_get = request.method == "GET";
  const bool is_post = request.method == "POST";
  static const std::regex voucher("/erp/vouchers/[0-9]{1,9}");
  static const std::regex job("/erp/jobs/[0-9]{1,9}");
  if (path == "/erp/session" && is_post) return "session";
  if (path == "/erp/customers" && is_get) return "customers";
  if (path == "/erp/vouchers" && is_post) return "vouchers.create";
  if (path == "/erp/vouchers" && is_get) {
    const auto page = place.query.find("page");
    return page == place.query.end() || page->second == "1" ? "vouchers.search" : "vouchers.page";
  }
  if (std::regex_match(path, voucher) && is_get) return "vouchers.read";
  if (path == "/erp/jobs" && is_post) return "jobs.create";
  if (path == "/erp/jobs" && is_get) return "jobs.read";
  if (std::regex_match(path, job) && request.method == "PATCH") return "jobs.amend";
  return {};
}

bool SmallErp::is_look(const std::string& operation) const {
  return operation == "vouchers.search" || operation == "jobs.read";
}

/// What shows that another amount or asset is kept; else what a document is found by.
std::string SmallErp::essential_field(const std::string& operation) const {
  if (operation == "vouchers.read") return "net_cents";
  if (operation == "jobs.read") return "asset_tag";
  return "no";
}

FaultReply SmallErp::refusal() const { return bad_field("the period is closed"); }

FaultReply SmallErp::answer(const FaultRequest& request, bool wrong_echo) {
  const std::string operation = operation_of(request);
  const Place place = place_of(request);
  if (operation.empty())
    return refused(404, "NO_ROUTE", "nothing at " + request.method + " " + place.path);
  if (operation != "session" && !has_session(request))
    return refused(401, "NO_SESSION", "the token is missing or has expired");
  if (request.method == "GET") return read(operation, place);
  if (!header_of(request, "Content-Type").starts_with("application/json"))
    return refused(415, "NOT_JSON", "the Content-Type must be application/json");
  const auto body = parse_json(request.body);
  if (!body) return refused(400, "NOT_JSON", "the body is not JSON");
  return write(operation, place, *body, wrong_echo);
}

FaultReply SmallErp::read(const std::string& operation, const Place& place) const {
  if (operation == "customers") return find_customer(place);
  if (operation == "vouchers.read") return read_voucher(place);
  return operation == "jobs.read" ? read_jobs(place) : search_vouchers(place);
}

FaultReply SmallErp::write(const std::string& operation, const Place& place, const Json& body,
                           bool wrong_echo) {
  if (!place.query.empty()) return refused(400, "BAD_QUERY", "no parameter belongs here");
  if (operation == "session") return open_session(body);
  if (operation == "vouchers.create") return create_voucher(body, wrong_echo);
  if (operation == "jobs.create") return create_job(body, wrong_echo);
  return amend_job(place, body);
}

// ---- Sessions and customers

FaultReply SmallErp::open_session(const Json& body) {
  const Checks fields = {{"user", text_up_to(40)}, {"pass", text_up_to(80)}};
  if (const std::string wrong = wrong_fields(body, fields); !wrong.empty()) return bad_field(wrong);
  if (member(body, "user").text() != kUser || member(body, "pass").text() != kPassword)
    return refused(403, "BAD_LOGIN", "unknown user, or wrong password");
  const std::string token = "kt-" + std::to_string(++sessions_);
  return replied(200, Json::object({{"token", text(token)}, {"expires_in", number(1200)}}));
}

bool SmallErp::has_session(const FaultRequest& request) const {
  const std::string token = header_of(request, "X-Kontor-Token");
  for (int i = 1; i <= sessions_; ++i) {
    if (token == "kt-" + std::to_string(i)) return true;
  }
  return false;
}

FaultReply SmallErp::find_customer(const Place& place) const {
  const auto wanted = place.query.find("number");
  if (wanted == place.query.end() || place.query.size() > 1)
    return refused(400, "BAD_QUERY", "ask with ?number=");
  const auto found = kCustomers.find(wanted->second);
  if (found == kCustomers.end())
    return refused(404, "NO_CUSTOMER", "no customer " + wanted->second);
  return replied(200, Json::object({{"customer", Json::object({{"id", number(found->second)},
                                                               {"number", text(found->first)}})}}));
}

// ---- Vouchers

void SmallErp::add_voucher(Json values) {
  Json voucher =
      Json::object({{"no", number(kFirstVoucher + static_cast<int64_t>(vouchers_.size()))},
                    {"status", text("parked")}});
  for (auto& [name, value] : values.members()) voucher.set(name, value);
  vouchers_.push_back(std::move(voucher));
}

FaultReply SmallErp::create_voucher(const Json& body, bool wrong_amount) {
  if (const std::string wrong = wrong_fields(body, voucher_fields()); !wrong.empty())
    return bad_field(wrong);
  const std::string customer = member(body, "customer_id").text();
  const bool is_known = std::any_of(kCustomers.begin(), kCustomers.end(), [&](const auto& entry) {
    return std::to_string(entry.second) == customer;
  });
  if (!is_known) return refused(404, "NO_CUSTOMER", "no customer with id " + customer);
  Json values = body;
  if (wrong_amount) {
    Json lines = member(values, "lines");
    const int64_t cents = std::stoll(member(lines.items()[0], "net_cents").text());
    lines.items()[0].set("net_cents", number(cents + 1));
    values.set("lines", std::move(lines));
  }
  add_voucher(std::move(values));
  const Json no = member(vouchers_.back(), "no");
  return replied(202, Json::object({{"voucher", Json::object({{"no", no}})}}));
}

FaultReply SmallErp::search_vouchers(const Place& place) const {
  std::string memo;
  size_t page = 1;
  for (const auto& [name, value] : place.query) {
    const bool is_page = name == "page" && std::regex_match(value, std::regex("[1-9][0-9]{0,5}"));
    if (is_page) page = std::stoul(value);
    if (name == "memo") memo = value;
    if (!is_page && name != "memo") return refused(400, "BAD_QUERY", "ask with ?memo= and &page=");
  }
  if (memo.empty()) return refused(400, "BAD_QUERY", "ask with ?memo=");
  std::vector<Json> found;
  for (const Json& voucher : vouchers_) {
    if (!contains(member(voucher, "memo").text(), memo)) continue;
    found.push_back(
        Json::object({{"no", member(voucher, "no")}, {"memo", member(voucher, "memo")}}));
  }
  const size_t begin = std::min((page - 1) * kPageSize, found.size());
  const size_t end = std::min(begin + kPageSize, found.size());
  const auto at = [&](size_t i) { return found.begin() + static_cast<std::ptrdiff_t>(i); };
  return replied(200, Json::object({{"vouchers", Json::array({at(begin), at(end)})},
                                    {"page", number(static_cast<int64_t>(page))},
                                    {"more", Json::boolean(end < found.size())}}));
}

FaultReply SmallErp::read_voucher(const Place& place) const {
  const std::string no = place.path.substr(place.path.rfind('/') + 1);
  for (const Json& voucher : vouchers_) {
    if (member(voucher, "no").text() == no)
      return replied(200, Json::object({{"voucher", voucher}}));
  }
  return refused(404, "NO_VOUCHER", "no voucher " + no);
}

// ---- Jobs

FaultReply SmallErp::create_job(const Json& body, bool wrong_asset) {
  if (const std::string wrong = wrong_fields(body, job_fields()); !wrong.empty())
    return bad_field(wrong);
  const std::string asset = member(body, "asset_tag").text();
  if (!is_one_of(kAssets, asset)) return refused(404, "NO_ASSET", "no asset " + asset);
  for (const Json& item : member(body, "material").items()) {
    const std::string sku = member(item, "sku").text();
    if (!is_one_of(kSkus, sku)) return refused(404, "NO_SKU", "no article " + sku);
  }
  for (const Json& job : jobs_) {
    if (member(job, "ref") == member(body, "ref"))
      return refused(409, "DUP_REF", "another job has this ref");
  }
  const Json no = number(static_cast<int64_t>(jobs_.size()) + 1);
  Json job = Json::object({{"no", no}, {"state", text("open")}});
  for (const auto& [name, value] : body.members()) job.set(name, value);
  if (wrong_asset) job.set("asset_tag", text("SN-200"));
  for (const char* name : {"done_at", "done_by", "hours"}) job.set(name, Json::null());
  jobs_.push_back(std::move(job));
  return replied(201, Json::object({{"job", Json::object({{"no", no}})}}));
}

FaultReply SmallErp::amend_job(const Place& place, const Json& body) {
  if (const std::string wrong = wrong_fields(body, amended_fields(), false); !wrong.empty())
    return bad_field(wrong);
  const std::string no = place.path.substr(place.path.rfind('/') + 1);
  for (Json& job : jobs_) {
    if (member(job, "no").text() != no) continue;
    if (member(job, "state").text() == "done")
      return refused(409, "JOB_DONE", "the job is done and cannot be changed");
    for (const auto& [name, value] : body.members()) job.set(name, value);
    return replied(200, Json::object({{"job", Json::object({{"no", member(job, "no")}})}}));
  }
  return refused(404, "NO_JOB", "no job " + no);
}

FaultReply SmallErp::read_jobs(const Place& place) const {
  const auto ref = place.query.find("ref");
  if (ref == place.query.end() || place.query.size() > 1)
    return refused(400, "BAD_QUERY", "ask with ?ref=");
  Json found = Json::array();
  for (const Json& job : jobs_) {
    if (member(job, "ref").text() == ref->second) found.push(job);
  }
  return replied(200, Json::object({{"jobs", std::move(found)}}));
}

}  // namespace ledgerline::testing
