#include "common/io/http_server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <cstring>
#include <optional>
#include <set>

#include "common/check.h"
#include "common/io/local_host.h"
#include "common/io/log.h"
#include "common/io/socket_file.h"
#include "common/io/system.h"
#include "common/io/system_error.h"

namespace ledgerline::io {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;
using AnySocket = asio::generic::stream_protocol::socket;
using Tcp = asio::ip::tcp;
using Local = asio::local::stream_protocol;

namespace {

// After a refusal the peer may still be sending: closing at once would reset the connection under
// the answer. So a little is read and thrown away first.
constexpr size_t kLingerBytesMax = 64 << 10;
constexpr Duration kLingerTime{1000};
// Out of file descriptors or memory: accepting again at once would spin.
constexpr Duration kAcceptPause{200};
constexpr size_t kReplyBodyMax = 16 << 20;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

const std::string* find_header(const std::vector<std::pair<std::string, std::string>>& headers,
                               std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (lower(key) == name) return &value;
  }
  return nullptr;
}

template <class Fields>
std::vector<std::pair<std::string, std::string>> headers_of(const Fields& fields) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& field : fields)
    out.emplace_back(lower(field.name_string()), std::string(field.value()));
  return out;
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
  // A line break in a header value would begin another header; no caller of ours has a reason for
  // one.
  CHECK_INVARIANT(value.find_first_of("\r\n") == std::string_view::npos);
  out.append(name).append(": ").append(value).append("\r\n");
}

struct ReplyOptions {
  bool keep_alive = true;
  bool old_version = false;   // HTTP/1.0
  bool without_body = false;  // the answer to HEAD
};

std::string reply_text(const HttpResponse& response, const ReplyOptions& options) {
  std::string out = "HTTP/1.1 " + std::to_string(response.status) + " ";
  out.append(http::obsolete_reason(static_cast<http::status>(response.status))).append("\r\n");
  append_header(out, "Content-Type", response.content_type);
  append_header(out, "Content-Length", std::to_string(response.body.size()));
  if (!options.keep_alive) append_header(out, "Connection", "close");
  if (options.keep_alive && options.old_version) append_header(out, "Connection", "keep-alive");
  for (const auto& [name, value] : response.headers) append_header(out, name, value);
  out += "\r\n";
  if (!options.without_body) out += response.body;
  return out;
}

class Connection;

/// What the server and its connections share; a connection may outlive the server by one answer.
struct Shared {
  HttpServer::Options options;
  HttpServer::Handler handler;
  HttpServer::Counters counters;
  std::set<Connection*> connections;
  bool stopping = false;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// `tcp_port`: where it was accepted; 0 for the Unix socket, which no browser reaches.
  Connection(AnySocket socket, uint16_t tcp_port, std::shared_ptr<Shared> shared)
      : socket_(std::move(socket)),
        tcp_port_(tcp_port),
        timer_(socket_.get_executor()),
        shared_(std::move(shared)) {
    shared_->connections.insert(this);
    shared_->counters.open_connections = shared_->connections.size();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    shared_->connections.erase(this);
    shared_->counters.open_connections = shared_->connections.size();
  }

  void start() {
    error_code ignored;
    socket_.set_option(Tcp::no_delay(true), ignored);  // fails on a Unix socket, which has no delay
    arm_timer();
    read_header();
  }

  void close_if_idle() {
    if (state_ == State::waiting) close();
  }

 private:
  enum class State { waiting, reading, handling, writing, lingering };

  void allow(Duration time) { deadline_ = SteadyClock::now() + time; }

  /// One timer that looks at a moving deadline: setting it anew for every request would cost more
  /// than the parse.
  void arm_timer() {
    // A handler has no deadline: the one that is passed is the reading's.
    const auto left =
        state_ == State::handling ? SteadyClock::duration::max() : deadline_ - SteadyClock::now();
    timer_.expires_after(std::min<SteadyClock::duration>(left, Duration(1000)));
    timer_.async_wait([weak = weak_from_this()](const error_code& error) {
      const auto self = weak.lock();
      if (error || !self || !self->socket_.is_open()) return;
      if (self->state_ != State::handling && SteadyClock::now() >= self->deadline_) {
        self->timed_out_ = true;
        error_code ignored;
        self->socket_.cancel(ignored);
      }
      self->arm_timer();
    });
  }

  void close() {
    error_code ignored;
    socket_.close(ignored);
    timer_.cancel();
  }

  void read_header() {
    state_ = State::waiting;
    if (shared_->stopping) return close();
    timed_out_ = false;
    allow(shared_->options.idle_timeout);
    parser_.emplace();
    parser_->header_limit(static_cast<uint32_t>(shared_->options.header_max));
    parser_->body_limit(shared_->options.body_max);
    http::async_read_header(socket_, buffer_, *parser_,
                            [self = shared_from_this()](error_code error, size_t) {
                              if (error) return self->refuse(error);
                              self->on_header();
                            });
  }

