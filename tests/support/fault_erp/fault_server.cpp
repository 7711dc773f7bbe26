#include "tests/support/fault_erp/fault_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <optional>

#include "common/check.h"

namespace ledgerline::testing {

namespace {

constexpr size_t kRequestMax = 4 << 20;

bool send_all(int connection, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

std::optional<FaultRequest> read_request(int connection) {
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
  FaultRequest request;
  request.head = data.substr(0, head_end);
  request.body = data.substr(head_end + 4, length);
  const size_t method_end = data.find(' ');
  const size_t target_end = data.find(' ', method_end + 1);
  request.method = data.substr(0, method_end);
  request.target = data.substr(method_end + 1, target_end - method_end - 1);
  return request;
}

/// A close that the other side sees as "connection reset by peer".
/// shutdown() and a late close would say goodbye politely: the reset needs the close itself, so the
/// socket is replaced.
void break_off(int connection) {
  const linger now{1, 0};
  ::setsockopt(connection, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  const int dead = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ::dup2(dead, connection);
  ::close(dead);
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
         fault == Fault::user_error || fault == Fault::late_commit;
}

/// Every object in `value` loses the member, or has it under another name.
void change_schema(Json& value, const std::string& field, bool rename) {
  if (value.is(Json::Kind::array)) {
    for (Json& item : value.items()) change_schema(item, field, rename);
    return;
  }
  if (!value.is(Json::Kind::object)) return;
  Json changed = Json::object();
  for (auto [name, member] : value.members()) {
    change_schema(member, field, rename);
    if (name != field)
      changed.set(name, std::move(member));
    else if (rename)
      changed.set("new_" + name, std::move(member));
  }
  value = std::move(changed);
}

}  // namespace

std::string FaultRequest::header(const std::string& name) const {
  const size_t at = head.find("\r\n" + name + ": ");
  if (at == std::string::npos) return {};
  const size_t begin = at + name.size() + 4;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

std::string url_decoded(const std::string& text) {
  const auto is_digit = [&](size_t i) {
    return i < text.size() && std::isxdigit(static_cast<unsigned char>(text[i])) != 0;
  };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%' || !is_digit(i + 1) || !is_digit(i + 2)) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
    i += 2;
  }
  return out;
}

FaultServer::FaultServer() { bind(); }

FaultServer::~FaultServer() { CHECK_INVARIANT(stopping_); }

/// A socket that is bound and does not listen keeps its port and refuses connections.
void FaultServer::bind() {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int again = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &again, sizeof again);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK_INVARIANT(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  socklen_t size = sizeof address;
  CHECK_INVARIANT(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
}

void FaultServer::listen() {
  CHECK_INVARIANT(::listen(listener_, 64) == 0);
  acceptor_ = std::thread([this] { accept_loop(); });
}

void FaultServer::hang_up() {
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  bind();
}

void FaultServer::stop() {
  stopping_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  if (acceptor_.joinable()) acceptor_.join();
  ::close(listener_);
  {
    const std::lock_guard lock(lock_);
    for (const int connection : connections_) ::shutdown(connection, SHUT_RDWR);
  }
  for (auto& worker : workers_) worker.join();
  for (const int connection : connections_) ::close(connection);
}

void FaultServer::queue(const std::string& operation, Fault fault) {
  const std::lock_guard lock(lock_);
  faults_[operation].push_back(fault);
}

int FaultServer::calls(const std::string& operation) const {
  const std::lock_guard lock(lock_);
  return static_cast<int>(
      std::count_if(operations_.begin(), operations_.end(),
                    [&](const std::string& name) { return name.ends_with(operation); }));
}

std::vector<std::string> FaultServer::operations() const {
  const std::lock_guard lock(lock_);
  return operations_;
}

size_t FaultServer::faults_left() const {
  const std::lock_guard lock(lock_);
  size_t left = 0;
  for (const auto& [operation, faults] : faults_) left += faults.size();
  return left;
}

void FaultServer::accept_loop() {
  for (;;) {
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (stopping_ || connection < 0) return;
    const std::lock_guard lock(lock_);
    // Closed at the end only, so that no number is used twice while a thread may still shut it
    // down.
    connections_.push_back(connection);
    workers_.emplace_back([this, connection] {
      serve(connection);
      ::shutdown(connection, SHUT_RDWR);
    });
  }
}

Fault FaultServer::take_fault(const std::string& operation) {
  operations_.push_back(operation);
  for (auto& [suffix, faults] : faults_) {
    if (faults.empty() || !operation.ends_with(suffix)) continue;
    const Fault fault = faults.front();
    faults.pop_front();
    return fault;
  }
  return Fault::none;
}

FaultReply FaultServer::reply_to(const FaultRequest& request, const std::string& operation,
                                 Fault fault) {
  if (fault == Fault::late_commit) late_.push_back(request);
  FaultReply reply;
  if (!does_nothing(fault)) reply = answer(request, fault == Fault::wrong_echo);
  if (is_look(operation)) {
    for (const FaultRequest& late : std::exchange(late_, {})) answer(late, false);
  }
  switch (fault) {
    case Fault::error_500_before:
    case Fault::error_500_after:
      return {500, "<h1>Internal Server Error</h1>", "text/html", ""};
    case Fault::too_many_requests:
      return {429, "", "text/plain", "Retry-After: 7\r\n"};
    case Fault::session_expired:
      return {401, "", "text/plain", ""};
    case Fault::not_json:
      reply.body = "{\"id\":1,\"result\":[" + std::string(20, '[');
      return reply;
    case Fault::user_error:
      return refusal();
    case Fault::field_missing:
    case Fault::field_renamed: {
      auto value = parse_json(reply.body);
      CHECK_INVARIANT(value);
      change_schema(*value, essential_field(operation), fault == Fault::field_renamed);
      reply.body = value->dump();
      return reply;
    }
    default:
      return reply;
  }
}

void FaultServer::serve(int connection) {
  const auto request = read_request(connection);
  if (!request) return;
  Fault fault = Fault::none;
  FaultReply reply;
  {
    const std::lock_guard lock(lock_);
    const std::string operation = operation_of(*request);
    fault = take_fault(operation);
    reply = reply_to(*request, operation, fault);
  }
  send_reply(connection, reply, fault);
}

void FaultServer::send_reply(int connection, const FaultReply& reply, Fault fault) {
  if (fault == Fault::refuse_connection || fault == Fault::reset_before ||
      fault == Fault::reset_after) {
    return break_off(connection);
  }
  if (fault == Fault::late_commit || fault == Fault::silence_before ||
      fault == Fault::silence_after) {
    return stay_silent(connection);
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

}  // namespace ledgerline::testing
