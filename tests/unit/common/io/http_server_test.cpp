// Over real sockets: the server runs on a thread of its own, the test thread is its client.

#include "common/io/http_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <thread>

namespace ledgerline::io {
namespace {

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/ledgerline-http-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string socket() const { return path_ + "/agent.sock"; }

 private:
  std::string path_;
};

class RunningServer {
 public:
  explicit RunningServer(HttpServer::Options options, HttpServer::Handler handler = echo) {
    auto opened = HttpServer::open(context_, std::move(options), std::move(handler));
    REQUIRE(opened);
    server_ = std::move(*opened);
    thread_ = std::thread([this] {
      const auto work = boost::asio::make_work_guard(context_);
      context_.run();
    });
  }
  ~RunningServer() {
    context_.stop();
    thread_.join();
  }

  static void echo(const HttpRequest& request, const HttpServer::Respond& respond) {
    respond(
        {.status = 200,
         .body = request.method + " " + request.path + " " + std::to_string(request.body.size()),
         .headers = {}});
  }
  template <class Action>
  auto on_thread(Action action) {
    std::promise<decltype(action())> promise;
    boost::asio::post(context_, [&] { promise.set_value(action()); });
    return promise.get_future().get();
  }
  HttpServer::Counters counters() {
    return on_thread([this] { return server_->counters(); });
  }
  HttpServer& server() { return *server_; }
  boost::asio::io_context& context() { return context_; }

 private:
  boost::asio::io_context context_{1};
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

/// A client that sends whatever bytes the test wants.
class RawClient {
 public:
  explicit RawClient(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~RawClient() { ::close(fd_); }
  /// How much the other side took before it stopped listening.
  size_t send(std::string_view bytes) {
    size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) break;
      sent += static_cast<size_t>(n);
    }
    return sent;
  }
  void end_sending() { ::shutdown(fd_, SHUT_WR); }
  std::string receive_all() {
    std::string out;
    char buffer[4096];
    for (ssize_t n = 0; (n = ::recv(fd_, buffer, sizeof buffer, 0)) > 0;)
      out.append(buffer, static_cast<size_t>(n));
    return out;
  }
  std::string receive_until(std::string_view end) {
    std::string out;
    char c = 0;
    while (!out.ends_with(end) && ::recv(fd_, &c, 1, 0) == 1) out += c;
    return out;
  }