  void on_header() {
    state_ = State::reading;
    allow(shared_->options.read_timeout);
    if (tcp_port_ != 0 && is_from_elsewhere()) {
      reply_ = {.keep_alive = false};
      return refuse_with(403, "only programs of this machine are served, by a loopback name");
    }
    if (lower(parser_->get()[http::field::expect]) != "100-continue") return read_body();
    output_ = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(socket_, asio::buffer(output_),
                      [self = shared_from_this()](error_code error, size_t) {
                        if (error) return self->close();
                        self->read_body();
                      });
  }

  /// A page in a browser, under its own name or (DNS rebinding) under ours.
  [[nodiscard]] bool is_from_elsewhere() const {
    const auto& head = parser_->get();
    if (head.count(http::field::origin) != 0 || head.count(http::field::host) != 1) return true;
    return !names_this_machine(head[http::field::host], tcp_port_);
  }

  void read_body() {
    http::async_read(socket_, buffer_, *parser_,
                     [self = shared_from_this()](error_code error, size_t) {
                       if (error) return self->refuse(error);
                       self->handle();
                     });
  }

  void handle() {
    state_ = State::handling;
    ++shared_->counters.requests;
    reply_ = {.keep_alive = parser_->keep_alive(),
              .old_version = parser_->get().version() < 11,
              .without_body = parser_->get().method() == http::verb::head};
    HttpRequest request;
    request.method = std::string(parser_->get().method_string());
    const std::string_view target = parser_->get().target();
    const size_t mark = target.find('?');
    request.path = std::string(target.substr(0, mark));
    if (mark != std::string_view::npos) request.query = std::string(target.substr(mark + 1));
    request.headers = headers_of(parser_->get());
    request.body = std::move(parser_->get().body());
    shared_->handler(std::move(request), [self = shared_from_this()](const HttpResponse& response) {
      self->answer(response);
    });
  }

  void answer(const HttpResponse& response) {
    CHECK_INVARIANT(state_ == State::handling);  // exactly one answer per request
    if (shared_->stopping) reply_.keep_alive = false;
    write(response);
  }

  void write(const HttpResponse& response) {
    state_ = State::writing;
    timed_out_ = false;
    allow(shared_->options.write_timeout);
    output_ = reply_text(response, reply_);
    asio::async_write(socket_, asio::buffer(output_),
                      [self = shared_from_this()](error_code error, size_t) {
                        if (error) return self->close();
                        if (!self->reply_.keep_alive) return self->linger();
                        self->read_header();
                      });
  }

  /// What could not be read as a request of ours: says so where the peer can still hear it, and
  /// closes.
  void refuse(const error_code& error) {
    const bool began = parser_->got_some();
    reply_ = {.keep_alive = false};
    if (timed_out_) {
      if (!began) return close();
      return refuse_with(408, "the request did not arrive within the time allowed");
    }
    if (error == http::error::end_of_stream) return close();
    if (error == http::error::body_limit) {
      return refuse_with(413, "the body is larger than " +
                                  std::to_string(shared_->options.body_max) +
                                  " bytes; send the events in several requests");
    }
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      return refuse_with(431, "the header is larger than " +
                                  std::to_string(shared_->options.header_max) + " bytes");
    }
    if (error == http::error::partial_message)
      return refuse_with(400, "the connection ended in the middle of a request");
    if (error.category() == http::make_error_code(http::error::bad_method).category()) {
      return refuse_with(400, "this is no HTTP/1.1 request: " + error.message());
    }
    close();
  }

  void refuse_with(unsigned status, const std::string& detail) {
    ++shared_->counters.bad_requests;
    log_debug("http_request_refused", {kv("status", status), kv("detail", detail)});
    const std::string title(http::obsolete_reason(static_cast<http::status>(status)));
    write({.status = status,
           .content_type = "application/problem+json",
           .body = R"({"type":"about:blank","title":")" + title + R"(","status":)" +
                   std::to_string(status) + R"(,"detail":")" + detail + "\"}\n",
           .headers = {}});
  }

  void linger() {
    state_ = State::lingering;
    error_code ignored;
    socket_.shutdown(AnySocket::shutdown_send, ignored);
    allow(kLingerTime);
    discard(kLingerBytesMax);
  }

  void discard(size_t left) {
    output_.resize(8192);
    socket_.async_read_some(asio::buffer(output_),
                            [self = shared_from_this(), left](error_code error, size_t got) {
                              if (error || got >= left) return self->close();
                              self->discard(left - got);
                            });
  }

  AnySocket socket_;
  uint16_t tcp_port_;
  asio::steady_timer timer_;
  std::shared_ptr<Shared> shared_;
  boost::beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::string output_;
  ReplyOptions reply_;
  State state_ = State::waiting;
  SteadyClock::time_point deadline_ = SteadyClock::now();
  bool timed_out_ = false;
};

