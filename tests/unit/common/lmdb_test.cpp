#include "common/io/lmdb.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>

using namespace ledgerline;
using io::LmdbCursor;
using io::LmdbEnv;

namespace {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "lmdb-test-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string sub(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

LmdbEnv open_env(const std::string& folder, uint64_t map_size = 16 << 20) {
  auto env = LmdbEnv::open({.folder = folder, .map_size_bytes = map_size});
  REQUIRE(env.has_value());
  return std::move(*env);
}

void put(LmdbEnv& env, std::string_view key, std::string_view value) {
  auto txn = env.begin_write();
  REQUIRE(txn.has_value());
  REQUIRE(txn->put(bytes_of(key), bytes_of(value)).has_value());
  REQUIRE(txn->commit().has_value());
}

std::string get(const LmdbEnv& env, std::string_view key) {
  auto txn = env.begin_read();
  REQUIRE(txn.has_value());
  const auto value = txn->get(bytes_of(key));
  REQUIRE(value.has_value());
  return *value ? string_of(**value) : "(absent)";
}

}  // namespace

TEST_CASE("a committed value is there after the environment is opened again") {
  const TemporaryFolder folder;
  {
    LmdbEnv env = open_env(folder.sub("db"));
    put(env, "key", "value");
  }

  const LmdbEnv again = open_env(folder.sub("db"));

  REQUIRE(get(again, "key") == "value");
  REQUIRE(get(again, "other") == "(absent)");
}

TEST_CASE("the folder and the files of a new environment are for their owner only") {
  const TemporaryFolder folder;
  LmdbEnv env = open_env(folder.sub("db"));

  struct stat info {};
  REQUIRE(::stat(folder.sub("db").c_str(), &info) == 0);
  REQUIRE((info.st_mode & 0777) == 0700);
  REQUIRE(::stat((folder.sub("db") + "/data.mdb").c_str(), &info) == 0);
  REQUIRE((info.st_mode & 0077) == 0);
}

TEST_CASE("a transaction that is not committed leaves nothing behind") {
  const TemporaryFolder folder;
  LmdbEnv env = open_env(folder.sub("db"));

  {
    auto txn = env.begin_write();
    REQUIRE(txn->put(bytes_of("key"), bytes_of("value")).has_value());
  }

  REQUIRE(get(env, "key") == "(absent)");
}

TEST_CASE("a reader keeps its state while a writer commits, on the same thread") {
  const TemporaryFolder folder;
  LmdbEnv env = open_env(folder.sub("db"));
  put(env, "key", "old");
  auto reader = env.begin_read();
  auto second = env.begin_read();
  REQUIRE(second.has_value());

  put(env, "key", "new");

  REQUIRE(string_of(**reader->get(bytes_of("key"))) == "old");
  REQUIRE(get(env, "key") == "new");
}

TEST_CASE("append takes only keys beyond the last one") {
  const TemporaryFolder folder;
  LmdbEnv env = open_env(folder.sub("db"));
  auto txn = env.begin_write();
  REQUIRE(txn->append(bytes_of("b"), bytes_of("1")).has_value());
  REQUIRE(txn->append(bytes_of("c"), bytes_of("2")).has_value());

  const auto refused = txn->append(bytes_of("a"), bytes_of("3"));

  REQUIRE(!refused.has_value());
  REQUIRE(refused.error().code() == Errc::internal);
}

TEST_CASE("erase says whether the key was there") {
  const TemporaryFolder folder;
  LmdbEnv env = open_env(folder.sub("db"));
  put(env, "key", "value");
  auto txn = env.begin_write();

  REQUIRE(txn->erase(bytes_of("key")).value());
  REQUIRE(!txn->erase(bytes_of("key")).value());
}

TEST_CASE("a cursor walks keys in byte order and finds what stands before a key") {
  const TemporaryFolder folder;
  LmdbEnv env = open_env(folder.sub("db"));
  for (const char* key : {"b", "d", "\xff", "a"}) put(env, key, std::string("v") + key);
  auto txn = env.begin_read();
  auto cursor = LmdbCursor::open(*txn);
  REQUIRE(cursor.has_value());

  REQUIRE(string_of((*cursor->seek(bytes_of("b")))->key) == "b");
  REQUIRE(string_of((*cursor->next())->key) == "d");
  REQUIRE(string_of((*cursor->next())->key) == "\xff");
  REQUIRE(!cursor->next()->has_value());
  REQUIRE(string_of((*cursor->seek(bytes_of("c")))->value) == "vd");
  REQUIRE(string_of((*cursor->before(bytes_of("d")))->key) == "b");
  REQUIRE(string_of((*cursor->before(bytes_of("\xff\xff")))->key) == "\xff");
  REQUIRE(!cursor->before(bytes_of("a"))->has_value());
  REQUIRE(!cursor->seek(bytes_of("\xff\xff"))->has_value());
}

