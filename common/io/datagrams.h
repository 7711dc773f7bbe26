#pragma once
// Receives datagrams on a loopback UDP port or a Unix socket. On the io thread; a busy sender is
// read in slices, so that others are served in between.

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/result.h"

namespace ledgerline::io {

class Datagrams {
 public:
  static constexpr size_t kSizeMax = 64 * 1024;
  /// Asked of the kernel, which gives what net.core.rmem_max allows.
  static constexpr int kReceiveBuffer = 4 << 20;

  /// `cut`: the datagram was longer than kSizeMax. The bytes live until the handler returns.
  using Handler = std::function<void(std::string_view bytes, bool cut)>;

  /// "127.0.0.1:8125", "[::1]:8125"; port 0 takes a free one. Errc::config where it is no
  /// loopback address; otherwise as of code_of_errno().
  static Result<std::unique_ptr<Datagrams>> open_udp(boost::asio::io_context& context,
                                                     const std::string& listen, Handler handler);
  /// Mode 0660; a left-over of a dead process is replaced, a live one is not: Errc::retry.
  /// Otherwise as of code_of_errno().
  static Result<std::unique_ptr<Datagrams>> open_local(boost::asio::io_context& context,
                                                       const std::string& path, Handler handler);
  virtual ~Datagrams() = default;

  /// Hands over what the kernel holds now, at most its buffer's worth.
  virtual void drain() = 0;
  virtual void stop() = 0;
  [[nodiscard]] virtual uint16_t port() const = 0;  // 0 on a Unix socket
  /// Datagrams that the kernel threw away because its buffer was full, as it told with the newest
  /// one received. Always 0 on a Unix socket, where the sender is refused instead.
  [[nodiscard]] virtual uint64_t kernel_drops() const = 0;
  [[nodiscard]] virtual size_t receive_buffer_bytes() const = 0;
};

}  // namespace ledgerline::io