template <class Protocol>
class Listener {
 public:
  explicit Listener(asio::io_context& context) : acceptor_(context), pause_(context) {}

  typename Protocol::acceptor& acceptor() { return acceptor_; }

  void accept(const std::shared_ptr<Shared>& shared) {
    auto socket = std::make_shared<AnySocket>(acceptor_.get_executor());
    acceptor_.async_accept(*socket, [this, shared, socket](const error_code& error) {
      if (error == asio::error::operation_aborted || shared->stopping) return;
      if (error) return accept_later(shared, error);
      if (shared->connections.size() >= shared->options.connections_max) {
        ++shared->counters.refused_connections;
        refuse(*socket);
      } else {
        std::make_shared<Connection>(std::move(*socket), tcp_port(), shared)->start();
      }
      accept(shared);
    });
  }

  void stop() {
    error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
  }

 private:
  void accept_later(const std::shared_ptr<Shared>& shared, const error_code& why) {
    log_warn("http_accept_failed", {kv("error", why.message())});
    pause_.expires_after(kAcceptPause);
    pause_.async_wait([this, shared](const error_code& error) {
      if (!error) accept(shared);
    });
  }

  [[nodiscard]] uint16_t tcp_port() const {
    if constexpr (std::is_same_v<Protocol, Tcp>) {
      error_code closed;
      return acceptor_.local_endpoint(closed).port();
    }
    return 0;
  }

  static void refuse(AnySocket& socket) {
    const std::string text = reply_text(
        {.status = 503, .body = "too many connections\n", .headers = {{"Retry-After", "1"}}},
        {.keep_alive = false});
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(text), ignored);
  }

  typename Protocol::acceptor acceptor_;
  asio::steady_timer pause_;
};

tl::unexpected<Error> cannot_listen(const std::string& where, const error_code& error) {
  return fail(system_error("cannot listen", error.value()).with("address", where));
}

/// Mode 0660 from the first moment on: Linux takes a socket file's mode from the descriptor.
Status bind_local(Local::acceptor& acceptor, const std::string& path) {
  TRY_VOID(free_socket_path(path, SOCK_STREAM));
  const Local::endpoint endpoint(path);
  error_code error;
  acceptor.open(Local(), error);
  if (error) return cannot_listen(path, error);
  ::fchmod(acceptor.native_handle(), 0660);
  if (acceptor.bind(endpoint, error); error) return cannot_listen(path, error);
  if (::chmod(path.c_str(), 0660) != 0) {
    return cannot_listen(path, error_code(errno, boost::system::system_category()));
  }
  if (acceptor.listen(asio::socket_base::max_listen_connections, error); error)
    return cannot_listen(path, error);
  return {};
}

Status bind_tcp(Tcp::acceptor& acceptor, const std::string& listen) {
  TRY(const auto address, parse_loopback(listen));
  const Tcp::endpoint endpoint(asio::ip::make_address(address.host), address.port);
  error_code error;
  if (acceptor.open(endpoint.protocol(), error); error) return cannot_listen(listen, error);
  acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
  if (acceptor.bind(endpoint, error); error) return cannot_listen(listen, error);
  if (acceptor.listen(asio::socket_base::max_listen_connections, error); error)
    return cannot_listen(listen, error);
  return {};
}

class Server final : public HttpServer {
 public:
  Server(asio::io_context& context, Options options, Handler handler)
      : shared_(std::make_shared<Shared>()), local_(context), tcp_(context) {
    shared_->options = std::move(options);
    shared_->handler = std::move(handler);
  }
  ~Server() override { Server::stop(); }

  Status start() {
    const Options& options = shared_->options;
    if (!options.socket_path.empty()) {
      TRY_VOID(bind_local(local_.acceptor(), options.socket_path));
      bound_socket_ = options.socket_path;
      local_.accept(shared_);
    }
    if (!options.listen.empty()) {
      TRY_VOID(bind_tcp(tcp_.acceptor(), options.listen));
      port_ = tcp_.acceptor().local_endpoint().port();
      tcp_.accept(shared_);
    }
    return {};
  }

  [[nodiscard]] uint16_t port() const override { return port_; }
  [[nodiscard]] Counters counters() const override { return shared_->counters; }

  void stop() override {
    if (shared_->stopping) return;
    shared_->stopping = true;
    local_.stop();
    tcp_.stop();
    if (!bound_socket_.empty()) ::unlink(bound_socket_.c_str());
    for (Connection* connection : shared_->connections) connection->close_if_idle();
  }

