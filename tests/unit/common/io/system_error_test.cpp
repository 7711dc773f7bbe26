#include "common/io/system_error.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "common/io/datagrams.h"
#include "common/io/file_lock.h"
#include "common/io/http_client.h"
#include "common/io/http_server.h"
#include "common/io/lmdb.h"
#include "common/io/private_file.h"
#include "common/io/system.h"
#include "tests/support/no_more_files.h"

namespace ledgerline::io {
namespace {

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/ledgerline-system-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string sub(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] std::string file(const std::string& name, const std::string& text = "") const {
    std::ofstream(sub(name)) << text;
    return sub(name);
  }

 private:
  std::string path_;
};

template <class Call>
Error error_without_files(Call call) {
  (void)call();  // with files, as NoMoreFiles asks
  const test::NoMoreFiles none;
  const auto result = call();
  return result ? Error(Errc::internal, "no error") : result.error();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void ignore(std::string_view, bool) {}
void no_answer(const HttpRequest&, const HttpServer::Respond&) {}

TEST_CASE("only what a person has to mend is an error of the configuration") {
  for (const int number :
       {EACCES, EPERM, ENOENT, ENOTDIR, EISDIR, ELOOP, ENAMETOOLONG, EINVAL, ENXIO, EAFNOSUPPORT}) {
    INFO(number);
    CHECK(code_of_errno(number) == Errc::config);
  }
  for (const int number : {ENOSPC, EDQUOT}) {
    INFO(number);
    CHECK(code_of_errno(number) == Errc::full);
  }
  constexpr int kUnknown = 9999;
  for (const int number : {EIO, ENOMEM, EMFILE, ENFILE, EROFS, EAGAIN, EINTR, EBUSY, ENOBUFS,
                           ENODEV, ENOLCK, EADDRINUSE, EADDRNOTAVAIL, kUnknown}) {
    INFO(number);
    CHECK(code_of_errno(number) == Errc::retry);
  }
}

TEST_CASE("an error of the system says what failed, why and what to do") {
  CHECK(system_error("a file cannot be read", EIO).text() ==
        "a file cannot be read: Input/output error; look for faults of the disk in the kernel's "
        "log");
  CHECK(system_error("a file cannot be read", EISDIR).text() ==
        "a file cannot be read: Is a directory");
}

TEST_CASE("a folder that is missing where nothing can be made is a wrong path") {
  CHECK(no_folder("a folder cannot be made", EROFS).code() == Errc::config);
  CHECK(no_folder("a folder cannot be made", EIO).code() == Errc::retry);
}

TEST_CASE("two kinds of sockets on one path are a fault of the configuration") {
  const Folder folder;
  boost::asio::io_context context;
  const auto first = HttpServer::open(context, {.socket_path = folder.sub("s")}, no_answer);
  REQUIRE(first.has_value());
  const auto second = Datagrams::open_local(context, folder.sub("s"), ignore);
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code() == Errc::config);
}

TEST_CASE("a process that has no files left gets an error that passes") {
  const Folder folder;
  const std::string there = folder.file("there", "text");
  boost::asio::io_context context;
  const boost::asio::steady_timer reactor(
      context);  // a file too, which a process has from the start

  const Error read = error_without_files([&] { return read_file(there); });
  const Error written = error_without_files([&] { return write_file_durably(there, "new"); });
  const Error locked = error_without_files([&] { return FileLock::try_acquire(there); });
  const Error made =
      error_without_files([&] { return write_new_private_file(folder.sub("key"), "text"); });
  const Error opened = error_without_files(
      [&] { return LmdbEnv::open({.folder = folder.sub("db"), .map_size_bytes = 1 << 20}); });
  const Error received = error_without_files(
      [&] { return Datagrams::open_local(context, folder.sub("statsd"), ignore); });
  const Error heard = error_without_files(
      [&] { return HttpServer::open(context, {.socket_path = folder.sub("http")}, no_answer); });

  for (const Error& each : {read, written, locked, made, opened, received, heard}) {
    INFO(each.text());
    CHECK(each.code() == Errc::retry);
    CHECK(contains(each.text(), "Too many open files; raise the limit of open files"));
  }
}

TEST_CASE("a wrong path is an error of the configuration") {
  const Folder folder;
  const std::string there = folder.file("there");
  const std::string nowhere = folder.sub("none/file");
  boost::asio::io_context context;

  CHECK(read_file(nowhere).error().code() == Errc::not_found);
  CHECK(read_file(there + "/file").error().code() == Errc::config);
  CHECK(read_file("/tmp").error().code() == Errc::config);
  CHECK(write_file_durably(nowhere, "").error().code() == Errc::config);
  CHECK(write_new_private_file(nowhere, "").error().code() == Errc::config);
  CHECK(make_folders(there + "/folder").error().code() == Errc::config);
  CHECK(free_disk_bytes(nowhere).error().code() == Errc::config);
  CHECK(FileLock::acquire(nowhere).error().code() == Errc::config);
  CHECK(LmdbEnv::open({.folder = nowhere, .map_size_bytes = 1 << 20}).error().code() ==
        Errc::config);
  CHECK(LmdbEnv::open({.folder = nowhere, .map_size_bytes = 1 << 20, .read_only = true})
            .error()
            .code() == Errc::config);
  CHECK(Datagrams::open_local(context, there + "/s", ignore).error().code() == Errc::config);
  CHECK(HttpServer::open(context, {.socket_path = there + "/s"}, no_answer).error().code() ==
        Errc::config);
}

TEST_CASE("a file of certificate authorities that is not there is a person's to mend") {
  const Folder folder;
  const std::string there = folder.file("ca.pem", "no certificate");
  boost::asio::io_context context;
  const auto open = [&](const std::string& file) {
    return HttpClient::open(context.get_executor(),
                            {.url = *parse_http_url("https://erp.example"), .ca_file = file});
  };

  CHECK(open(folder.sub("none.pem")).error().code() == Errc::config);
  CHECK(open(there).error().code() == Errc::config);
  CHECK(error_without_files([&] { return open(there); }).code() == Errc::retry);
}

TEST_CASE("a port in use may be free again soon") {
  boost::asio::io_context context;
  const auto server = HttpServer::open(context, {.listen = "127.0.0.1:0"}, no_answer);
  const auto receiver = Datagrams::open_udp(context, "127.0.0.1:0", ignore);
  REQUIRE(server);
  REQUIRE(receiver);

  const std::string taken = "127.0.0.1:" + std::to_string((*server)->port());
  const auto second = HttpServer::open(context, {.listen = taken}, no_answer);
  const auto other =
      Datagrams::open_udp(context, "127.0.0.1:" + std::to_string((*receiver)->port()), ignore);

  for (const Error& each : {second.error(), other.error()}) {
    INFO(each.text());
    CHECK(each.code() == Errc::retry);
    CHECK(contains(each.text(), "Address already in use; end the process that has it"));
  }
}

TEST_CASE("a Unix socket in use may be free again soon") {
  const Folder folder;
  boost::asio::io_context context;
  const auto server = HttpServer::open(context, {.socket_path = folder.sub("http")}, no_answer);
  const auto receiver = Datagrams::open_local(context, folder.sub("statsd"), ignore);
  REQUIRE(server);
  REQUIRE(receiver);

  CHECK(HttpServer::open(context, {.socket_path = folder.sub("http")}, no_answer).error().code() ==
        Errc::retry);
  CHECK(Datagrams::open_local(context, folder.sub("statsd"), ignore).error().code() == Errc::retry);
}

}  // namespace
}  // namespace ledgerline::io
