#include "common/io/datagrams.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/asio/generic/datagram_protocol.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/local/datagram_protocol.hpp>
#include <cerrno>
#include <cstring>
#include <vector>

#include "common/io/http_server.h"
#include "common/io/socket_file.h"
#include "common/io/system_error.h"

namespace ledgerline::io {

namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Socket = asio::generic::datagram_protocol::socket;

constexpr int kSlice = 256;  // datagrams, then others have their turn
constexpr int kDrainMax = 64 * kSlice;

tl::unexpected<Error> cannot_receive(const std::string& where, const error_code& error) {
  return fail(system_error("cannot receive datagrams", error.value()).with("address", where));
}

/// Shared with its handler that may still be queued.
class Receiver final : public std::enable_shared_from_this<Receiver> {
 public:
  Receiver(asio::io_context& context, Datagrams::Handler handler)
      : socket_(context), handler_(std::move(handler)), buffer_(Datagrams::kSizeMax) {}

  template <class Endpoint>
  Status open(const Endpoint& endpoint, const std::string& where) {
    error_code error;
    if (socket_.open(endpoint.protocol(), error); error) return cannot_receive(where, error);
    const bool local = endpoint.protocol().family() == AF_UNIX;
    // From the first moment on: Linux takes a socket file's mode from the descriptor.
    if (local) ::fchmod(socket_.native_handle(), 0660);
    if (socket_.bind(endpoint, error); error) return cannot_receive(where, error);
    if (local) {
      file_ = where;
      if (::chmod(where.c_str(), 0660) != 0)
        return cannot_receive(where, error_code(errno, boost::system::system_category()));
    } else {
      const int on = 1;
      ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    }
    socket_.set_option(asio::socket_base::receive_buffer_size(Datagrams::kReceiveBuffer), error);
    if (socket_.non_blocking(true, error); error) return cannot_receive(where, error);
    return {};
  }

  void start() {
    socket_.async_wait(Socket::wait_read, [weak = weak_from_this()](const error_code& error) {
      const auto self = weak.lock();
      if (self && !error && !self->stopped_) self->read_slice();
    });
  }

  void drain() {
    for (int i = 0; i < kDrainMax && !stopped_ && receive(); ++i) {
    }
  }

  void stop() {
    if (stopped_) return;
    stopped_ = true;
    error_code ignored;
    socket_.close(ignored);
    if (!file_.empty()) ::unlink(file_.c_str());
  }

  [[nodiscard]] uint16_t port() const {
    error_code error;
    const auto bound = socket_.local_endpoint(error);
    if (error || !file_.empty()) return 0;
    return ntohs(bound.data()->sa_family == AF_INET6
                     ? reinterpret_cast<const sockaddr_in6*>(bound.data())->sin6_port
                     : reinterpret_cast<const sockaddr_in*>(bound.data())->sin_port);
  }
  [[nodiscard]] uint64_t kernel_drops() const { return drops_; }
  [[nodiscard]] size_t receive_buffer_bytes() const {
    asio::socket_base::receive_buffer_size option;
    error_code error;
    socket_.get_option(option, error);
    return error ? 0 : static_cast<size_t>(option.value());
  }

 private:
  void read_slice() {
    for (int i = 0; i < kSlice && !stopped_; ++i) {
      if (!receive()) break;
    }
    if (!stopped_) start();
  }

  /// False where nothing is there.
  bool receive() {
    iovec part{.iov_base = buffer_.data(), .iov_len = buffer_.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(uint32_t))> control{};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(socket_.native_handle(), &header, MSG_DONTWAIT);
    if (size < 0) return errno == EINTR || errno == ECONNREFUSED;
    note_drops(header);
    handler_({buffer_.data(), static_cast<size_t>(size)}, (header.msg_flags & MSG_TRUNC) != 0);
    return true;
  }

  /// The kernel counts in 32 bits since the socket was made.
  void note_drops(msghdr& header) {
    for (cmsghdr* each = CMSG_FIRSTHDR(&header); each != nullptr;
         each = CMSG_NXTHDR(&header, each)) {
      if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SO_RXQ_OVFL) continue;
      uint32_t count = 0;
      std::memcpy(&count, CMSG_DATA(each), sizeof count);
      drops_ += static_cast<uint32_t>(count - last_drops_);
      last_drops_ = count;
    }
  }

  Socket socket_;
  Datagrams::Handler handler_;
  std::vector<char> buffer_;
  std::string file_;
  uint64_t drops_ = 0;
  uint32_t last_drops_ = 0;
  bool stopped_ = false;
};

class Owner final : public Datagrams {
 public:
  explicit Owner(std::shared_ptr<Receiver> receiver) : receiver_(std::move(receiver)) {
    receiver_->start();
  }
  ~Owner() override { receiver_->stop(); }
  void drain() override { receiver_->drain(); }
  void stop() override { receiver_->stop(); }
  [[nodiscard]] uint16_t port() const override { return receiver_->port(); }
  [[nodiscard]] uint64_t kernel_drops() const override { return receiver_->kernel_drops(); }
  [[nodiscard]] size_t receive_buffer_bytes() const override {
    return receiver_->receive_buffer_bytes();
  }

 private:
  std::shared_ptr<Receiver> receiver_;
};

}  // namespace

Result<std::unique_ptr<Datagrams>> Datagrams::open_udp(asio::io_context& context,
                                                       const std::string& listen, Handler handler) {
  TRY(const auto address, parse_loopback(listen));
  const asio::ip::udp::endpoint endpoint(asio::ip::make_address(address.host), address.port);
  const auto receiver = std::make_shared<Receiver>(context, std::move(handler));
  TRY_VOID(receiver->open(endpoint, listen));
  return std::make_unique<Owner>(receiver);
}

Result<std::unique_ptr<Datagrams>> Datagrams::open_local(asio::io_context& context,
                                                         const std::string& path, Handler handler) {
  TRY_VOID(free_socket_path(path, SOCK_DGRAM));
  const auto receiver = std::make_shared<Receiver>(context, std::move(handler));
  TRY_VOID(receiver->open(asio::local::datagram_protocol::endpoint(path), path));
  return std::make_unique<Owner>(receiver);
}

}  // namespace ledgerline::io