TEST_CASE("a cursor that erases goes on with the entry behind the erased one") {
  const TemporaryFolder folder;
  LmdbEnv env = open_env(folder.sub("db"));
  for (const char* key : {"a", "b", "c"}) put(env, key, "v");
  auto txn = env.begin_write();
  {
    auto cursor = LmdbCursor::open(*txn);
    REQUIRE((*cursor->seek(bytes_of("a"))).has_value());
    REQUIRE(cursor->erase().has_value());
    REQUIRE(string_of((*cursor->next())->key) == "b");
    REQUIRE(cursor->erase().has_value());
  }
  REQUIRE(txn->commit().has_value());

  REQUIRE(get(env, "a") == "(absent)");
  REQUIRE(get(env, "b") == "(absent)");
  REQUIRE(get(env, "c") == "v");
}

TEST_CASE("a full map is Errc::full and what was committed before stays") {
  const TemporaryFolder folder;
  LmdbEnv env = open_env(folder.sub("db"), 256 << 10);
  put(env, "first", "kept");
  const std::string large(100 << 10, 'x');
  Errc code = Errc::internal;
  {
    auto txn = env.begin_write();
    Status status;
    for (int i = 0; i < 4 && status; ++i) {
      status = txn->put(bytes_of("large" + std::to_string(i)), bytes_of(large));
    }
    if (status) status = txn->commit();
    REQUIRE(!status.has_value());
    code = status.error().code();
  }

  REQUIRE(code == Errc::full);
  REQUIRE(get(env, "first") == "kept");
  put(env, "second", "small");
  REQUIRE(get(env, "second") == "small");
}

TEST_CASE("usage counts the pages of live values and shrinks when they go") {
  const TemporaryFolder folder;
  LmdbEnv env = open_env(folder.sub("db"));
  put(env, "large", std::string(1 << 20, 'x'));
  const auto full = env.usage();
  REQUIRE(full->used_bytes >= 1 << 20);
  REQUIRE(full->map_bytes == 16 << 20);

  auto txn = env.begin_write();
  REQUIRE(txn->erase(bytes_of("large")).value());
  REQUIRE(txn->commit().has_value());

  REQUIRE(env.usage()->used_bytes < 64 << 10);
}

TEST_CASE("a file that is no LMDB file is corrupt and a folder that cannot be made is config") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.sub("db"));
  std::ofstream(folder.sub("db") + "/data.mdb") << std::string(8192, 'x');

  const auto other = LmdbEnv::open({.folder = folder.sub("db"), .map_size_bytes = 1 << 20});
  const auto nowhere =
      LmdbEnv::open({.folder = folder.sub("no/such/parent"), .map_size_bytes = 1 << 20});

  REQUIRE(other.error().code() == Errc::corrupt);
  REQUIRE(nowhere.error().code() == Errc::config);
}

TEST_CASE("a read-only environment reads and refuses to write") {
  const TemporaryFolder folder;
  {
    LmdbEnv env = open_env(folder.sub("db"));
    put(env, "key", "value");
  }

  auto env =
      LmdbEnv::open({.folder = folder.sub("db"), .map_size_bytes = 1 << 20, .read_only = true});

  REQUIRE(get(*env, "key") == "value");
  REQUIRE(!env->begin_write().has_value());
}

TEST_CASE("a writer killed inside its transaction does not lock out the next one", "[native]") {
  const TemporaryFolder folder;
  {
    LmdbEnv env = open_env(folder.sub("db"));
    put(env, "key", "value");
  }
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    auto env = LmdbEnv::open({.folder = folder.sub("db"), .map_size_bytes = 16 << 20});
    auto txn = env->begin_write();
    static_cast<void>(txn->put(bytes_of("key"), bytes_of("torn")));
    ::raise(SIGKILL);
  }
  int state = 0;
  REQUIRE(::waitpid(child, &state, 0) == child);
  REQUIRE(WIFSIGNALED(state));

  LmdbEnv env = open_env(folder.sub("db"));

  REQUIRE(get(env, "key") == "value");
  put(env, "key", "next");
  REQUIRE(get(env, "key") == "next");
}
