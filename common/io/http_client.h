#pragma once
// The seam to Beast's HTTP client: one request on one new connection, with TLS or, on loopback
// only, without.
//
// A connection serves one request and is closed. Kept-alive connections were refused on purpose: a
// server may close one just when a request leaves on it, and then nobody knows whether a document
// was created. What a failure reports instead is exact: whether the server can have got anything it
// could act on.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"

namespace ledgerline::io {

struct HttpUrl {
  bool tls = false;
  std::string host;
  std::string port;
  std::string path;  // from the first '/', at least "/"

  [[nodiscard]] std::string text() const;
};
/// Errc::config where it is not http:// or https:// with a host, or plain http:// to another host
/// than loopback by its text; what the name resolves to is looked at again before each connection.
Result<HttpUrl> parse_http_url(std::string_view text);

class HttpClient {
 public:
  struct Options {
    HttpUrl url;          // host and port of every request; targets are given with the request
    std::string ca_file;  // PEM; empty: the system's certificate authorities
    std::chrono::milliseconds connect_timeout{10'000};  // name, TCP and TLS handshake
    std::chrono::milliseconds read_timeout{30'000};     // without a byte from the server
    std::chrono::milliseconds total_timeout{60'000};
    size_t response_size_max = 8 << 20;
  };

  struct Request {
    std::string method = "GET";
    std::string target = "/";
    std::vector<std::pair<std::string, std::string>> headers;  // Host and Content-Length are added
    std::string body;
  };

  struct Response {
    int status = 0;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    /// Name in any case.
    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
  };

  struct Failure {
    /// True where a byte of the body (or, without a body, the head) was handed to the network: the
    /// outcome is unknown.
    bool sent = false;
    std::string what;
  };
  using Reply = tl::expected<Response, Failure>;

  /// Errc::config where the CA file holds no certificate; where it cannot be read, as of
  /// code_of_errno().
  static Result<std::unique_ptr<HttpClient>> open(boost::asio::any_io_executor executor,
                                                  Options options);
  virtual ~HttpClient() = default;

  /// Redirects are answers, not followed. Never throws.
  virtual boost::asio::awaitable<Reply> exchange(Request request) = 0;
};

}  // namespace ledgerline::io
