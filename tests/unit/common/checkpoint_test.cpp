#include "common/checkpoint.h"

#include <catch2/catch.hpp>

#include "common/base64.h"

namespace ledgerline {

namespace {

// RFC 8032, TEST 1.
constexpr const char* kPrivateKey =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
const std::string kOrigin =
    "ledgerline/06e3fd8fda29bb60ab59557de61edb0aecdb231134be30e75b455f8e1b792fa9/ledgerline/1";
const std::string kText = kOrigin + "\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n";
const std::string kSigned =
    kText + "\n\xe2\x80\x94 " + kOrigin +
    " 9cYVlM7lYod1bkdv7Y9tKzjzNMiUfZsaldQCykbLw2p9Lihi6Dx0ecOW9CnfhovyhzioIDWIyku/"
    "BROHMNyJ9woHJAk=\n";
// RFC 8032, TEST 2. Computed with Python's `cryptography` from the words of c2sp.org/signed-note
// and c2sp.org/tlog-cosignature, like kSigned.
const std::string kCosignature =
    "\xe2\x80\x94 witness.example/w1 "
    "BNLYMwAAAABlU/EAyXJY/TDMcXVuHht35+AV3rDFRPmCOAsXBA12UG0OOnuivbAGckyeWMM8XhimPI1NLdfSQmNoFtu4"
    "uw6KYiR6BA==\n";
const std::string kWitnessKey =
    "witness.example/w1+04d2d833+BD1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM";

std::unique_ptr<Signer> signer() { return std::move(*signer_from_pem(kPrivateKey)); }

PublicKey key_of(KeyAlgorithm algorithm, const std::string& base64) {
  return *PublicKey::from_der(algorithm, *from_base64(base64));
}

std::string swapped(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string signature_line(const std::string& name) {
  return "\xe2\x80\x94 " + name + " AAAAAAE=\n";
}

}  // namespace

TEST_CASE("a checkpoint is signed byte for byte as another implementation does it",
          "[checkpoint]") {
  const auto key = signer();
  const Checkpoint checkpoint{
      kOrigin, 8,
      *Digest::from(*from_hex("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"))};

  const auto note = sign_checkpoint(checkpoint, *key);

  REQUIRE(*note == kSigned);
  const auto opened = open_checkpoint(*note);
  REQUIRE(opened);
  REQUIRE(opened->checkpoint == checkpoint);
  REQUIRE(opened->text == kText);
  REQUIRE(note_text(*opened) == *note);
  REQUIRE(verify_checkpoint(*opened, key->public_key()));
}

TEST_CASE("checkpoints that others published are read and verified", "[checkpoint]") {
  // The Go checksum database on 2023-01-09 (github.com/google/trillian-examples,
  // witness/golang/cmd/addrwitness/README.md); Rekor and the Pixel 6 log
  // (github.com/transparency-dev/formats, note/note_verifier_test.go).
  struct Case {
    std::string text;
    std::string name;
    std::string signature;
    KeyAlgorithm algorithm;
    std::string der;
    uint64_t size;
  };
  const std::vector<Case> cases = {
      {"go.sum database tree\n15067302\ngJyioq6dwR9n+NjEWORfYmH+ubeYm3kH42BBQ0bTpYI=\n",
       "sum.golang.org",
       "Az3grp1rvWOs5NKlr/xR4GLN/CDyzzakmt1o61uSxYKpK1SerqOP2ClbX/"
       "peKUZjYnyomH5Xz7GZG3TpB7OeKn4E2ww=",
       KeyAlgorithm::ed25519,
       "MCowBQYDK2VwAyEAzjNy11rR7l7Nr4cnKT1LER2H6zdTHXyG1NMAPw64Cfw=", 15067302},
      {"Rekor\n798034\nf+7CoKgXKE/tNys9TTXcr/ad6U/K3xvznmzew9y6SP0=\n", "rekor.sigstore.dev",
       "wNI9ajBEAiARInWIWyCdyG27CO6LPnPekyw20qO0YJfoaPaowGp/"
       "XgIgc+qEHS3+GKVClgqq20uDLet7MCoTURUCRdxwWBHHufk=",
       KeyAlgorithm::ecdsa_p256_sha256,
       "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2G2Y+"
       "2tabdTV5BcGiBIx0a9fAFwrkBbmLSGtks4L3qX6yYY0zufBnhC8"
       "Ur/iy55GhWP/9A/bY2LhC30M9+RYtw==",
       798034},
      {"DEFAULT\n10\nbsWRucJU5xJPHb5eBdOm6+DM+VelCZBuvtI3sHERJ9Y=\n", "pixel6_transparency_log",
       "kcFuMDBFAiEAhqMAP8P6qf6QxtUJhzMhbN+MbZ9dwfUHzGQJmffJHtoCIGD0cNe47dHWBoPwYdgBCepB06/"
       "+g5O1FmYj"
       "Xl06owL4",
       KeyAlgorithm::ecdsa_p256_sha256,
       "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE37jHQmTXJPC8sUj0Dg0N0ZlxfRqJZV1YzlclXLQzhVYPcC/"
       "JblDoez0DSZwOSlShiCf4oo83MULQfec3erolDw==",
       10},
  };
  for (const Case& each : cases) {
    INFO(each.name);
    const auto note =
        open_checkpoint(each.text + "\n\xe2\x80\x94 " + each.name + " " + each.signature + "\n");
    REQUIRE(note);
    const PublicKey key = key_of(each.algorithm, each.der);
    REQUIRE(note->checkpoint.size == each.size);
    REQUIRE(verify_note(*note, each.name, key));
    REQUIRE_FALSE(verify_note(*note, each.name + "x", key));
    auto other = *note;
    other.text[0] ^= 1;
    REQUIRE_FALSE(verify_note(other, each.name, key));
    other = *note;
    other.signatures[0].hint ^= 1;
    REQUIRE_FALSE(verify_note(other, each.name, key));
  }
}

TEST_CASE("a collector with an ECDSA key signs checkpoints too", "[checkpoint]") {
  const auto key = *signer_from_pem(*generate_private_key_pem(KeyAlgorithm::ecdsa_p256_sha256));
  const auto note = open_checkpoint(*sign_checkpoint({kOrigin, 0, empty_root()}, *key));
  REQUIRE(verify_checkpoint(*note, key->public_key()));
  REQUIRE_FALSE(verify_checkpoint(*note, signer()->public_key()));
}

TEST_CASE("nothing but the canonical note is a checkpoint", "[checkpoint]") {
  const std::string root = "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=";
  const std::string other_bits = "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyh=";
  const std::vector<std::string> cases = {
      "",
      "\n",
      kText,
      kText + "\n",
      kSigned.substr(0, kSigned.size() - 1),
      kSigned + "\n",
      swapped(kSigned, "\n8\n", "\n08\n"),
      swapped(kSigned, "\n8\n", "\n+8\n"),
      swapped(kSigned, "\n8\n", "\n-8\n"),
      swapped(kSigned, "\n8\n", "\n8 \n"),
      swapped(kSigned, "\n8\n", "\n8\r\n"),
      swapped(kSigned, "\n8\n", "\n\n"),
      swapped(kSigned, "\n8\n", "\n18446744073709551616\n"),
      swapped(kSigned, "\n8\n", "\n9223372036854775809\n"),
      swapped(kSigned, root, root.substr(4)),
      swapped(kSigned, root, other_bits),
      swapped(kSigned, root, root + "\nextension"),
      swapped(kSigned, kOrigin + "\n", "\n"),
      swapped(kSigned, kOrigin + "\n", "a\tb\n"),
      swapped(kSigned, kOrigin + "\n", "a\xff\n"),
      swapped(kSigned, "\n\n", "\n"),
      swapped(kSigned, "\xe2\x80\x94 ", "- "),
      swapped(kSigned, "\xe2\x80\x94 ", "\xe2\x80\x94  "),
      swapped(kSigned, "=\n\n", "=\n\nx\n"),
      kText + "\n" + signature_line(""),
      kText + "\n" + signature_line("a+b"),
      kText + "\n" +
          signature_line("a\xc2\xa0"
                         "b"),
      kText + "\n" +
          signature_line("a\xe3\x80\x80"
                         "b"),
      kText + "\n\xe2\x80\x94 a\n",
      kText + "\n\xe2\x80\x94 a AAAA\n",
      kText + "\n\xe2\x80\x94 a AAAAAA==\n",
  };
  for (const std::string& note : cases) {
    INFO(note);
    const auto opened = open_checkpoint(note);
    REQUIRE_FALSE(opened);
    REQUIRE(opened.error().code() == Errc::corrupt);
  }
  std::string many = kSigned;
  for (size_t i = 1; i < CheckpointNote::kSignaturesMax; ++i) many += signature_line("a");
  REQUIRE(open_checkpoint(many));
  REQUIRE_FALSE(open_checkpoint(many + signature_line("a")));
  const std::string large(CheckpointNote::kSizeMax, 'a');
  REQUIRE_FALSE(open_checkpoint(large + kSigned));
}

TEST_CASE("each changed bit of a signed checkpoint is noticed", "[checkpoint]") {
  const PublicKey key = signer()->public_key();
  size_t accepted = 0;
  for (size_t bit = 0; bit < kSigned.size() * 8; ++bit) {
    std::string bent = kSigned;
    bent[bit / 8] = static_cast<char>(bent[bit / 8] ^ (1 << bit % 8));
    const auto note = open_checkpoint(bent);
    accepted += note && verify_checkpoint(*note, key) ? 1 : 0;
  }
  REQUIRE(accepted == 0);
}

TEST_CASE("an origin names collector, log and epoch, and nothing else is one", "[checkpoint]") {
  const LogOrigin origin{kOrigin.substr(11, 64), "ledgerline", 1};
  REQUIRE(to_string(origin) == kOrigin);
  REQUIRE(*parse_log_origin(kOrigin) == origin);
  for (const std::string& line :
       {std::string("go.sum database tree"), kOrigin + "0000000000", kOrigin + "/2",
        swapped(kOrigin, "/1", "/0"), swapped(kOrigin, "/1", "/01"), swapped(kOrigin, "/1", "/"),
        swapped(kOrigin, "/1", ""), swapped(kOrigin, "06e3", "06E3"), swapped(kOrigin, "06e3", ""),
        swapped(kOrigin, "/ledgerline/", "//"), swapped(kOrigin, "/ledgerline/", "/a b/")}) {
    INFO(line);
    REQUIRE_FALSE(parse_log_origin(line));
  }
}

TEST_CASE("a witness's cosignature says when it saw the checkpoint", "[checkpoint]") {
  const auto witness = parse_witness_key(kWitnessKey + "\n");
  REQUIRE(witness);
  const auto note = open_checkpoint(kSigned + kCosignature);
  REQUIRE(note);

  REQUIRE(*cosignatures_of(*note, *witness) ==
          std::vector<Cosignature>{{"witness.example/w1", 1'700'000'000}});
  REQUIRE(verify_checkpoint(*note, signer()->public_key()));
  REQUIRE(cosignatures_of(*open_checkpoint(kSigned), *witness)->empty());
  for (const size_t at : {size_t{0}, size_t{7}, size_t{8}, size_t{71}}) {
    auto other = *note;
    other.signatures[1].bytes[at] ^= 1;
    REQUIRE_FALSE(cosignatures_of(other, *witness));
  }
  auto other = *note;
  other.text = swapped(other.text, "\n8\n", "\n9\n");
  REQUIRE_FALSE(cosignatures_of(other, *witness));
  other = *note;
  other.signatures[1].bytes.resize(8);
  REQUIRE_FALSE(cosignatures_of(other, *witness));
  other = *note;
  other.signatures[1].name += "x";
  REQUIRE(cosignatures_of(other, *witness)->empty());
}

TEST_CASE("a cosignature is added once, and to the same checkpoint only", "[checkpoint]") {
  const Witness witness = *parse_witness_key(kWitnessKey);
  const auto ours = *open_checkpoint(kSigned);
  const auto theirs = *open_checkpoint(kSigned + kCosignature);

  const auto joined = with_cosignatures(ours, theirs, witness);
  REQUIRE(note_text(*joined) == kSigned + kCosignature);
  REQUIRE(note_text(*with_cosignatures(*joined, theirs, witness)) == kSigned + kCosignature);
  REQUIRE(with_cosignatures(ours, ours, witness).error().code() == Errc::reject);
  auto later = ours;
  later.text = swapped(later.text, "\n8\n", "\n9\n");
  REQUIRE(with_cosignatures(later, theirs, witness).error().code() == Errc::reject);
  auto full = ours;
  full.signatures.resize(CheckpointNote::kSignaturesMax, ours.signatures[0]);
  REQUIRE(with_cosignatures(full, theirs, witness).error().code() == Errc::reject);
}

TEST_CASE("a witness's key that is not one says why", "[checkpoint]") {
  // A real witness (github.com/transparency-dev/formats, note/note_cosigv1_test.go).
  REQUIRE(
      parse_witness_key("remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"));
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "three parts"},
      {"a+b", "three parts"},
      {swapped(kWitnessKey, "witness.example/w1", ""), "name"},
      {swapped(kWitnessKey, "witness.example/w1", "a b"), "name"},
      {swapped(kWitnessKey, "04d2d833", "04d2d834"), "middle"},
      {swapped(kWitnessKey, "04d2d833", "04d2d8"), "middle"},
      {kWitnessKey + "=", "base64"},
      {swapped(kWitnessKey, "+BD1A", "+AT1A"), "another type"},
      {kWitnessKey.substr(0, kWitnessKey.size() - 4), "another type"},
  };
  for (const auto& [text, why] : cases) {
    INFO(text);
    const auto key = parse_witness_key(text);
    REQUIRE_FALSE(key);
    REQUIRE(key.error().code() == Errc::config);
    REQUIRE(key.error().text().find(why) != std::string::npos);
  }
}

}  // namespace ledgerline
