#include "tests/support/fault_erp/fault_erp.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>

#include "common/check.h"
#include "common/decimal.h"

namespace ledgerline::testing {

namespace {

constexpr size_t kRequestMax = 4 << 20;

Json text(std::string value) { return Json::string(std::move(value)); }
Json number(int64_t value) { return Json::number(value); }

const Json& member(const Json& value, std::string_view name) {
  static const Json none;
  const Json* found = value.find(name);
  return found == nullptr ? none : *found;
}

/// The value that a domain asks a field for: [["code", "=", "C-1001"]].
std::string asked(const Json& domain, const std::string& field) {
  for (const Json& clause : domain.items()) {
    if (clause.items().size() == 3 && clause.items()[0].text() == field)
      return clause.items()[2].text();
  }
  return {};
}

bool send_all(int connection, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

struct HttpMessage {
  std::string head;
  std::string body;
};

std::optional<HttpMessage> read_request(int connection) {
  std::string data;
  char buffer[8192];
  size_t head_end = std::string::npos;
  size_t length = 0;
  while (data.size() < kRequestMax) {
    head_end = data.find("\r\n\r\n");
    if (head_end != std::string::npos) {
      const size_t at = data.find("Content-Length: ");
      length = at == std::string::npos ? 0 : std::stoul(data.substr(at + 16));
      if (data.size() >= head_end + 4 + length) break;
    }
    const ssize_t got = ::recv(connection, buffer, sizeof buffer, 0);
    if (got <= 0) return std::nullopt;
    data.append(buffer, static_cast<size_t>(got));
  }
  return HttpMessage{data.substr(0, head_end), data.substr(head_end + 4, length)};
}

std::string header(const std::string& head, const std::string& name) {
  const size_t at = head.find(name + ": ");
  if (at == std::string::npos) return {};
  const size_t begin = at + name.size() + 2;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

/// A close that the other side sees as "connection reset by peer".
void reset(int connection) {
  const linger now{1, 0};
  ::setsockopt(connection, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

/// Until the other side gives up.
void stay_silent(int connection) {
  char byte = 0;
  while (::recv(connection, &byte, 1, 0) > 0) {
  }
}

void answer_slowly(int connection, const std::string& bytes) {
  const size_t step = std::max<size_t>(1, bytes.size() / 20);
  for (size_t at = 0; at < bytes.size(); at += step) {
    if (!send_all(connection, std::string_view(bytes).substr(at, step))) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

bool does_nothing(Fault fault) {
  return fault == Fault::refuse_connection || fault == Fault::reset_before ||
         fault == Fault::silence_before || fault == Fault::error_500_before ||
         fault == Fault::too_many_requests || fault == Fault::session_expired ||
         fault == Fault::user_error;
}

}  // namespace

FaultErp::FaultErp() {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK_INVARIANT(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  CHECK_INVARIANT(::listen(listener_, 64) == 0);
  socklen_t size = sizeof address;
  CHECK_INVARIANT(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_loop(); });
}

FaultErp::~FaultErp() {
  stopping_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  {
    const std::lock_guard lock(mutex_);
    for (const int connection : connections_) ::shutdown(connection, SHUT_RDWR);
  }
  for (auto& worker : workers_) worker.join();
  for (const int connection : connections_) ::close(connection);
}

void FaultErp::queue(const std::string& method, Fault fault) {
  const std::lock_guard lock(mutex_);
  faults_[method].push_back(fault);
}

std::vector<FaultErp::Invoice> FaultErp::invoices() const {
  const std::lock_guard lock(mutex_);
  return invoices_;
}

std::vector<FaultErp::Work> FaultErp::works() const {
  const std::lock_guard lock(mutex_);
  return works_;
}

void FaultErp::close_works() {
  const std::lock_guard lock(mutex_);
  for (Work& work : works_) work.closed = true;
}

int FaultErp::calls(const std::string& method) const {
  const std::lock_guard lock(mutex_);
  int sum = 0;
  for (const auto& [name, count] : calls_) sum += name.ends_with(method) ? count : 0;
  return sum;
}

size_t FaultErp::faults_left() const {
  const std::lock_guard lock(mutex_);
  size_t left = 0;
  for (const auto& [method, faults] : faults_) left += faults.size();
  return left;
}

void FaultErp::accept_loop() {
  for (;;) {
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (stopping_ || connection < 0) return;
    const std::lock_guard lock(mutex_);
    // Closed at the end only, so that no number is used twice while a thread may still shut it
    // down.
    connections_.push_back(connection);
    workers_.emplace_back([this, connection] {
      serve(connection);
      ::shutdown(connection, SHUT_RDWR);
    });
  }
}

Fault FaultErp::take_fault(const std::string& method) {
  const std::lock_guard lock(mutex_);
  ++calls_[method];
  for (auto& [suffix, faults] : faults_) {
    if (faults.empty() || !method.ends_with(suffix)) continue;
    const Fault fault = faults.front();
    faults.pop_front();
    return fault;
  }
  return Fault::none;
}

void FaultErp::serve(int connection) {
  const auto message = read_request(connection);
  if (!message) return;
  const auto request = parse_json(message->body);
  if (!request) return;
  const std::string method = member(*request, "method").text();
  const Fault fault = take_fault(method);
  Reply reply;
  if (fault == Fault::late_commit) {
    const std::lock_guard lock(mutex_);
    late_.push_back(member(*request, "params").items()[0].items()[0]);
  } else if (!does_nothing(fault)) {
    reply = dispatch(*request, header(message->head, "Authorization"), fault == Fault::wrong_echo);
  }
  // shutdown() and a late close would say goodbye politely: the reset needs the close itself, so
  // the socket is replaced.
  const auto break_off = [&] {
    reset(connection);
    const int dead = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ::dup2(dead, connection);
    ::close(dead);
  };
  switch (fault) {
    case Fault::refuse_connection:
    case Fault::reset_before:
    case Fault::reset_after:
      return break_off();
    case Fault::late_commit:
    case Fault::silence_before:
    case Fault::silence_after:
      return stay_silent(connection);
    case Fault::error_500_before:
    case Fault::error_500_after:
      reply = {500, "<h1>Internal Server Error</h1>", "text/html", ""};
      break;
    case Fault::too_many_requests:
      reply = {429, "", "text/plain", "Retry-After: 7\r\n"};
      break;
    case Fault::session_expired:
      reply = {401, "", "text/plain", ""};
      break;
    case Fault::not_json:
      reply.body = "{\"id\":1,\"result\":[" + std::string(20, '[');
      break;
    case Fault::user_error:
      reply.body = R"({"id":1,"error":["UserError",["Das Feld ist erforderlich.","",null]]})";
      break;
    default:
      break;
  }
  const std::string bytes = "HTTP/1.0 " + std::to_string(reply.status) +
                            " X\r\nContent-Type: " + reply.content_type +
                            "\r\nContent-Length: " + std::to_string(reply.body.size()) + "\r\n" +
                            reply.extra_header + "\r\n" + reply.body;
  if (fault == Fault::slow) return answer_slowly(connection, bytes);
  if (fault == Fault::half_reply_after) {
    send_all(connection,
             std::string_view(bytes).substr(0, bytes.size() - reply.body.size() / 2 - 1));
    return;
  }
  send_all(connection, bytes);
}

FaultErp::Reply FaultErp::dispatch(const Json& request, const std::string& authorization,
                                   bool wrong_amount) {
  const std::string method = member(request, "method").text();
  const auto& params = member(request, "params").items();
  Json reply = Json::object();
  reply.set("id", member(request, "id"));
  if (method == "common.db.login") {
    if (member(params[1], "password").text() != "right") return {401, "", "text/plain", ""};
    reply.set("result", Json::array({number(2), text("token")}));
    return {200, reply.dump(), "application/json", ""};
  }
  if (authorization != "Session dXNlcjoyOnRva2Vu") return {401, "", "text/plain", ""};
  const std::lock_guard lock(mutex_);
  if (method == "model.account.invoice.create")
    return create(params[0].items()[0], member(request, "id"), wrong_amount);
  const Json refusal =
      Json::array({text("UserError"), Json::array({text("nein"), text(""), Json::null()})});
  if (method == "model.project.work.create") {
    if (create_work(params[0].items()[0])) {
      reply.set("result", Json::array({number(works_.back().id)}));
    } else {
      reply.set("error", refusal);
    }
  } else if (method == "model.project.work.write") {
    const bool written = write_work(params[0].items()[0], params[1]);
    reply.set(written ? "result" : "error", written ? Json::null() : refusal);
  } else if (method.ends_with(".fields_get")) {
    reply.set("result",
              Json::object({{"unit_price", Json::object({{"digits", text("[16, 8]")}})}}));
  } else if (method.ends_with(".search_read")) {
    reply.set("result", search_read(method.substr(6, method.size() - 18), params[0]));
    if (method.find(".invoice.") != std::string::npos) {
      for (const Json& values : std::exchange(late_, {})) create(values, Json::null(), false);
    }
  } else {
    return {403, "", "text/plain", ""};
  }
  return {200, reply.dump(), "application/json", ""};
}

Json FaultErp::search_read(const std::string& model, const Json& domain) const {
  Json rows = Json::array();
  if (model == "account.invoice") {
    for (const Invoice& invoice : invoices_) {
      if (invoice.external_id == asked(domain, "external_id")) rows.push(invoice_row(invoice));
    }
    return rows;
  }
  if (model == "project.work" && asked(domain, "type").empty()) {
    for (const Work& work : works_) {
      if (member(work.values, "external_id").text() == asked(domain, "external_id"))
        rows.push(work_row(work));
    }
    return rows;
  }
  const std::string code = asked(domain, "code");
  Json row = Json::object({{"id", number(7)}});
  if (model == "party.party") {
    if (!code.starts_with("C-")) return rows;
    row = Json::object({{"id", number(std::stoi(code.substr(2)))},
                        {"code", text(code)},
                        {"customer_payment_term", Json::null()}});
  } else if (model == "product.product") {
    if (code == "NOPE") return rows;
    row.set("account_category.", Json::object({{"id", number(1)}, {"account_revenue", number(6)}}));
    row.set("default_uom.", Json::object({{"id", number(1)}, {"digits", number(0)}}));
  } else if (model == "currency.currency") {
    row.set("digits", number(2));
  } else if (model == "stock.lot") {
    const std::string lot = asked(domain, "number");
    if (!lot.starts_with("SN-")) return rows;
    row = Json::object({{"id", number(std::stoi(lot.substr(3)))}, {"number", text(lot)}});
  } else if (model == "stock.location") {
    row.set("storage_location", number(3));
  }
  rows.push(std::move(row));
  return rows;
}

FaultErp::Reply FaultErp::create(const Json& values, const Json& id, bool wrong_amount) {
  Json reply = Json::object({{"id", id}});
  const std::string external_id = member(values, "external_id").text();
  const bool there = std::any_of(invoices_.begin(), invoices_.end(), [&](const Invoice& invoice) {
    return invoice.external_id == external_id;
  });
  if (there) {
    reply.set("error", Json::array({text("UserError"),
                                    Json::array({text("schon da"), text(""), Json::null()})}));
    return {200, reply.dump(), "application/json", ""};
  }
  Decimal sum(0, 2);
  for (const Json& line : member(values, "lines").items()[0].items()[1].items()) {
    const auto quantity = Decimal::parse(member(line, "quantity").text());
    const auto price = Decimal::parse(member(member(line, "unit_price"), "decimal").text());
    CHECK_INVARIANT(quantity && price);
    sum = *add(sum, *multiply(*quantity, *price)->rounded(2, Rounding::half_even));
  }
  if (wrong_amount) sum = *add(sum, Decimal(1, 2));
  Invoice invoice;
  invoice.id = static_cast<int64_t>(invoices_.size()) + 1;
  invoice.external_id = external_id;
  invoice.party = "C-" + member(values, "party").text();
  invoice.currency = "EUR";
  invoice.untaxed_amount = sum.text();
  invoice.body = values;
  invoices_.push_back(invoice);
  reply.set("result", Json::array({number(invoice.id)}));
  return {200, reply.dump(), "application/json", ""};
}

bool FaultErp::create_work(const Json& values) {
  const std::string id = member(values, "external_id").text();
  for (const Work& work : works_) {
    if (member(work.values, "external_id").text() == id) return false;
  }
  works_.push_back({static_cast<int64_t>(works_.size()) + 1, values, false});
  return true;
}

bool FaultErp::write_work(const Json& id, const Json& values) {
  for (Work& work : works_) {
    if (std::to_string(work.id) != id.text() || work.closed) continue;
    for (const auto& [name, value] : values.members()) work.values.set(name, value);
    return true;
  }
  return false;
}

Json FaultErp::work_row(const Work& work) const {
  Json shipments = Json::array();
  const Json& parts = member(work.values, "parts");
  if (parts.is(Json::Kind::array)) {
    const Json& shipment = parts.items()[0].items()[1].items()[0];
    Json moves = Json::array();
    for (const Json& move : member(shipment, "moves").items()[0].items()[1].items())
      moves.push(member(move, "product"));
    shipments.push(Json::object({{"id", number(1)}, {"moves", std::move(moves)}}));
  }
  const Json when = Json::object({{"__class__", text("datetime")},
                                  {"year", number(2026)},
                                  {"month", number(11)},
                                  {"day", number(21)},
                                  {"hour", number(9)},
                                  {"minute", number(5)},
                                  {"second", number(7)},
                                  {"microsecond", number(0)}});
  const Json name = Json::object({{"id", number(4)}, {"name", text("Field service")}});
  return Json::object(
      {{"id", number(work.id)},
       {"external_id", member(work.values, "external_id")},
       {"external_revision", member(work.values, "external_revision")},
       {"status.", Json::object({{"name", text(work.closed ? "Done" : "Open")},
                                 {"progress", work.closed ? Json::number("1.0") : Json::null()}})},
       {"asset.", Json::object({{"number", text("SN-" + member(work.values, "asset").text())}})},
       {"parts.", std::move(shipments)},
       {"closed_at", work.closed ? when : Json::null()},
       {"closed_by.", work.closed ? name : Json::null()},
       {"timesheet_duration",
        Json::object({{"__class__", text("timedelta")}, {"seconds", Json::number("5400.0")}})}});
}

Json FaultErp::invoice_row(const Invoice& invoice) const {
  Json lines = Json::array();
  const size_t count = member(invoice.body, "lines").items()[0].items()[1].items().size();
  for (size_t i = 0; i < count; ++i) lines.push(number(static_cast<int64_t>(i) + 1));
  return Json::object(
      {{"id", number(invoice.id)},
       {"external_id", text(invoice.external_id)},
       {"state", text("draft")},
       {"number", Json::null()},
       {"party.", Json::object({{"id", number(1)}, {"code", text(invoice.party)}})},
       {"currency.", Json::object({{"id", number(1)}, {"code", text(invoice.currency)}})},
       {"untaxed_amount",
        Json::object({{"__class__", text("Decimal")}, {"decimal", text(invoice.untaxed_amount)}})},
       {"lines", std::move(lines)}});
}

}  // namespace ledgerline::testing
