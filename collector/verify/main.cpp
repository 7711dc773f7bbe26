// ledgerline-verify: checks an evidence bundle with public keys alone. No database, no network; it
// links common and the pure core only.

#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "collector/core/verify.h"
#include "common/exit_code.h"
#include "common/json.h"
#include "common/printable.h"

namespace ledgerline::collector {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kUsage = R"(usage: ledgerline-verify BUNDLE --keys DIR [--json]

Checks that the lines of a billing document follow from readings that devices signed, from prices and
links that operators signed, and from the arithmetic; says each step, and what is not proven.

DIR holds the public keys that you trust, PEM "PUBLIC KEY", as `ledgerline-collector keys -o DIR` writes
them; get it by another way than the bundle:
  collector.pem                  of the collector
  operators/NAME.pem             of each operator; NAME.KEYID.pem for further keys
  devices/TENANT.DEVICE.pem      of each device; likewise
  witnesses/*.txt                of witnesses, NAME+HINT+KEY (optional)

Exit code 0: proven. 1: refused, the part is named. 64: usage. 66: a file cannot be read.

example: ledgerline-verify line.bundle --keys keys
)";
constexpr int kExitRefused = 1;
constexpr size_t kKeySizeMax = 16 << 10;
constexpr size_t kKeysMax = 1'000'000;

struct Options {
  std::string bundle;
  std::string keys;
  bool json = false;
};

Result<std::string> read_text(const fs::path& path, uint64_t size_max) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file)
    return fail(Error(Errc::not_found, "a file cannot be read").with("file", path.string()));
  if (size > size_max)
    return fail(Error(Errc::reject, "a file is too large").with("file", path.string()));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Result<PublicKey> read_key(const fs::path& path) {
  TRY(const std::string text, read_text(path, kKeySizeMax));
  auto der = pem_decode("PUBLIC KEY", text);
  if (!der) return fail(Error(der.error()).with("file", path.string()));
  for (const KeyAlgorithm algorithm : {KeyAlgorithm::ed25519, KeyAlgorithm::ecdsa_p256_sha256}) {
    auto key = PublicKey::from_der(algorithm, *der);
    if (key) return key;
  }
  return fail(Error(Errc::reject, "neither an Ed25519 nor an ECDSA P-256 public key")
                  .with("file", path.string()));
}

/// "ann.pem" and, with the beginning of the key's id, "ann.0a1b2c3d.pem" are both Ann's.
std::string owner_of(const fs::path& path, const PublicKey& key) {
  constexpr size_t kIdDigits = 8;
  const std::string stem = path.stem().string();
  const std::string ending = "." + key.id().hex().substr(0, kIdDigits);
  return stem.ends_with(ending) ? stem.substr(0, stem.size() - ending.size()) : stem;
}

Result<std::map<std::string, std::vector<PublicKey>>> read_keys(const fs::path& folder) {
  std::map<std::string, std::vector<PublicKey>> out;
  std::error_code error;
  size_t count = 0;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() != ".pem") continue;
    if (++count > kKeysMax) return fail(Errc::reject, "there are too many keys");
    TRY(auto key, read_key(at->path()));
    // A name that itself ends like an id is its own owner, too.
    out[at->path().stem().string()].push_back(key);
    const std::string owner = owner_of(at->path(), key);
    if (owner != at->path().stem().string()) out[owner].push_back(std::move(key));
  }
  return out;
}

Result<VerifyKeys> read_all_keys(const fs::path& folder) {
  VerifyKeys out;
  TRY(auto collector, read_key(folder / "collector.pem"));
  out.collectors.push_back(std::move(collector));
  TRY(out.operators, read_keys(folder / "operators"));
  TRY(out.devices, read_keys(folder / "devices"));
  std::error_code error;
  for (fs::directory_iterator at(folder / "witnesses", error), end; !error && at != end;
       at.increment(error)) {
    TRY(const std::string text, read_text(at->path(), kKeySizeMax));
    TRY(auto witness, parse_witness_key(text.substr(0, text.find('\n'))));
    out.witnesses.push_back(std::move(witness));
  }
  return out;
}

void print(const VerifyReport& report, std::ostream& out) {
  for (const std::string& step : report.proven) out << "ok    " << printable(step) << "\n";
  for (const std::string& part : report.withheld) out << "left out    " << printable(part) << "\n";
  if (!report.holds()) {
    out << "REFUSED    " << printable(report.failure) << "\n";
    return;
  }
  out << "\nProven.\nNot proven:\n";
  for (const std::string& one : report.not_proven) out << "  - " << printable(one) << "\n";
}

void print_json(const VerifyReport& report, std::ostream& out) {
  const auto list = [](const std::vector<std::string>& texts) {
    Json all = Json::array();
    for (const std::string& text : texts) all.push(Json::string(text));
    return all;
  };
  out << Json::object({{"holds", Json::boolean(report.holds())},
                       {"failure", report.holds() ? Json::null() : Json::string(report.failure)},
                       {"proven", list(report.proven)},
                       {"withheld", list(report.withheld)},
                       {"not_proven", list(report.not_proven)}})
             .dump()
      << "\n";
}

std::optional<Options> parse(int argc, char** argv) {
  Options out;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--json") {
      out.json = true;
    } else if (word == "--keys" && i + 1 < argc) {
      out.keys = argv[++i];
    } else if (!word.starts_with("-") && out.bundle.empty()) {
      out.bundle = word;
    } else {
      return std::nullopt;
    }
  }
  if (out.bundle.empty() || out.keys.empty()) return std::nullopt;
  return out;
}

int run(const Options& options) {
  const auto keys = read_all_keys(options.keys);
  const auto bundle = read_text(options.bundle, uint64_t{1} << 30);
  for (const auto* error : {keys ? nullptr : &keys.error(), bundle ? nullptr : &bundle.error()}) {
    if (error == nullptr) continue;
    std::cerr << "ledgerline-verify: " << printable(error->text()) << "\n";
    return exit_code_of(*error);
  }
  const VerifyReport report = verify_bundle(bytes_of(*bundle), *keys);
  if (options.json) {
    print_json(report, std::cout);
  } else {
    print(report, std::cout);
  }
  return report.holds() ? kExitOk : kExitRefused;
}

}  // namespace
}  // namespace ledgerline::collector

int main(int argc, char** argv) {
  using namespace ledgerline;
  const bool help = argc == 2 && (std::string_view(argv[1]) == "--help");
  const auto options = help ? std::nullopt : collector::parse(argc, argv);
  if (!options) {
    (help ? std::cout : std::cerr) << collector::kUsage;
    return help ? kExitOk : kExitUsage;
  }
  try {
    return collector::run(*options);
  } catch (const std::bad_alloc&) {
    std::cerr << "ledgerline-verify: the bundle needs more memory than there is\n";
    return kExitSoftware;
  }
}
