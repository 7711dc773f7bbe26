#pragma once
// Checkpoints of the evidence log (C2SP tlog-checkpoint) as signed notes (C2SP signed-note), with
// cosignatures of witnesses (C2SP tlog-cosignature v1, Ed25519). Pure.
//
// clang-format off
//   note      := text LF signature{1,16}                     at most 64 KiB, UTF-8
//   text      := origin LF size LF root LF                   what the log signs: no extension lines
//   origin    := "ledgerline/" key id "/" log "/" epoch      of our logs: lower-case hexadecimal; decimal from 1
//   size      := decimal without leading zeros, at most 2^63
//   root      := base64 of 32 bytes
//   signature := U+2014 " " key name " " base64(hint[4] bytes) LF
//
//                   hint: first 4 bytes of SHA-256 over   bytes
//   Ed25519         name LF 0x01 public key[32]           signature over text
//   ECDSA P-256     DER SubjectPublicKeyInfo              DER signature over text, SHA-256
//   cosignature     name LF 0x04 public key[32]           time[8] and a signature over
//                                                         "cosignature/v1" LF "time " time LF text
// clang-format on

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/crypto.h"
#include "common/merkle.h"
#include "common/time.h"

namespace ledgerline {

/// Which log this is, from its first leaf. A collector restored from a backup starts a new epoch.
struct LogOrigin {
  std::string collector;  // the collector key's id in hexadecimal
  std::string log;
  uint32_t epoch = 1;
  friend bool operator==(const LogOrigin&, const LogOrigin&) = default;
};

/// A checkpoint's first line.
std::string to_string(const LogOrigin& origin);
/// Errc::corrupt where the line is not exactly one of ours.
Result<LogOrigin> parse_log_origin(std::string_view line);

struct Checkpoint {
  std::string origin;
  uint64_t size = 0;
  Digest root;  // merkle.h
  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

struct NoteSignature {
  std::string name;
  uint32_t hint = 0;  // signed-note's key ID: tells keys apart, proves nothing
  Bytes bytes;
  friend bool operator==(const NoteSignature&, const NoteSignature&) = default;
};

/// Read, not verified.
struct CheckpointNote {
  static constexpr size_t kSizeMax = size_t{64} << 10;
  static constexpr size_t kSignaturesMax = 16;

  Checkpoint checkpoint;
  std::string text;  // what was signed
  std::vector<NoteSignature> signatures;
};

/// The note with the log's signature; the key's name is the origin.
Result<std::string> sign_checkpoint(const Checkpoint& checkpoint, Signer& signer);
/// Errc::corrupt where it is not exactly such a note. Signatures are not checked yet.
Result<CheckpointNote> open_checkpoint(std::string_view note);
std::string note_text(const CheckpointNote& note);

/// Errc::corrupt where no signature is of that key under that name, or one of them is wrong.
Status verify_note(const CheckpointNote& note, std::string_view name, const PublicKey& key);
/// The log's own signature.
inline Status verify_checkpoint(const CheckpointNote& note, const PublicKey& log_key) {
  return verify_note(note, note.checkpoint.origin, log_key);
}

/// Someone else who looks at checkpoints and says when they saw which.
struct Witness {
  std::string name;
  PublicKey key;  // Ed25519
};

struct Cosignature {
  std::string witness;
  int64_t at_unix_s = 0;
  friend bool operator==(const Cosignature&, const Cosignature&) = default;
};

/// A witness's verifier key: NAME+HINT+BASE64, type 0x04. Errc::config says what is wrong with it.
Result<Witness> parse_witness_key(std::string_view text);
/// Those of the witness, oldest line first; nothing where it did not sign. Errc::corrupt where one
/// of its lines is wrong.
Result<std::vector<Cosignature>> cosignatures_of(const CheckpointNote& note,
                                                 const Witness& witness);
/// `note` with those signatures of the witness in `other` that it does not have yet. Errc::reject
/// where the two are not the same checkpoint, the witness has signed nothing, or the note would
/// have too many signatures; Errc::corrupt where one of its signatures is wrong.
Result<CheckpointNote> with_cosignatures(CheckpointNote note, const CheckpointNote& other,
                                         const Witness& witness);

}  // namespace ledgerline
