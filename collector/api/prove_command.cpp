// prove: everything about one line of a document that ledgerline-verify needs, in one file.

#include "collector/api/commands.h"
#include "collector/api/pages.h"
#include "collector/api/setup.h"
#include "collector/core/documents.h"
#include "collector/fold/bundle_writer.h"
#include "collector/intake/log_checkpoint.h"
#include "collector/intake/log_epoch.h"
#include "common/exit_code.h"
#include "common/io/system.h"
#include "common/printable.h"

namespace ledgerline::collector {

namespace {

/// Ours, or the external system's.
Result<std::string> document_named(Store& store, const std::string& name) {
  const auto ours = store.document(name);
  if (ours) return ours->id;
  if (ours.error().code() != Errc::not_found) return fail(ours.error());
  std::vector<std::string> found;
  const auto read = [&](const std::string& after) {
    return store.list_documents({.tenant = {},
                                 .contract = {},
                                 .connector = {},
                                 .state = {},
                                 .after = after,
                                 .limit = kPage});
  };
  TRY_VOID(each_page<DocumentRow>(read, [&](const DocumentRow& row) -> Status {
    const bool has_amount = row.kind == kBillingSummary || row.kind == kAdjustment;
    if (has_amount && row.external_id == name) found.push_back(row.id);
    return {};
  }));
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    return fail(Error(Errc::not_found,
                      "no billing document has this id, here or in an external system; "
                      "`ledgerline-collector documents` lists them")
                    .with("document", name));
  }
  return fail(
      Error(Errc::reject, "several billing documents have this id in external systems: give ours")
          .with("document", name));
}

}  // namespace

Result<int> prove(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                  std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  TRY(auto signer, load_or_make_signer(config));
  TRY(const std::string document, document_named(*store, options.document));
  TRY_VOID(begin_epoch_if_put_back(*store, *signer, config.checkpoint_file(), clock.now()));
  TRY(const Bytes bundle,
      make_bundle(*store, *signer,
                  {.document = document, .line = options.line, .at = clock.now()}));
  // What the bundle's checkpoint says of the log, this one says too.
  TRY(const std::string note, current_checkpoint(*store, *signer));
  TRY_VOID(keep_checkpoint(config.checkpoint_file(), note));
  TRY_VOID(io::write_file_durably(options.out, text_of(bundle)));
  out << printable(document) << ": " << bundle.size() << " bytes in " << printable(options.out)
      << "; check it with ledgerline-verify " << printable(options.out)
      << " --keys DIR (ledgerline-collector keys -o DIR)\n";
  return kExitOk;
}

}  // namespace ledgerline::collector
