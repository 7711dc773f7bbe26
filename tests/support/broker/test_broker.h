#pragma once
// A real mosquitto on a free loopback port, with TLS 1.3, client certificates and an ACL, in a
// folder of its own that goes when the broker goes.

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "common/io/mqtt.h"

namespace ledgerline::test {

/// A folder under the system's place for temporary files, removed with all in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// A certificate authority with the openssl command. Files: NAME.pem, NAME.key.
class TestAuthority {
 public:
  TestAuthority(const std::string& folder, const std::string& name);
  [[nodiscard]] std::string certificate() const { return folder_ + "/" + name_ + ".pem"; }
  [[nodiscard]] std::string private_key() const { return folder_ + "/" + name_ + ".key"; }
  /// `alternative` such as "IP:127.0.0.1"; `days` below 0 for an expired one.
  void issue(const std::string& name, const std::string& common_name,
             const std::string& alternative, int days = 30) const;
  [[nodiscard]] io::MqttTls identity(const std::string& name) const;

 private:
  std::string folder_;
  std::string name_;
};

class TestBroker {
 public:
  struct Options {
    std::string acl;                // mosquitto's ACL file
    std::string server = "server";  // the certificate that the broker shows
    std::string tls_version = "tlsv1.3";
    bool tls = true;
    std::string more;  // further lines of the configuration
  };
  explicit TestBroker(const Options& options);
  ~TestBroker();
  TestBroker(const TestBroker&) = delete;
  TestBroker& operator=(const TestBroker&) = delete;

  void start();
  void kill();  // SIGKILL
  /// Replaces the ACL and tells the broker to read it again.
  void set_acl(const std::string& acl);
  [[nodiscard]] uint16_t port() const { return port_; }
  [[nodiscard]] const TestAuthority& authority() const { return authority_; }
  [[nodiscard]] std::string folder() const { return folder_.path(); }
  /// Options of a client whose certificate names `identity`; makes the certificate where there is
  /// none yet.
  [[nodiscard]] io::MqttOptions client(const std::string& identity) const;

 private:
  void write_configuration() const;

  TemporaryFolder folder_;
  TestAuthority authority_;
  Options options_;
  uint16_t port_ = 0;
  pid_t pid_ = -1;
};

/// A loopback port that was free a moment ago.
uint16_t free_port();
/// Returns when something listens there; throws after five seconds.
void wait_for_port(uint16_t port);

}  // namespace ledgerline::test
