#include "common/io/tls_probe.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>

namespace ledgerline::io {

namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Stream = asio::ssl::stream<asio::ip::tcp::socket>;
constexpr auto kPatience = std::chrono::seconds(4);
// A TLS 1.3 server judges our certificate after our side of the handshake is done: the refusal
// comes with the first read.
constexpr auto kRefusalWithin = std::chrono::milliseconds(700);

struct Seen {
  std::string certificate_fault;
  bool name_fits = true;
};

std::string load_files(asio::ssl::context& context, const TlsProbe& probe) {
  error_code error;
  const auto unusable = [&](const std::string& what, const std::string& file) {
    return what + " " + file + " cannot be used: " + error.message();
  };
  context.load_verify_file(probe.ca_file, error);
  if (error) return unusable("the CA file", probe.ca_file);
  context.use_certificate_chain_file(probe.certificate_file, error);
  if (error) return unusable("the certificate", probe.certificate_file);
  context.use_private_key_file(probe.private_key_file, asio::ssl::context::pem, error);
  if (error) return unusable("the private key", probe.private_key_file);
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_3_VERSION);
  return {};
}

std::string name_of(X509* certificate) {
  char text[256] = "";
  X509_NAME_oneline(X509_get_subject_name(certificate), text, sizeof text);
  return text;
}

void watch(Stream& stream, const TlsProbe& probe, const std::shared_ptr<Seen>& seen) {
  stream.set_verify_mode(asio::ssl::verify_peer);
  stream.set_verify_callback(
      [seen, host = probe.host](bool fine, asio::ssl::verify_context& context) {
        X509_STORE_CTX* store = context.native_handle();
        if (!fine) {
          seen->certificate_fault =
              std::string(X509_verify_cert_error_string(X509_STORE_CTX_get_error(store))) + ": " +
              name_of(X509_STORE_CTX_get_current_cert(store));
        } else if (X509_STORE_CTX_get_error_depth(store) == 0) {
          seen->name_fits = asio::ssl::host_name_verification(host)(true, context);
        }
        return fine;
      });
}

/// Closes the stream when time is up; the shared stream outlives a handler that comes late.
void limit(asio::steady_timer& timer, const std::shared_ptr<Stream>& stream,
           std::chrono::milliseconds patience) {
  timer.expires_after(patience);
  timer.async_wait([stream](const error_code& error) {
    error_code ignored;
    if (!error) stream->lowest_layer().close(ignored);
  });
}

asio::awaitable<std::string> look(TlsProbe probe) {
  const auto executor = co_await asio::this_coro::executor;
  const std::string broker = probe.host + ":" + std::to_string(probe.port);
  asio::ssl::context context(asio::ssl::context::tls_client);
  if (auto unusable = load_files(context, probe); !unusable.empty()) co_return unusable;

  const auto stream = std::make_shared<Stream>(executor, context);
  const auto seen = std::make_shared<Seen>();
  watch(*stream, probe, seen);
  SSL_set_tlsext_host_name(stream->native_handle(), probe.host.c_str());
  asio::steady_timer timer(executor);
  error_code error;

  asio::ip::tcp::resolver resolver(executor);
  const auto found = co_await resolver.async_resolve(
      probe.host, std::to_string(probe.port), asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return "the name " + probe.host + " cannot be resolved: " + error.message();
  limit(timer, stream, kPatience);
  co_await asio::async_connect(stream->lowest_layer(), found,
                               asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return "no connection to the broker " + broker + ": " + error.message();
  co_await stream->async_handshake(Stream::client,
                                   asio::redirect_error(asio::use_awaitable, error));
  if (!seen->certificate_fault.empty()) {
    co_return "wrong certificate: the broker " + broker + " shows one that " + probe.ca_file +
        " does not vouch for (" + seen->certificate_fault + ")";
  }
  if (error) co_return "no TLS 1.3 with the broker " + broker + ": " + error.message();
  if (!seen->name_fits) {
    co_return "name mismatch: the certificate of the broker " + broker + " is not for " +
        probe.host;
  }
  limit(timer, stream, kRefusalWithin);
  char byte = 0;
  co_await stream->async_read_some(asio::buffer(&byte, 1),
                                   asio::redirect_error(asio::use_awaitable, error));
  timer.cancel();
  if (error && error.category() == asio::error::get_ssl_category()) {
    co_return "the broker " + broker + " refuses our certificate " + probe.certificate_file + ": " +
        error.message();
  }
  co_return std::string();
}

}  // namespace

void probe_tls(Runtime& runtime, TlsProbe probe, std::function<void(std::string)> done) {
  asio::co_spawn(
      runtime.context(), look(std::move(probe)),
      [done = std::move(done)](const std::exception_ptr& thrown, const std::string& text) {
        done(thrown ? std::string() : text);
      });
}

}  // namespace ledgerline::io