 private:
  std::shared_ptr<Shared> shared_;  // shared with connections that still answer after stop()
  Listener<Local> local_;
  Listener<Tcp> tcp_;
  std::string bound_socket_;
  uint16_t port_ = 0;
};

/// The blocking client: one connection, one request, one deadline for everything.
class Call {
 public:
  explicit Call(const std::string& address) : address_(address), socket_(context_) {}

  Result<HttpResponse> perform(const HttpRequest& request, Duration timeout) {
    TRY(const auto endpoint, resolve());
    text_ = request.method + " " + request.path +
            (request.query.empty() ? "" : "?" + request.query) + " HTTP/1.1\r\n";
    append_header(text_, "Host", "localhost");
    append_header(text_, "Connection", "close");
    append_header(text_, "Content-Length", std::to_string(request.body.size()));
    for (const auto& [name, value] : request.headers) append_header(text_, name, value);
    text_ += "\r\n" + request.body;
    parser_.body_limit(kReplyBodyMax);
    socket_.async_connect(endpoint, [this](const error_code& error) { connected(error); });
    context_.run_for(timeout);
    if (!finished_)
      return failure(Errc::retry, "no answer within " + std::to_string(timeout.count()) + " ms");
    if (refused_) return failure(Errc::not_found, "nobody listens there: " + result_.message());
    if (result_) return failure(Errc::retry, "the connection broke: " + result_.message());
    HttpResponse response;
    response.status = parser_.get().result_int();
    response.headers = headers_of(parser_.get());
    response.content_type = std::string(parser_.get()[http::field::content_type]);
    response.body = std::move(parser_.get().body());
    return response;
  }

 private:
  Result<asio::generic::stream_protocol::endpoint> resolve() const {
    if (address_.starts_with('/') || address_.starts_with('.')) {
      if (address_.size() >= sizeof(sockaddr_un::sun_path))
        return failure(Errc::config, "a socket path is too long");
      return asio::generic::stream_protocol::endpoint(Local::endpoint(address_));
    }
    TRY(const auto address, parse_loopback(address_));
    return asio::generic::stream_protocol::endpoint(
        Tcp::endpoint(asio::ip::make_address(address.host), address.port));
  }

  void connected(const error_code& error) {
    if (error) {
      refused_ = true;
      return finish(error);
    }
    asio::async_write(socket_, asio::buffer(text_), [this](const error_code& write_error, size_t) {
      // A server that refuses early closes before all is sent; its answer is still to be read.
      http::async_read(socket_, buffer_, parser_,
                       [this, write_error](const error_code& read_error, size_t) {
                         finish(read_error && write_error ? write_error : read_error);
                       });
    });
  }

  void finish(const error_code& error) {
    finished_ = true;
    result_ = error;
  }

  tl::unexpected<Error> failure(Errc code, std::string what) const {
    return fail(Error(code, std::move(what)).with("address", address_));
  }

  std::string address_;
  asio::io_context context_{1};
  AnySocket socket_;
  std::string text_;
  boost::beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
  bool finished_ = false;
  bool refused_ = false;
  error_code result_;
};

}  // namespace

const std::string* HttpRequest::header(std::string_view name) const {
  return find_header(headers, name);
}
const std::string* HttpResponse::header(std::string_view name) const {
  return find_header(headers, name);
}

Result<LoopbackAddress> parse_loopback(std::string_view text) {
  const size_t colon = text.rfind(':');
  std::string_view host = text.substr(0, colon == std::string_view::npos ? 0 : colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const std::string_view digits = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  uint16_t port = 0;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  error_code error;
  const auto address = asio::ip::make_address(std::string(host), error);
  if (error || digits.empty() || fault != std::errc() || end != digits.data() + digits.size()) {
    return fail(Error(Errc::config, "an address is written 127.0.0.1:8787")
                    .with("address", std::string(text)));
  }
  if (!address.is_loopback()) {
    return fail(
        Error(Errc::config,
              "only loopback addresses are served, because there is no authentication here; use "
              "127.0.0.1, or put a proxy with authentication in front")
            .with("address", std::string(text)));
  }
  return LoopbackAddress{.host = std::string(host), .port = port};
}

Result<std::unique_ptr<HttpServer>> HttpServer::open(asio::io_context& context, Options options,
                                                     Handler handler) {
  if (options.socket_path.empty() && options.listen.empty()) {
    return fail(Errc::config, "an HTTP server needs a socket or a listen address");
  }
  auto server = std::make_unique<Server>(context, std::move(options), std::move(handler));
  TRY_VOID(server->start());
  return server;
}

Result<HttpResponse> call_local(const std::string& address, const HttpRequest& request,
                                Duration timeout) {
  return Call(address).perform(request, timeout);
}

}  // namespace ledgerline::io
