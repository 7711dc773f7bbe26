#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "common/io/http_client.h"

namespace ledgerline::io {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    std::string path = (fs::temp_directory_path() / "ledgerline-tls-XXXXXX").string();
    REQUIRE(mkdtemp(path.data()) != nullptr);
    path_ = path;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

void run(const std::string& command) {
  INFO(command);
  REQUIRE(std::system((command + " >/dev/null 2>&1").c_str()) == 0);
}

/// NAME.pem, which signs others, and NAME.key.
void make_authority(const Folder& folder, const std::string& name, const std::string& key) {
  run("openssl req -x509 -nodes -days 2 -newkey " + key + " -subj /CN=" + name + " -keyout " +
      (folder / name) + ".key -out " + (folder / name) + ".pem");
}

/// server.pem and server.key, signed by ca.
void make_server(const Folder& folder, const std::string& key) {
  run("openssl req -nodes -newkey " + key + " -subj /CN=server -keyout " + (folder / "server.key") +
      " -out " + (folder / "server.csr"));
  std::ofstream(folder / "server.ext") << "subjectAltName=IP:127.0.0.1\n";
  run("openssl x509 -req -days 2 -set_serial 2 -in " + (folder / "server.csr") + " -CA " +
      (folder / "ca.pem") + " -CAkey " + (folder / "ca.key") + " -extfile " +
      (folder / "server.ext") + " -out " + (folder / "server.pem"));
}

uint16_t free_port() {
  asio::io_context context;
  const asio::ip::tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
  return acceptor.local_endpoint().port();
}

/// This machine's openssl, which has every algorithm; it answers GET / with a page.
class Server {
 public:
  Server(const Folder& folder, const std::string& arguments) : port_(free_port()) {
    std::vector<std::string> words{"openssl",
                                   "s_server",
                                   "-www",
                                   "-accept",
                                   std::to_string(port_),
                                   "-cert",
                                   folder / "server.pem",
                                   "-key",
                                   folder / "server.key"};
    std::istringstream rest(arguments);
    for (std::string word; rest >> word;) words.push_back(word);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      for (int fd = 0; fd < 3; ++fd) dup2(open("/dev/null", O_RDWR), fd);
      execvp("openssl", argv.data());
      _exit(127);
    }
    await_port();
  }
  ~Server() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] uint16_t port() const { return port_; }

 private:
  void await_port() const {
    for (int i = 0; i < 1000; ++i) {
      asio::io_context context;
      asio::ip::tcp::socket socket(context);
      boost::system::error_code error;
      socket.connect({asio::ip::address_v4::loopback(), port_}, error);
      if (!error) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    FAIL("openssl s_server does not listen on port " << port_);
  }

  uint16_t port_;
  pid_t pid_ = -1;
};

/// "200", or what went wrong.
std::string status_of(const Server& server, const std::string& ca_file) {
  HttpClient::Options options;
  options.url = parse_http_url("https://127.0.0.1:" + std::to_string(server.port())).value();
  options.ca_file = ca_file;
  asio::io_context context;
  const auto client = HttpClient::open(context.get_executor(), options);
  REQUIRE(client);
  std::optional<HttpClient::Reply> reply;
  asio::co_spawn(context, (*client)->exchange({}),
                 [&](std::exception_ptr, HttpClient::Reply got) { reply = std::move(got); });
  context.run();
  REQUIRE(reply);
  return *reply ? std::to_string((*reply)->status) : reply->error().what;
}

struct Case {
  std::string key;     // of the authority and of the server
  std::string server;  // what else the server is told
};

// A static agent's OpenSSL has a part of the algorithms only (cross/lib/static_libraries.sh).
TEST_CASE("tls: certificates and suites that servers and brokers use are understood") {
  const Folder folder;
  const auto [key, server_arguments] = GENERATE(values<Case>({
      {"rsa:2048", "-tls1_3"},
      {"ec -pkeyopt ec_paramgen_curve:P-256", "-tls1_3"},
      {"ec -pkeyopt ec_paramgen_curve:P-384", "-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384"},
      {"ec -pkeyopt ec_paramgen_curve:P-521", "-tls1_3 -groups P-384"},
      {"ed25519", "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256 -groups P-256"},
      {"rsa:4096 -sha512", "-tls1_2"},
      {"rsa:2048", "-tls1_2 -cipher ECDHE-RSA-AES128-SHA256"},
      {"rsa:2048 -sigopt rsa_padding_mode:pss", "-tls1_2 -cipher AES256-GCM-SHA384"},
      {"ec -pkeyopt ec_paramgen_curve:P-256", "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305"},
  }));
  CAPTURE(key, server_arguments);
  make_authority(folder, "ca", key);
  make_server(folder, key);
  const Server server(folder, server_arguments);

  CHECK(status_of(server, folder / "ca.pem") == "200");
}

TEST_CASE("tls: a certificate of somebody else's authority is refused") {
  const Folder folder;
  const std::string key = GENERATE("rsa:2048", "ec -pkeyopt ec_paramgen_curve:P-256");
  CAPTURE(key);
  make_authority(folder, "ca", key);
  make_server(folder, key);
  make_authority(folder, "other", key);
  const Server server(folder, "-tls1_3");

  CHECK_THAT(status_of(server, folder / "other.pem"),
             Catch::Contains("TLS handshake failed") && Catch::Contains("verify failed"));
}

}  // namespace
}  // namespace ledgerline::io