 private:
  int fd_;
};

bool contains(const std::string& text, std::string_view words) {
  return text.find(words) != std::string::npos;
}

TEST_CASE("a request is answered on a Unix socket and on loopback") {
  const Folder folder;
  RunningServer running({.socket_path = folder.socket(), .listen = "127.0.0.1:0"});

  for (const std::string& address :
       {folder.socket(), "127.0.0.1:" + std::to_string(running.server().port())}) {
    INFO(address);
    const auto response = call_local(
        address, {.method = "POST", .path = "/a", .query = "b=c", .headers = {}, .body = "12345"},
        Duration(20'000));
    REQUIRE(response);
    CHECK(response->status == 200);
    CHECK(response->body == "POST /a 5");
  }
  struct stat info {};
  REQUIRE(::stat(folder.socket().c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0660);
}

TEST_CASE("one connection serves requests in turn, also when they arrive together") {
  const Folder folder;
  RunningServer running({.socket_path = folder.socket()});
  RawClient client(folder.socket());

  client.send(
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: "
      "2\r\n\r\nabGET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string all = client.receive_all();

  CHECK(contains(all, "GET /1 0"));
  CHECK(contains(all, "POST /2 2"));
  CHECK(contains(all, "Connection: close\r\n\r\nGET /3 0"));
}

TEST_CASE("a chunked body is put together") {
  const Folder folder;
  RunningServer running({.socket_path = folder.socket()});
  RawClient client(folder.socket());

  client.send(
      "POST /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");

  CHECK(contains(client.receive_all(), "POST /c 7"));
}

TEST_CASE("a sender that asks first is told to go on") {
  const Folder folder;
  RunningServer running({.socket_path = folder.socket()});
  RawClient client(folder.socket());

  client.send(
      "POST /e HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\nExpect: "
      "100-continue\r\n\r\n");
  CHECK(client.receive_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("abc");

  CHECK(contains(client.receive_all(), "POST /e 3"));
}

TEST_CASE("a body of 10 MB is refused without being read") {
  const Folder folder;
  RunningServer running({.socket_path = folder.socket(), .body_max = 1 << 20});
  RawClient client(folder.socket());
  const std::string body(10 << 20, 'x');

  client.send("POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n");
  const size_t taken = client.send(body);
  const std::string reply = client.receive_all();

  CHECK(reply.starts_with("HTTP/1.1 413 "));
  CHECK(contains(reply, "application/problem+json"));
  CHECK(contains(reply, "1048576 bytes"));
  CHECK(taken < (2 << 20));
  CHECK(running.counters().requests == 0);
}

TEST_CASE("a body that grows beyond the limit without saying its length is refused") {
  const Folder folder;
  RunningServer running({.socket_path = folder.socket(), .body_max = 1000});
  RawClient client(folder.socket());

  client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n" +
              std::string(0x800, 'x') + "\r\n0\r\n\r\n");

  CHECK(client.receive_all().starts_with("HTTP/1.1 413 "));
}

TEST_CASE("what is no request is answered and the connection closed") {
  struct Case {
    const char* what;
    std::string bytes;
    const char* status;
  };
  const Case cases[] = {
      {"nonsense", "hello there\r\n\r\n", "400"},
      {"a TLS hello", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), "400"},
      {"half a header", "POST /v1/events HTT", "400"},
      {"half a body",
       "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"half\":", "400"},
      {"two lengths", "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"},
      {"a negative length", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400"},
      {"a length and chunks",
       "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "400"},
      {"a chunk of no number", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
       "400"},
      {"a header too large", "GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n",
       "431"},
  };
  const Folder folder;
  RunningServer running({.socket_path = folder.socket()});
  for (const Case& c : cases) {
    INFO(c.what);
    RawClient client(folder.socket());
    client.send(c.bytes);
    client.end_sending();
    const std::string reply = client.receive_all();
    CHECK(reply.substr(0, 12) == std::string("HTTP/1.1 ") + c.status);
    CHECK(contains(reply, "Connection: close"));
  }
  CHECK(running.counters().bad_requests == std::size(cases));
  CHECK(running.counters().requests == 0);
}

TEST_CASE("a request that does not arrive in time is given up") {
  const Folder folder;
  RunningServer running({.socket_path = folder.socket(), .read_timeout = Duration(50)});
  RawClient client(folder.socket());

  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");

  CHECK(client.receive_all().starts_with("HTTP/1.1 408 "));
}

TEST_CASE("a connection that says nothing is closed without a word") {
  const Folder folder;
  RunningServer running({.socket_path = folder.socket(), .idle_timeout = Duration(50)});
  RawClient client(folder.socket());

  CHECK(client.receive_all().empty());
}

TEST_CASE("one connection too many is told so") {
  const Folder folder;
  RunningServer running({.socket_path = folder.socket(), .connections_max = 1});
  RawClient first(folder.socket());
  first.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(contains(first.receive_until("GET /1 0"), "200 OK"));

  RawClient second(folder.socket());

  CHECK(second.receive_all().starts_with("HTTP/1.1 503 "));
  CHECK(running.counters().refused_connections == 1);
}

TEST_CASE("a handler may answer later, and after its client has gone") {
  const Folder folder;
  std::promise<HttpServer::Respond> handed;
  auto waiting = handed.get_future();
  RunningServer running({.socket_path = folder.socket()},
                        [&handed](const HttpRequest&, HttpServer::Respond respond) {
                          handed.set_value(std::move(respond));
                        });
  auto client = std::make_unique<RawClient>(folder.socket());
  client->send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  HttpServer::Respond respond = waiting.get();
  SECTION("later") {
    running.on_thread([&] {
      respond({.status = 200, .body = "late", .headers = {{"Connection", "x"}}});
      return 0;
    });
    CHECK(contains(client->receive_until("late"), "200 OK"));
  }
  SECTION("gone") {
    client.reset();
    running.on_thread([&] {
      respond({.status = 200, .body = "late", .headers = {}});
      return 0;
    });
    respond = nullptr;
    // The write may have to fail first; then the connection is forgotten.
    for (int i = 0; i < 10'000 && running.counters().open_connections != 0; ++i)
      std::this_thread::yield();
    CHECK(running.counters().open_connections == 0);
  }
}

std::string status_over_tcp(uint16_t port, const std::string& head) {
  boost::asio::io_context context;
  boost::asio::ip::tcp::socket socket(context);
  socket.connect({boost::asio::ip::address_v4::loopback(), port});
  const std::string text = "GET / HTTP/1.1\r\n" + head + "Connection: close\r\n\r\n";
  boost::asio::write(socket, boost::asio::buffer(text));
  std::string reply;
  boost::system::error_code end;
  boost::asio::read(socket, boost::asio::dynamic_buffer(reply), end);
  return reply.substr(9, 3);
}

TEST_CASE("a handler that takes longer than every timeout costs no work meanwhile") {
  const Folder folder;
  boost::asio::io_context context{1};
  HttpServer::Respond respond;
  auto server =
      HttpServer::open(context,
                       {.socket_path = folder.socket(),
                        .idle_timeout = Duration(100),
                        .read_timeout = Duration(100)},
                       [&](const HttpRequest&, HttpServer::Respond later) { respond = later; });
  REQUIRE(server);
  RawClient client(folder.socket());
  client.send("GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
  while (!respond) context.run_one();

  CHECK(context.run_for(std::chrono::milliseconds(400)) < 20);

  respond({.status = 200, .body = "at last", .headers = {}});
  context.run_for(std::chrono::milliseconds(50));
  server->reset();
}

TEST_CASE("a web page can reach neither this machine's name nor the server behind it") {
  const Folder folder;
  RunningServer running({.socket_path = folder.socket(), .listen = "127.0.0.1:0"});
  const uint16_t port = running.server().port();
  const std::string ours = ":" + std::to_string(port);
  struct Case {
    std::string head;
    const char* status;
  };
  const Case cases[] = {
      {"Host: 127.0.0.1" + ours + "\r\n", "200"},
      {"Host: localhost" + ours + "\r\n", "200"},
      {"Host: LocalHost" + ours + "\r\n", "200"},
      {"Host: [::1]" + ours + "\r\n", "200"},
      {"Host: 127.0.0.1\r\n", "200"},  // programs that leave the port out
      {"Host: evil.example" + ours + "\r\n", "403"},
      {"Host: evil.example\r\n", "403"},
      {"Host: 127.0.0.1.evil.example" + ours + "\r\n", "403"},
      {"Host: localhost.evil.example" + ours + "\r\n", "403"},
      {"Host: 192.0.2.1" + ours + "\r\n", "403"},
      {"Host: 127.0.0.1:1\r\n", "403"},
      {"Host: 127.0.0.1:\r\n", "403"},
      {"Host: \r\n", "403"},
      {"", "403"},
      {"Host: localhost\r\nHost: evil.example\r\n", "403"},
      {"Host: localhost" + ours + "\r\nOrigin: http://evil.example\r\n", "403"},
      {"Host: localhost" + ours + "\r\nOrigin: null\r\n", "403"},
  };
  for (const Case& c : cases) {
    INFO(c.head);
    CHECK(status_over_tcp(port, c.head) == c.status);
  }
  RawClient local(folder.socket());
  local.send("GET / HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\nConnection: close\r\n\r\n");
  CHECK(contains(local.receive_all(), " 200 "));
}

TEST_CASE("a left-over socket file is replaced, a live one is not") {
  const Folder folder;
  boost::asio::io_context other;
  {
    RunningServer running({.socket_path = folder.socket()});
    const auto second =
        HttpServer::open(other, {.socket_path = folder.socket()}, RunningServer::echo);
    REQUIRE_FALSE(second);
    CHECK(second.error().code() == Errc::retry);
    CHECK(contains(second.error().text(), "another process listens"));
  }
  CHECK_FALSE(std::filesystem::exists(folder.socket()));
  const int left_over = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  folder.socket().copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(left_over, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  ::close(left_over);

  RunningServer running({.socket_path = folder.socket()});
  CHECK(call_local(folder.socket(),
                   {.method = "GET", .path = "/", .query = "", .headers = {}, .body = ""},
                   Duration(20'000)));
}

TEST_CASE("only loopback addresses are served") {
  for (const char* bad : {"0.0.0.0:80", "192.0.2.1:80", "[::]:80", "localhost:80", "127.0.0.1",
                          "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", ":80", ""}) {
    INFO(bad);
    const auto address = parse_loopback(bad);
    REQUIRE_FALSE(address);
    CHECK(address.error().code() == Errc::config);
  }
  CHECK(parse_loopback("127.0.0.1:8787")->port == 8787);
  CHECK(parse_loopback("127.8.0.1:0")->host == "127.8.0.1");
  CHECK(parse_loopback("[::1]:1")->host == "::1");
}

TEST_CASE("a caller learns that nobody listens") {
  const Folder folder;
  const auto response = call_local(
      folder.socket(), {.method = "GET", .path = "/", .query = "", .headers = {}, .body = ""},
      Duration(20'000));

  REQUIRE_FALSE(response);
  CHECK(response.error().code() == Errc::not_found);
}

}  // namespace
}  // namespace ledgerline::io
