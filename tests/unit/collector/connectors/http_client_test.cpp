#include "common/io/http_client.h"

#include <catch2/catch.hpp>

#include "tests/support/fault_erp/fault_erp.h"
#include "tests/unit/collector/connectors/connector_world.h"

namespace ledgerline::io {
namespace {

using collector::testing::wait_for;
using ledgerline::testing::Fault;
using ledgerline::testing::FaultErp;

HttpClient::Reply ask(const std::string& url, HttpClient::Options options = {},
                      std::string body = "{}") {
  boost::asio::io_context context;
  options.url = parse_http_url(url).value();
  options.read_timeout = options.total_timeout = std::chrono::milliseconds(200);
  const auto client = HttpClient::open(context.get_executor(), options);
  REQUIRE(client);
  return wait_for(context,
                  (*client)->exchange(
                      {"POST", "/erp/", {{"Content-Type", "application/json"}}, std::move(body)}));
}

HttpClient::Reply log_in(FaultErp& erp, HttpClient::Options options = {}) {
  return ask(erp.url(), options,
             R"({"id":0,"method":"common.db.login","params":["user",{"password":"right"}]})");
}

TEST_CASE("a reply comes back whole, also byte by byte") {
  FaultErp erp;
  for (const Fault fault : {Fault::none, Fault::slow}) {
    erp.queue("login", fault);
    const auto reply = log_in(erp);
    REQUIRE(reply);
    CHECK(reply->status == 200);
    CHECK(reply->body == R"({"id":0,"result":[2,"token"]})");
    CHECK(reply->header("content-TYPE") == "application/json");
  }
}

TEST_CASE("what never left is told from what may have arrived") {
  FaultErp erp;
  for (const Fault fault :
       {Fault::reset_before, Fault::reset_after, Fault::half_reply_after, Fault::silence_after}) {
    INFO(static_cast<int>(fault));
    erp.queue("login", fault);
    const auto reply = log_in(erp);
    REQUIRE_FALSE(reply);
    CHECK(reply.error().sent);
  }
  const auto refused = ask("http://127.0.0.1:1/");
  REQUIRE_FALSE(refused);
  CHECK_FALSE(refused.error().sent);
  CHECK_THAT(refused.error().what, Catch::Contains("cannot connect to 127.0.0.1:1"));
}

TEST_CASE("a server that speaks no TLS gets nothing of the request") {
  FaultErp erp;
  auto reply = ask("https" + erp.url().substr(4));
  REQUIRE_FALSE(reply);
  CHECK_FALSE(reply.error().sent);
  CHECK_THAT(reply.error().what, Catch::Contains("TLS handshake failed"));
  CHECK(erp.calls("login") == 0);
}

TEST_CASE("without TLS, what a name resolves to must be this machine") {
  FaultErp erp;
  HttpClient::Options options;
  options.url = parse_http_url(erp.url()).value();
  options.url.host = "0.0.0.0";  // reaches the server here, and is no loopback address
  boost::asio::io_context context;
  const auto client = HttpClient::open(context.get_executor(), options);
  REQUIRE(client);
  const auto reply = wait_for(context, (*client)->exchange({"POST", "/erp/", {}, "{}"}));
  REQUIRE_FALSE(reply);
  CHECK_FALSE(reply.error().sent);
  CHECK_THAT(reply.error().what, Catch::Contains("0.0.0.0") && Catch::Contains("TLS"));
}

TEST_CASE("a reply beyond its limit is refused") {
  FaultErp erp;
  const auto reply = log_in(erp, {.response_size_max = 10});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().sent);
}

TEST_CASE("a header cannot smuggle a second request") {
  FaultErp erp;
  boost::asio::io_context context;
  const auto client =
      HttpClient::open(context.get_executor(), {.url = parse_http_url(erp.url()).value()});
  const auto reply =
      wait_for(context, (*client)->exchange({"POST", "/", {{"X", "a\r\nY: b"}}, "{}"}));
  REQUIRE_FALSE(reply);
  CHECK_FALSE(reply.error().sent);
}

TEST_CASE("addresses") {
  const auto url = parse_http_url("https://erp.example:8443/db/").value();
  CHECK((url.tls && url.host == "erp.example" && url.port == "8443" && url.path == "/db/"));
  CHECK(parse_http_url("https://erp.example").value().port == "443");
  CHECK(parse_http_url("http://[::1]:80/x").value().host == "::1");
  CHECK(parse_http_url("http://localhost").value().text() == "http://localhost:80/");
  for (const char* wrong : {"", "ftp://x", "http://", "https://user:secret@erp", "https://erp:0",
                            "https://erp:99999", "https://erp:8x", "http://erp.example/"}) {
    INFO(wrong);
    const auto refused = parse_http_url(wrong);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::config);
  }
}

}  // namespace
}  // namespace ledgerline::io
