#include "common/io/http_client.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include "common/io/system_error.h"

namespace ledgerline::io {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr size_t kHeaderSizeMax = 64 * 1024;
constexpr milliseconds kTlsGoodbye{500};

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  boost::system::error_code error;
  const auto address = asio::ip::make_address(host, error);
  return !error && address.is_loopback();
}

bool all_loopback(const tcp::resolver::results_type& endpoints) {
  return std::all_of(endpoints.begin(), endpoints.end(),
                     [](const auto& entry) { return entry.endpoint().address().is_loopback(); });
}

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

/// One deadline for everything and a shorter one for the step at hand.
class Deadline {
 public:
  explicit Deadline(milliseconds total) : end_(steady_clock::now() + total) {}
  [[nodiscard]] steady_clock::time_point step(milliseconds limit) const {
    return std::min(end_, steady_clock::now() + limit);
  }

 private:
  steady_clock::time_point end_;
};

std::string reason(const char* what, const boost::system::error_code& error) {
  if (error == beast::error::timeout || error == asio::error::operation_aborted)
    return std::string(what) + ": timed out";
  return std::string(what) + ": " + error.message();
}

tl::unexpected<HttpClient::Failure> failure(bool sent, std::string what) {
  return tl::unexpected<HttpClient::Failure>({sent, std::move(what)});
}

std::string request_head(const HttpUrl& url, const HttpClient::Request& request) {
  const bool bracket = url.host.find(':') != std::string::npos;
  std::string head = request.method + " " + request.target +
                     " HTTP/1.1\r\nHost: " + (bracket ? "[" : "") + url.host +
                     (bracket ? "]:" : ":") + url.port + "\r\nConnection: close\r\n";
  for (const auto& [name, value] : request.headers) head += name + ": " + value + "\r\n";
  if (!request.body.empty() || request.method != "GET") {
    head += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  }
  return head + "\r\n";
}

