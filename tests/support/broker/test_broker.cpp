#include "tests/support/broker/test_broker.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace ledgerline::test {

namespace {

void run(const std::string& command) {
  if (std::system((command + " >/dev/null 2>&1").c_str()) != 0)
    throw std::runtime_error("failed: " + command);
}

void write(const std::string& path, const std::string& text) {
  std::ofstream out(path);
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot write " + path);
}

bool accepts(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool ok = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return ok;
}

}  // namespace

uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    close(fd);
    throw std::runtime_error("no free port");
  }
  close(fd);
  return ntohs(address.sin_port);
}

void wait_for_port(uint16_t port) {
  for (int i = 0; i < 500; ++i) {
    if (accepts(port)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  throw std::runtime_error("nothing listens on port " + std::to_string(port));
}

TemporaryFolder::TemporaryFolder() {
  std::string path = (std::filesystem::temp_directory_path() / "ledgerline-test-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = path;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

TestAuthority::TestAuthority(const std::string& folder, const std::string& name)
    : folder_(folder), name_(name) {
  run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "
      "'/CN=Test " +
      name + "' -keyout " + private_key() + " -out " + certificate());
}

void TestAuthority::issue(const std::string& name, const std::string& common_name,
                          const std::string& alternative, int days) const {
  const std::string stem = folder_ + "/" + name;
  run("openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj '/CN=" +
      common_name + "' -keyout " + stem + ".key -out " + stem + ".csr");
  write(stem + ".ext", alternative.empty() ? "basicConstraints=CA:FALSE\n"
                                           : "subjectAltName=" + alternative + "\n");
  run("openssl x509 -req -in " + stem + ".csr -CA " + certificate() + " -CAkey " + private_key() +
      " -CAcreateserial -days " + std::to_string(days) + " -extfile " + stem + ".ext -out " + stem +
      ".pem");
}

io::MqttTls TestAuthority::identity(const std::string& name) const {
  return {certificate(), folder_ + "/" + name + ".pem", folder_ + "/" + name + ".key"};
}

TestBroker::TestBroker(const Options& options)
    : authority_(folder_.path(), "ca"), options_(options), port_(free_port()) {
  // mosquitto gives up root's rights; the folder must be open to whom it becomes.
  std::filesystem::permissions(folder_.path(), std::filesystem::perms::all);
  authority_.issue("server", "broker", "IP:127.0.0.1");
  write_configuration();
}

TestBroker::~TestBroker() { kill(); }

void TestBroker::write_configuration() const {
  const std::string& at = folder_.path();
  write(at + "/acl", options_.acl);
  std::string text = "listener " + std::to_string(port_) + " 127.0.0.1\n";
  if (options_.tls) {
    text +=
        "cafile " + at + "/ca.pem\ncertfile " + at + "/" + options_.server + ".pem\nkeyfile " + at +
        "/" + options_.server + ".key\ntls_version " + options_.tls_version +
        "\nrequire_certificate true\nuse_identity_as_username true\nuse_username_as_clientid true\n"
        "allow_anonymous false\n";
  } else {
    text += "allow_anonymous true\n";
  }
  if (!options_.acl.empty()) text += "acl_file " + at + "/acl\n";
  text += "user root\npersistence false\nlog_dest file " + at +
          "/log\nmax_queued_messages 100000\n" + options_.more;
  write(at + "/mosquitto.conf", text);
}

void TestBroker::start() {
  if (pid_ > 0) return;
  const std::string configuration = folder_.path() + "/mosquitto.conf";
  pid_ = fork();
  if (pid_ == 0) {
    const int null = open("/dev/null", O_RDWR);
    dup2(null, 1);
    dup2(null, 2);
    execlp("mosquitto", "mosquitto", "-c", configuration.c_str(), nullptr);
    execl("/usr/sbin/mosquitto", "mosquitto", "-c", configuration.c_str(), nullptr);
    _exit(127);
  }
  wait_for_port(port_);
}

void TestBroker::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void TestBroker::set_acl(const std::string& acl) {
  options_.acl = acl;
  write(folder_.path() + "/acl", acl);
  if (pid_ > 0) ::kill(pid_, SIGHUP);
}

io::MqttOptions TestBroker::client(const std::string& identity) const {
  io::MqttOptions out;
  out.host = "127.0.0.1";
  out.port = port_;
  out.client_id = identity;
  out.reconnect = {Duration(20), Duration(200)};
  out.connect_timeout = std::chrono::seconds(5);
  if (options_.tls) {
    if (!std::filesystem::exists(folder_.path() + "/" + identity + ".pem"))
      authority_.issue(identity, identity, "");
    out.tls = authority_.identity(identity);
  }
  return out;
}

}  // namespace ledgerline::test
