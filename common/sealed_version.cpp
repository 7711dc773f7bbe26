#include "common/sealed_version.h"

#include "common/check.h"
#include "common/protobuf_log.h"
#include "proto/ledgerline.pb.h"

namespace ledgerline {

namespace {

tl::unexpected<Error> bad(const char* field) {
  return fail(
      Error(Errc::corrupt, "a version's field is missing or out of range").with("field", field));
}

}  // namespace

Bytes encode(const SealedVersion& value) {
  v1::SealedVersion message;
  CHECK_INVARIANT(message.mutable_statement()->ParseFromString(string_of(value.statement)));
  for (const VersionEntry& entry : value.added) {
    v1::VersionEntry* added = message.add_added();
    added->set_salt(entry.salt.str());
    added->set_text(entry.text);
  }
  for (const Digest& hash : value.removed) message.add_removed(hash.str());
  Bytes out(message.ByteSizeLong());
  CHECK_INVARIANT(message.SerializeToArray(out.data(), static_cast<int>(out.size())));
  return out;
}

Result<SealedVersion> decode_sealed_version(ByteView bytes) {
  v1::SealedVersion message;
  if (bytes.size() > SealedVersion::kSizeMax ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return fail(Errc::corrupt, "a version does not parse");
  if (!message.has_statement()) return bad("statement");
  SealedVersion out;
  out.statement.resize(message.statement().ByteSizeLong());
  CHECK_INVARIANT(message.statement().SerializeToArray(out.statement.data(),
                                                       static_cast<int>(out.statement.size())));
  for (const v1::VersionEntry& entry : message.added()) {
    if (entry.text().empty()) return bad("added");
    TRY(const EntrySalt salt, EntrySalt::from(entry.salt()));
    out.added.push_back({.salt = salt, .text = entry.text()});
  }
  for (const std::string& hash : message.removed()) {
    TRY(out.removed.emplace_back(), Digest::from(hash));
  }
  return out;
}

}  // namespace ledgerline
