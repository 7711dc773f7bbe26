// checkpoint and checkpoint cosign, with a witness at hand.

#include "collector/intake/log_checkpoint.h"
#include "collector/store/memory_store.h"
#include "common/base64.h"
#include "common/exit_code.h"
#include "tests/unit/collector/api/office.h"

namespace ledgerline::collector {
namespace {

constexpr uint64_t kTime = 1'700'000'000;

std::string new_folder() {
  char folder[] = "/tmp/ledgerline-witness-XXXXXX";
  REQUIRE(::mkdtemp(folder) != nullptr);
  return folder;
}

CommandLine options_in(const std::string& folder) {
  CommandLine out;
  out.file = folder + "/cosigned.txt";
  out.witness_key = folder + "/witness.key";
  return out;
}

class Witnessed {
 public:
  Witnessed() {
    REQUIRE(store->ensure_origin({signer->public_key().id().hex(), "ledgerline", 1}));
    const std::string text = "w+" + to_hex(hint()) + "+" + to_base64(typed_key());
    REQUIRE(io::write_file_durably(options.witness_key, text + "\n"));
  }
  ~Witnessed() { fs::remove_all(folder_); }
  Witnessed(const Witnessed&) = delete;
  Witnessed& operator=(const Witnessed&) = delete;

  std::string printed() {
    std::ostringstream out;
    REQUIRE(checkpoint(*store, *signer, {}, out) == kExitOk);
    return out.str();
  }
  /// The note with the witness's line behind it, as it comes back.
  void witness(const std::string& note) {
    const std::string text = note.substr(0, note.find("\n\n") + 1);
    const std::string message = "cosignature/v1\ntime " + std::to_string(kTime) + "\n" + text;
    Bytes bytes = hint();
    append_big_endian64(bytes, kTime);
    const Bytes signature = *key->sign(bytes_of(message));
    bytes.insert(bytes.end(), signature.begin(), signature.end());
    REQUIRE(
        io::write_file_durably(options.file, note + "\xe2\x80\x94 w " + to_base64(bytes) + "\n"));
  }
  void grow() const {
    StatementPut put{.kind = LeafKind::operator_key, .sealed = {1}};
    OperatorRow row{.name = "ada", .key = signer->public_key().id()};
    REQUIRE(store->put_operator(row, put));
  }

  std::unique_ptr<Store> store = make_memory_store();
  std::unique_ptr<Signer> signer =
      std::move(*signer_from_pem(*generate_private_key_pem(KeyAlgorithm::ed25519)));
  std::unique_ptr<Signer> key =
      std::move(*signer_from_pem(*generate_private_key_pem(KeyAlgorithm::ed25519)));

 private:
  [[nodiscard]] Bytes typed_key() const {
    Bytes out{4};
    const Bytes& der = key->public_key().der();
    out.insert(out.end(), der.end() - 32, der.end());
    return out;
  }
  [[nodiscard]] Bytes hint() const {
    const Digest hash = sha256({bytes_of("w\n"), typed_key()});
    return {hash.view().begin(), hash.view().begin() + 4};
  }

  std::string folder_ = new_folder();

 public:
  CommandLine options = options_in(folder_);
};

}  // namespace

TEST_CASE("a checkpoint is printed as it will be printed again while the log stands still") {
  Witnessed desk;
  const std::string note = desk.printed();
  const auto opened = open_checkpoint(note);
  REQUIRE(opened);
  CHECK(verify_checkpoint(*opened, desk.signer->public_key()));
  CHECK(opened->checkpoint.size == 0);
  CHECK(desk.printed() == note);
  desk.grow();
  CHECK(open_checkpoint(desk.printed())->checkpoint.size == 1);
}

TEST_CASE("a witness's cosignature is kept with the checkpoint, once") {
  Witnessed desk;
  desk.witness(desk.printed());
  for (int i = 0; i < 2; ++i) {
    std::ostringstream out;
    REQUIRE(cosign_checkpoint(*desk.store, desk.options, out) == kExitOk);
    CHECK(out.str() == "cosigned by w at 2023-11-14T22:13:20.000Z\n");
  }
  CHECK(desk.printed() == *io::read_file(desk.options.file));
}

TEST_CASE("a cosignature for another checkpoint, or a wrong one, is refused") {
  Witnessed desk;
  std::ostringstream out;
  desk.witness("a\n0\n\n");
  CHECK(cosign_checkpoint(*desk.store, desk.options, out).error().code() == Errc::corrupt);
  const std::string before = desk.printed();
  desk.witness(before);
  desk.grow();
  const std::string after = desk.printed();
  CHECK(cosign_checkpoint(*desk.store, desk.options, out).error().code() == Errc::reject);
  REQUIRE(io::write_file_durably(desk.options.file, after));
  CHECK(cosign_checkpoint(*desk.store, desk.options, out).error().code() == Errc::reject);
  CHECK(desk.printed() == after);
}

TEST_CASE("there is nothing to cosign before the first checkpoint") {
  Witnessed desk;
  desk.witness(*current_checkpoint(*desk.store, *desk.signer));
  std::ostringstream out;
  CHECK(cosign_checkpoint(*desk.store, desk.options, out).error().code() == Errc::not_found);
}

TEST_CASE("words of a checkpoint's command line") {
  const char* plain[] = {"ledgerline-collector", "checkpoint", "--out", "note.txt"};
  CHECK(parse_command_line(4, plain)->verb == CommandLine::Verb::checkpoint);
  CHECK(parse_command_line(4, plain)->out == "note.txt");
  const char* cosign[] = {"ledgerline-collector", "checkpoint",    "cosign",
                          "cosigned.txt",         "--witness-key", "w.key"};
  const auto parsed = parse_command_line(6, cosign);
  REQUIRE(parsed);
  CHECK(parsed->verb == CommandLine::Verb::cosign_checkpoint);
  CHECK(parsed->file == "cosigned.txt");
  CHECK(parsed->witness_key == "w.key");
  CHECK_FALSE(parse_command_line(4, cosign));
}

}  // namespace ledgerline::collector
