#pragma once
// An HTTP/1.1 server for this machine only: a Unix socket, a loopback TCP address, or both. The
// seam to Beast's server (and to the small blocking client with which our own commands ask it).
// Everything runs on the io_context's thread; a handler may answer at once or later, exactly once,
// on that same thread. A body beyond the limit is refused by its Content-Length before it is read.
// Bytes that are no HTTP are answered with 400 and the connection is closed. Over TCP, a request
// with an Origin, or by another name than this machine's own, is a web page's and is answered 403.

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"
#include "common/time.h"

namespace ledgerline::io {

struct HttpRequest {
  std::string method;                                        // "GET", "POST", ...
  std::string path;                                          // without the query
  std::string query;                                         // after '?', not decoded
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;

  /// The first header of that name (in lower case), or nullptr.
  [[nodiscard]] const std::string* header(std::string_view name) const;
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>>
      headers;  // beside Content-Type and Content-Length

  [[nodiscard]] const std::string* header(std::string_view name) const;
};

/// A loopback address as a configuration names it: "127.0.0.1:8787" or "[::1]:0".
struct LoopbackAddress {
  std::string host;
  uint16_t port = 0;  // 0: any free one
};
/// Errc::config for text that is no address and port, and for every address that is not loopback:
/// this server has no authentication of its own.
Result<LoopbackAddress> parse_loopback(std::string_view text);

class HttpServer {
 public:
  using Respond = std::function<void(HttpResponse)>;
  using Handler = std::function<void(HttpRequest, Respond)>;

  struct Options {
    std::string socket_path;  // empty: none. Mode 0660; a left-over of a dead process is replaced,
                              // a live one is not
    std::string listen;       // empty: none. Loopback only
    size_t body_max = 1 << 20;
    size_t header_max = 16 << 10;
    size_t connections_max = 256;   // one more is answered with 503 and closed
    Duration idle_timeout{60'000};  // between requests
    Duration read_timeout{20'000};  // one request, from its first byte; then 408
    Duration write_timeout{20'000};
  };

  /// Accepts at once. Errc::config where an address is refused, Errc::retry where it is in use;
  /// otherwise as of code_of_errno().
  static Result<std::unique_ptr<HttpServer>> open(boost::asio::io_context& context, Options options,
                                                  Handler handler);
  virtual ~HttpServer() = default;

  /// The TCP port that was bound; 0 without `listen`.
  [[nodiscard]] virtual uint16_t port() const = 0;

  struct Counters {
    uint64_t requests = 0;
    uint64_t bad_requests = 0;         // no HTTP, half a frame, too large, too slow, a web page's
    uint64_t refused_connections = 0;  // beyond connections_max
    uint64_t open_connections = 0;
  };
  [[nodiscard]] virtual Counters counters() const = 0;

  /// Stops accepting and closes what is idle; requests under way are still answered. The destructor
  /// does the same.
  virtual void stop() = 0;
};

/// One blocking request for command-line programs, to a Unix socket (`address` begins with '/' or
/// '.') or "127.0.0.1:8787". Errc::not_found where nobody listens there, Errc::retry for a timeout
/// or a broken reply.
Result<HttpResponse> call_local(const std::string& address, const HttpRequest& request,
                                Duration timeout);

}  // namespace ledgerline::io
