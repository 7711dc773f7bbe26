// checkpoint and checkpoint cosign.

#include "collector/api/commands.h"
#include "collector/api/setup.h"
#include "collector/intake/log_checkpoint.h"
#include "collector/intake/log_epoch.h"
#include "common/exit_code.h"
#include "common/io/system.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kKeySizeMax = 4096;

}  // namespace

Result<int> checkpoint(Store& store, Signer& signer, const CommandLine& options,
                       std::ostream& out) {
  TRY(const std::string stored, store.stored_checkpoint());
  TRY(const std::string note, current_checkpoint(store, signer));
  if (note != stored) TRY_VOID(store.put_checkpoint(stored, note));
  if (options.out.empty()) {
    out << note;
    return kExitOk;
  }
  TRY_VOID(io::write_file_durably(options.out, note, 0644));
  TRY(const auto opened, open_checkpoint(note));
  out << "checkpoint of " << opened.checkpoint.size << " leaves: " << options.out << "\n";
  return kExitOk;
}

Result<int> cosign_checkpoint(Store& store, const CommandLine& options, std::ostream& out) {
  TRY(const std::string key_text, io::read_file(options.witness_key, kKeySizeMax));
  const auto witness = parse_witness_key(key_text);
  if (!witness) return fail(Error(witness.error()).with("file", options.witness_key));
  TRY(const std::string text, io::read_file(options.file, CheckpointNote::kSizeMax));
  const auto theirs = open_checkpoint(text);
  if (!theirs) return fail(Error(theirs.error()).with("file", options.file));
  TRY(const std::string stored, store.stored_checkpoint());
  if (stored.empty()) {
    return fail(Errc::not_found,
                "there is no checkpoint yet: ledgerline-collector checkpoint makes the one that a "
                "witness can cosign");
  }
  TRY(auto ours, open_checkpoint(stored));
  TRY(const auto joined, with_cosignatures(std::move(ours), *theirs, *witness));
  TRY(const auto cosignatures, cosignatures_of(joined, *witness));
  const std::string note = note_text(joined);
  if (note != stored) TRY_VOID(store.put_checkpoint(stored, note));
  out << "cosigned by " << witness->name << " at "
      << to_rfc3339(Timestamp(cosignatures.back().at_unix_s * 1000)) << "\n";
  return kExitOk;
}

Result<int> checkpoint(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                       std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  TRY(auto signer, load_or_make_signer(config));
  TRY_VOID(begin_epoch_if_put_back(*store, *signer, config.checkpoint_file(), clock.now()));
  TRY(const std::string note, current_checkpoint(*store, *signer));
  TRY_VOID(keep_checkpoint(config.checkpoint_file(), note));
  return checkpoint(*store, *signer, options, out);
}

Result<int> cosign_checkpoint(const CollectorConfig& config, const CommandLine& options,
                              std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  return cosign_checkpoint(*store, options, out);
}

}  // namespace ledgerline::collector