/// A line break in a name, value or target would be a second request.
bool is_well_formed(const HttpClient::Request& request) {
  const auto clean = [](const std::string& text) {
    return std::none_of(text.begin(), text.end(),
                        [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  };
  const bool target = clean(request.target) && request.target.find(' ') == std::string::npos;
  return target && clean(request.method) &&
         std::all_of(request.headers.begin(), request.headers.end(), [&](const auto& header) {
           return clean(header.first) && clean(header.second);
         });
}

template <class Stream>
asio::awaitable<HttpClient::Reply> read_reply(Stream& stream, const HttpClient::Options& options,
                                              Deadline deadline) {
  beast::flat_buffer buffer;
  beast::http::response_parser<beast::http::string_body> parser;
  parser.body_limit(options.response_size_max);
  parser.header_limit(kHeaderSizeMax);
  while (!parser.is_done()) {
    beast::get_lowest_layer(stream).expires_at(deadline.step(options.read_timeout));
    const auto result = co_await beast::http::async_read_some(stream, buffer, parser, kTuple);
    const auto error = std::get<0>(result);
    // A peer that closes TLS without a goodbye is fine where Content-Length said that all is here:
    // is_done() is true then.
    if (error && !parser.is_done()) co_return failure(true, reason("no complete reply", error));
  }
  HttpClient::Response response;
  auto message = parser.release();
  response.status = static_cast<int>(message.result_int());
  for (const auto& field : message) {
    response.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  response.body = std::move(message.body());
  co_return response;
}

template <class Stream>
asio::awaitable<HttpClient::Reply> converse(Stream& stream, const HttpClient::Options& options,
                                            const HttpClient::Request& request, Deadline deadline) {
  const std::string head = request_head(options.url, request);
  beast::get_lowest_layer(stream).expires_at(deadline.step(options.read_timeout));
  const auto head_result = co_await asio::async_write(stream, asio::buffer(head), kTuple);
  const auto [head_error, head_bytes] = head_result;
  // The head of a request with a body is nothing a server can act on.
  if (head_error) {
    co_return failure(request.body.empty() && head_bytes > 0,
                      reason("the request was not sent", head_error));
  }
  if (!request.body.empty()) {
    beast::get_lowest_layer(stream).expires_at(deadline.step(options.total_timeout));
    const auto body_result = co_await asio::async_write(stream, asio::buffer(request.body), kTuple);
    const auto [error, bytes] = body_result;
    // Some servers answer before they have read all (413): the reply, if there is one, tells more
    // than the broken pipe.
    if (error) {
      if (bytes == 0) co_return failure(false, reason("the request was not sent", error));
      const bool broken =
          error == asio::error::broken_pipe || error == asio::error::connection_reset;
      if (!broken) co_return failure(true, reason("the request was sent in part", error));
    }
  }
  co_return co_await read_reply(stream, options, deadline);
}

class BeastClient final : public HttpClient {
 public:
  BeastClient(asio::any_io_executor executor, Options options, asio::ssl::context tls)
      : executor_(std::move(executor)), options_(std::move(options)), tls_(std::move(tls)) {}

  asio::awaitable<Reply> exchange(Request request) override {
    if (!is_well_formed(request))
      co_return failure(false, "a control character in the request's head");
    const Deadline deadline(options_.total_timeout);
    beast::tcp_stream stream(executor_);
    const auto connected = co_await connect(stream, deadline);
    if (!connected) co_return failure(false, connected.error());
    if (!options_.url.tls) co_return co_await converse(stream, options_, request, deadline);
    co_return co_await secure(std::move(stream), std::move(request), deadline);
  }

 private:
  asio::awaitable<tl::expected<void, std::string>> connect(beast::tcp_stream& stream,
                                                           Deadline deadline) {
    // Shared with the timer's handler, which may already be queued when this frame ends.
    const auto resolver = std::make_shared<tcp::resolver>(executor_);
    asio::steady_timer timer(executor_);
    timer.expires_at(deadline.step(options_.connect_timeout));
    timer.async_wait([resolver](const boost::system::error_code& error) {
      if (!error) resolver->cancel();
    });
    const auto resolved =
        co_await resolver->async_resolve(options_.url.host, options_.url.port, kTuple);
    timer.cancel();
    const auto& [resolve_error, endpoints] = resolved;
    if (resolve_error)
      co_return tl::unexpected(
          reason(("cannot find host " + options_.url.host).c_str(), resolve_error));
    // A name is only what the resolver makes of it, "localhost" too.
    if (!options_.url.tls && !all_loopback(endpoints))
      co_return tl::unexpected(options_.url.host +
                               " is not this machine: without TLS nothing else is addressed");
    stream.expires_at(deadline.step(options_.connect_timeout));
    const auto connected = co_await stream.async_connect(endpoints, kTuple);
    const auto error = std::get<0>(connected);
    if (error) {
      const std::string where = "cannot connect to " + options_.url.host + ":" + options_.url.port;
      co_return tl::unexpected(reason(where.c_str(), error));
    }
    boost::system::error_code ignored;
    stream.socket().set_option(tcp::no_delay(true), ignored);
    co_return tl::expected<void, std::string>();
  }

  asio::awaitable<Reply> secure(beast::tcp_stream plain, Request request, Deadline deadline) {
    beast::ssl_stream<beast::tcp_stream> stream(std::move(plain), tls_);
    stream.set_verify_callback(asio::ssl::host_name_verification(options_.url.host));
    boost::system::error_code not_address;
    asio::ip::make_address(options_.url.host, not_address);
    if (not_address &&
        SSL_set_tlsext_host_name(stream.native_handle(), options_.url.host.c_str()) != 1) {
      co_return failure(false, "the host name does not fit into TLS");
    }
    beast::get_lowest_layer(stream).expires_at(deadline.step(options_.connect_timeout));
    const auto shaken = co_await stream.async_handshake(asio::ssl::stream_base::client, kTuple);
    if (const auto error = std::get<0>(shaken))
      co_return failure(false, reason("TLS handshake failed", error));
    auto reply = co_await converse(stream, options_, request, deadline);
    beast::get_lowest_layer(stream).expires_after(kTlsGoodbye);
    co_await stream.async_shutdown(kTuple);
    co_return reply;
  }

  asio::any_io_executor executor_;
  Options options_;
  asio::ssl::context tls_;
};

/// A fault of the file system comes with its errno, one of the file's content with OpenSSL's
/// number.
Error no_authorities(const boost::system::error_code& error) {
  const std::string what = "the certificate authorities cannot be read";
  if (error.category() == boost::system::system_category())
    return system_error(what, error.value());
  return {Errc::config, what + ": " + error.message()};
}

}  // namespace

std::string HttpUrl::text() const {
  const bool bracket = host.find(':') != std::string::npos;
  return (tls ? "https://" : "http://") + (bracket ? "[" + host + "]" : host) + ":" + port + path;
}

Result<HttpUrl> parse_http_url(std::string_view text) {
  const auto wrong = [&](const std::string& why) {
    return fail(Error(Errc::config, why).with("url", std::string(text)));
  };
  HttpUrl url;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    url.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return wrong("an address begins with https:// or http://");
  }
  const size_t slash = rest.find('/');
  url.path = slash == std::string_view::npos ? "/" : std::string(rest.substr(slash));
  std::string_view authority = rest.substr(0, slash);
  if (authority.find('@') != std::string_view::npos)
    return wrong("user and password do not belong into an address");
  const size_t bracket = authority.starts_with('[') ? authority.find(']') : std::string_view::npos;
  const size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  url.host = bracket == std::string_view::npos ? std::string(authority.substr(0, colon))
                                               : std::string(authority.substr(1, bracket - 1));
  url.port = colon == std::string_view::npos ? (url.tls ? "443" : "80")
                                             : std::string(authority.substr(colon + 1));
  const bool digits =
      !url.port.empty() && url.port.size() <= 5 &&
      std::all_of(url.port.begin(), url.port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (url.host.empty()) return wrong("the address has no host");
  if (!digits || std::stoi(url.port) < 1 || std::stoi(url.port) > 65535)
    return wrong("the port is not 1 to 65535");
  if (!url.tls && !is_loopback(url.host))
    return wrong("without TLS only this machine may be addressed: use https://");
  return url;
}

std::optional<std::string_view> HttpClient::Response::header(std::string_view name) const {
  for (const auto& [field, value] : headers) {
    if (same_name(field, name)) return value;
  }
  return std::nullopt;
}

Result<std::unique_ptr<HttpClient>> HttpClient::open(asio::any_io_executor executor,
                                                     Options options) {
  asio::ssl::context tls(asio::ssl::context::tls_client);
  if (options.url.tls) {
    boost::system::error_code error;
    tls.set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1, error);
    tls.set_verify_mode(asio::ssl::verify_peer, error);
    if (options.ca_file.empty()) {
      tls.set_default_verify_paths(error);
    } else {
      tls.load_verify_file(options.ca_file, error);
    }
    if (error) return fail(no_authorities(error).with("file", options.ca_file));
  }
  return std::make_unique<BeastClient>(std::move(executor), std::move(options), std::move(tls));
}

}  // namespace ledgerline::io
