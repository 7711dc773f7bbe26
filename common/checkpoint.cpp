#include "common/checkpoint.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "common/base64.h"
#include "common/check.h"
#include "common/messages.h"

namespace ledgerline {

namespace {

constexpr uint8_t kEd25519Type = 0x01;
constexpr uint8_t kCosignatureType = 0x04;
constexpr size_t kEd25519KeySize = 32;
constexpr size_t kTimeSize = 8;
constexpr uint64_t kTimeMax = 253'402'300'799;  // the end of year 9999
constexpr std::string_view kDash = "\xe2\x80\x94 ";
constexpr std::string_view kOriginPrefix = "ledgerline/";
/// DER SubjectPublicKeyInfo of Ed25519 (RFC 8410) up to the 32 bytes of the key.
constexpr std::array<uint8_t, 12> kEd25519Der = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                                 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

tl::unexpected<Error> bad(const char* what) {
  return fail(Error(Errc::corrupt, "not a checkpoint").with("because", what));
}

/// Decimal digits without a leading zero.
template <class Number>
std::optional<Number> number_of(std::string_view text) {
  if (text.empty() || (text[0] == '0' && text.size() > 1)) return std::nullopt;
  Number out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

/// Up to and without the next line feed, which is taken too; nothing where there is none.
std::optional<std::string_view> take_line(std::string_view& rest) {
  const size_t end = rest.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return line;
}

// clang-format off
constexpr std::array<std::string_view, 21> kNotInNames = {
    "+", " ", "\xc2\x85", "\xc2\xa0", "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81", "\xe2\x80\x82", "\xe2\x80\x83",
    "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a",
    "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};
// clang-format on

/// Not empty, no plus, none of Unicode's spaces.
bool is_key_name(std::string_view name) {
  const auto has = [&](std::string_view no) { return name.find(no) != std::string_view::npos; };
  return !name.empty() && std::none_of(kNotInNames.begin(), kNotInNames.end(), has);
}

ByteView raw_ed25519(const PublicKey& key) {
  CHECK_INVARIANT(key.algorithm() == KeyAlgorithm::ed25519);
  return ByteView(key.der()).last(kEd25519KeySize);
}

uint32_t hint_of(std::string_view name, uint8_t type, ByteView raw_key) {
  const uint8_t separated[] = {'\n', type};
  return big_endian32(sha256({bytes_of(name), ByteView(separated), raw_key}).view());
}

uint32_t hint_of(std::string_view name, const PublicKey& key) {
  if (key.algorithm() == KeyAlgorithm::ed25519)
    return hint_of(name, kEd25519Type, raw_ed25519(key));
  return big_endian32(key.id().view());
}

std::string text_of_checkpoint(const Checkpoint& checkpoint) {
  return checkpoint.origin + "\n" + std::to_string(checkpoint.size) + "\n" +
         to_base64(checkpoint.root.view()) + "\n";
}

Result<Checkpoint> parse_text(std::string_view text) {
  const auto origin = take_line(text);
  const auto size = take_line(text);
  const auto root = take_line(text);
  if (!origin || origin->empty()) return bad("the first line names no log");
  if (!size || !root || !text.empty()) return bad("its text has not three lines");
  const auto count = number_of<uint64_t>(*size);
  if (!count || *count > kMerkleSizeMax) return bad("the second line is no size");
  const auto bytes = from_base64(*root);
  if (!bytes || bytes->size() != Digest::kSize) return bad("the third line is no hash");
  return Checkpoint{std::string(*origin), *count, *Digest::from(ByteView(*bytes))};
}

Result<NoteSignature> parse_signature(std::string_view line) {
  if (!line.starts_with(kDash)) return bad("a signature does not begin with a dash");
  line.remove_prefix(kDash.size());
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || !is_key_name(line.substr(0, space)))
    return bad("a signature's name is none");
  const auto bytes = from_base64(line.substr(space + 1));
  if (!bytes || bytes->size() <= 4) return bad("a signature is no base64, or too short");
  return NoteSignature{std::string(line.substr(0, space)), big_endian32(*bytes),
                       Bytes(bytes->begin() + 4, bytes->end())};
}

Bytes cosigned_message(std::string_view text, uint64_t time) {
  const std::string message =
      "cosignature/v1\ntime " + std::to_string(time) + "\n" + std::string(text);
  return copy_of(bytes_of(message));
}

bool is_of(const NoteSignature& signature, const Witness& witness) {
  return signature.name == witness.name &&
         signature.hint == hint_of(witness.name, kCosignatureType, raw_ed25519(witness.key));
}

}  // namespace

std::string to_string(const LogOrigin& origin) {
  return std::string(kOriginPrefix) + origin.collector + "/" + origin.log + "/" +
         std::to_string(origin.epoch);
}

Result<LogOrigin> parse_log_origin(std::string_view line) {
  const auto wrong = [] { return bad("its origin is no log of a Ledgerline collector"); };
  if (!line.starts_with(kOriginPrefix)) return wrong();
  const std::string_view rest = line.substr(kOriginPrefix.size());
  const size_t log = rest.find('/');
  const size_t epoch = rest.find('/', log + 1);
  if (log == std::string_view::npos || epoch == std::string_view::npos) return wrong();
  LogOrigin out{.collector = std::string(rest.substr(0, log)),
                .log = std::string(rest.substr(log + 1, epoch - log - 1))};
  const auto number = number_of<uint32_t>(rest.substr(epoch + 1));
  const auto key = from_hex(out.collector);
  const bool ours = number && *number > 0 && key && key->size() == KeyId::kSize &&
                    to_hex(*key) == out.collector && check_name("log", out.log);
  if (!ours) return wrong();
  out.epoch = *number;
  return out;
}

Result<std::string> sign_checkpoint(const Checkpoint& checkpoint, Signer& signer) {
  CHECK_INVARIANT(is_key_name(checkpoint.origin));
  CheckpointNote note{.checkpoint = checkpoint, .text = text_of_checkpoint(checkpoint)};
  TRY(auto bytes, signer.sign(bytes_of(note.text)));
  note.signatures.push_back(
      {checkpoint.origin, hint_of(checkpoint.origin, signer.public_key()), std::move(bytes)});
  return note_text(note);
}

Result<CheckpointNote> open_checkpoint(std::string_view note) {
  if (note.size() > CheckpointNote::kSizeMax) return bad("it is larger than 64 KiB");
  if (!is_utf8(note)) return bad("it is not UTF-8");
  const auto is_control = [](char c) { return static_cast<uint8_t>(c) < 0x20 && c != '\n'; };
  if (std::any_of(note.begin(), note.end(), is_control)) return bad("it has control characters");
  const size_t blank = note.rfind("\n\n");
  if (blank == std::string_view::npos) return bad("no blank line stands before its signatures");
  CheckpointNote out;
  out.text = note.substr(0, blank + 1);
  TRY(out.checkpoint, parse_text(out.text));
  for (std::string_view rest = note.substr(blank + 2); !rest.empty();) {
    const auto line = take_line(rest);
    if (!line) return bad("its last line has no end");
    if (out.signatures.size() == CheckpointNote::kSignaturesMax)
      return bad("it has more than 16 signatures");
    TRY(auto signature, parse_signature(*line));
    out.signatures.push_back(std::move(signature));
  }
  if (out.signatures.empty()) return bad("it has no signature");
  return out;
}

std::string note_text(const CheckpointNote& note) {
  std::string out = note.text + "\n";
  for (const NoteSignature& signature : note.signatures) {
    Bytes bytes;
    append_big_endian32(bytes, signature.hint);
    bytes.insert(bytes.end(), signature.bytes.begin(), signature.bytes.end());
    out.append(kDash).append(signature.name).append(" ").append(to_base64(bytes)).append("\n");
  }
  return out;
}

Status verify_note(const CheckpointNote& note, std::string_view name, const PublicKey& key) {
  const uint32_t hint = hint_of(name, key);
  bool verified = false;
  for (const NoteSignature& signature : note.signatures) {
    if (signature.name != name || signature.hint != hint) continue;
    if (!key.verify(bytes_of(note.text), signature.bytes))
      return fail(Errc::corrupt, "a checkpoint's signature is wrong");
    verified = true;
  }
  if (verified) return {};
  return fail(Errc::corrupt, "a checkpoint is not signed with the log's key");
}

Result<Witness> parse_witness_key(std::string_view text) {
  const auto wrong = [](const char* what) {
    return fail(Error(Errc::config,
                      "not a witness's key: NAME+HINT+BASE64 as its operator gives it, type 4 "
                      "(Ed25519 cosignatures)")
                    .with("because", what));
  };
  if (text.ends_with('\n')) text.remove_suffix(1);
  const size_t name_end = text.find('+');
  const size_t hint_end = text.find('+', name_end + 1);
  if (name_end == std::string_view::npos || hint_end == std::string_view::npos)
    return wrong("it has not three parts");
  const std::string_view name = text.substr(0, name_end);
  if (!is_utf8(name) || !is_key_name(name)) return wrong("the name is empty or has spaces");
  const auto bytes = from_base64(text.substr(hint_end + 1));
  if (!bytes || bytes->empty()) return wrong("the last part is not base64");
  if (bytes->front() != kCosignatureType || bytes->size() != 1 + kEd25519KeySize)
    return wrong("the key is of another type");
  const ByteView raw = ByteView(*bytes).subspan(1);
  const auto hint = from_hex(text.substr(name_end + 1, hint_end - name_end - 1));
  if (!hint || hint->size() != 4 || big_endian32(*hint) != hint_of(name, kCosignatureType, raw))
    return wrong("the middle part does not belong to name and key");
  Bytes der(kEd25519Der.begin(), kEd25519Der.end());
  der.insert(der.end(), raw.begin(), raw.end());
  auto key = PublicKey::from_der(KeyAlgorithm::ed25519, der);
  if (!key) return wrong("the key is no point of Ed25519");
  return Witness{std::string(name), std::move(*key)};
}

Result<std::vector<Cosignature>> cosignatures_of(const CheckpointNote& note,
                                                 const Witness& witness) {
  std::vector<Cosignature> out;
  for (const NoteSignature& signature : note.signatures) {
    if (!is_of(signature, witness)) continue;
    const auto wrong = [&](const char* what) {
      return fail(Error(Errc::corrupt, what).with("witness", witness.name));
    };
    if (signature.bytes.size() <= kTimeSize) return wrong("a cosignature has no time");
    const uint64_t time = big_endian64(signature.bytes);
    if (time > kTimeMax) return wrong("a cosignature's time is beyond year 9999");
    const ByteView proof = ByteView(signature.bytes).subspan(kTimeSize);
    if (!witness.key.verify(cosigned_message(note.text, time), proof))
      return wrong("a cosignature is wrong");
    out.push_back({witness.name, static_cast<int64_t>(time)});
  }
  return out;
}

Result<CheckpointNote> with_cosignatures(CheckpointNote note, const CheckpointNote& other,
                                         const Witness& witness) {
  if (note.text != other.text) {
    return fail(
        Error(Errc::reject, "the witness has signed another checkpoint")
            .with("theirs", other.checkpoint.origin + " " + std::to_string(other.checkpoint.size) +
                                " " + to_base64(other.checkpoint.root.view()))
            .with("ours", note.checkpoint.origin + " " + std::to_string(note.checkpoint.size) +
                              " " + to_base64(note.checkpoint.root.view())));
  }
  TRY(const auto theirs, cosignatures_of(other, witness));
  if (theirs.empty()) {
    return fail(Error(Errc::reject, "the note has no signature of the witness's key")
                    .with("witness", witness.name));
  }
  for (const NoteSignature& signature : other.signatures) {
    const bool known = std::find(note.signatures.begin(), note.signatures.end(), signature) !=
                       note.signatures.end();
    if (!known && is_of(signature, witness)) note.signatures.push_back(signature);
  }
  if (note.signatures.size() > CheckpointNote::kSignaturesMax ||
      note_text(note).size() > CheckpointNote::kSizeMax)
    return fail(Errc::reject, "a checkpoint has at most 16 signatures and 64 KiB");
  return note;
}

}  // namespace ledgerline
