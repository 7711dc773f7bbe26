#include "collector/core/bundle.h"

#include <algorithm>
#include <array>
#include <tuple>

namespace ledgerline::collector {

namespace {

constexpr std::string_view kMagic = "LEDGERLINE BUNDLE 1\n";
constexpr std::string_view kSealType = "application/vnd.ledgerline.bundle-seal.v1+json";
constexpr size_t kTableRow = 5;

struct RawPart {
  BundlePart part = BundlePart::question;
  Bytes bytes;
};

Digest part_hash(BundlePart part, ByteView bytes) {
  constexpr std::string_view kLabel("ledgerline/bundle-part/v1\0", 26);
  const auto type = static_cast<uint8_t>(part);
  return sha256({bytes_of(kLabel), ByteView(&type, 1), bytes});
}

// ---- Writing

void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

void append(Bytes& out, const InclusionPath& path) {
  append_big_endian64(out, path.index);
  out.push_back(static_cast<uint8_t>(path.hashes.size()));
  for (const Digest& hash : path.hashes) append(out, hash.view());
}

Bytes encode_part(const BundleQuestion& question) {
  const std::string json =
      Json::object({{"format", Json::number(1)},
                    {"document", Json::string(question.document)},
                    {"revision", Json::number(std::to_string(question.revision))},
                    {"line", Json::number(std::to_string(question.line))}})
          .dump();
  return copy_of(bytes_of(json));
}

Bytes encode_part(const BundleStatement& statement) {
  Bytes out{static_cast<uint8_t>(statement.kind)};
  append(out, statement.path);
  append(out, statement.signed_bytes);
  return out;
}

Bytes encode_part(const BundleEntry& entry) {
  Bytes out = copy_of(entry.version.view());
  append(out, entry.path);
  append(out, entry.entry.salt.view());
  append(out, bytes_of(entry.entry.text));
  return out;
}

Bytes encode_part(const BundleBatch& batch) {
  Bytes out = copy_of(batch.stream.view());
  append_big_endian64(out, batch.number);
  append_big_endian64(out, static_cast<uint64_t>(batch.received_at.unix_ms()));
  out.push_back(batch.path ? 1 : 0);
  if (batch.path) append(out, *batch.path);
  append(out, batch.sealed);
  return out;
}

Bytes encode_part(const BundleHeartbeat& heartbeat) {
  Bytes out = copy_of(heartbeat.stream.view());
  append(out, heartbeat.signed_bytes);
  return out;
}

std::vector<RawPart> parts_of(const Bundle& bundle) {
  std::vector<RawPart> out;
  out.push_back({BundlePart::question, encode_part(bundle.question)});
  for (const std::string& body : bundle.documents)
    out.push_back({BundlePart::document, copy_of(bytes_of(body))});
  out.push_back({BundlePart::checkpoint, copy_of(bytes_of(bundle.checkpoint))});
  for (const auto& one : bundle.statements)
    out.push_back({BundlePart::statement, encode_part(one)});
  for (const auto& one : bundle.entries) out.push_back({BundlePart::entry, encode_part(one)});
  for (const auto& one : bundle.grants) out.push_back({BundlePart::grant, one});
  for (const auto& one : bundle.batches) out.push_back({BundlePart::batch, encode_part(one)});
  for (const auto& one : bundle.heartbeats)
    out.push_back({BundlePart::heartbeat, encode_part(one)});
  return out;
}

auto order_of(const BundleStatement& one) { return one.path.index; }
auto order_of(const BundleEntry& one) { return std::tuple(one.version, one.path.index); }
auto order_of(const BundleBatch& one) { return std::tuple(one.stream, one.number); }
auto order_of(const BundleHeartbeat& one) { return one.stream; }

template <class T>
void sort_parts(std::vector<T>& parts) {
  std::sort(parts.begin(), parts.end(),
            [](const T& a, const T& b) { return order_of(a) < order_of(b); });
}

template <class T>
Status check_ascending(const std::vector<T>& parts, BundlePart part) {
  const auto wrong = std::adjacent_find(parts.begin(), parts.end(), [](const T& a, const T& b) {
    return !(order_of(a) < order_of(b));
  });
  if (wrong == parts.end()) return {};
  return fail(Error(Errc::corrupt, "a part of the bundle is out of order or there twice")
                  .with("part", std::string(part_name(part))));
}

Status check_order(const Bundle& bundle) {
  TRY_VOID(check_ascending(bundle.statements, BundlePart::statement));
  TRY_VOID(check_ascending(bundle.entries, BundlePart::entry));
  TRY_VOID(check_ascending(bundle.batches, BundlePart::batch));
  return check_ascending(bundle.heartbeats, BundlePart::heartbeat);
}

Result<Bytes> seal_parts(const std::vector<RawPart>& parts, Timestamp at, Signer& collector) {
  Json hashes = Json::array();
  for (const RawPart& part : parts)
    hashes.push(Json::string(part_hash(part.part, part.bytes).hex()));
  const std::string json = Json::object({{"format", Json::number(1)},
                                         {"parts", std::move(hashes)},
                                         {"by", Json::string(std::string(kByCollector))},
                                         {"at", Json::string(to_rfc3339(at))}})
                               .dump();
  return sign(kSealType, bytes_of(json), collector);
}

Bytes assemble(const std::vector<RawPart>& parts) {
  Bytes out = copy_of(bytes_of(kMagic));
  append_big_endian32(out, static_cast<uint32_t>(parts.size()));
  for (const RawPart& part : parts) {
    out.push_back(static_cast<uint8_t>(part.part));
    append_big_endian32(out, static_cast<uint32_t>(part.bytes.size()));
  }
  append(out, sha256(out).view());
  for (const RawPart& part : parts) append(out, part.bytes);
  return out;
}

// ---- Reading

Error damaged(const std::string& part) {
  return Error(Errc::corrupt, part + " of the bundle is damaged");
}

/// Takes fixed-size fields from the front of a part.
class PartReader {
 public:
  explicit PartReader(ByteView bytes) : rest_(bytes) {}

  ByteView take(size_t size) {
    if (rest_.size() < size) {
      good_ = false;
      rest_ = {};
      return {};
    }
    const ByteView out = rest_.first(size);
    rest_ = rest_.subspan(size);
    return out;
  }
  uint8_t u8() {
    const ByteView bytes = take(1);
    return good_ ? bytes[0] : 0;
  }
  uint64_t u64() {
    const ByteView bytes = take(8);
    return good_ ? big_endian64(bytes) : 0;
  }
  template <class Id>
  Id id() {
    const auto out = Id::from(take(Id::kSize));
    return out ? *out : Id();
  }
  InclusionPath path() {
    InclusionPath out{.index = u64(), .hashes = {}};
    const size_t count = u8();
    if (count > InclusionPath::kHashesMax) good_ = false;
    for (size_t i = 0; good_ && i < count; ++i) out.hashes.push_back(id<Digest>());
    return out;
  }
  ByteView rest() { return take(rest_.size()); }
  void require(bool condition) { good_ = good_ && condition; }
  [[nodiscard]] bool good() const { return good_; }

 private:
  ByteView rest_;
  bool good_ = true;
};

std::string short_hex(ByteView id) { return to_hex(id.first(4)); }

bool read_question(ByteView bytes, Bundle& out) {
  const auto json = parse_json(text_of(bytes));
  if (!json) return false;
  StatementReader in(*json);
  if (in.number("format") != 1) return false;
  out.question.document = in.text("document");
  out.question.revision = static_cast<uint32_t>(in.number("revision"));
  out.question.line = static_cast<uint32_t>(in.number("line"));
  const Bytes again = encode_part(out.question);
  return in.end() && std::equal(again.begin(), again.end(), bytes.begin(), bytes.end());
}

/// Adds the part to the bundle. Returns what it is about, nothing where it cannot be read.
std::optional<std::string> read_part(BundlePart part, ByteView bytes, Bundle& out) {
  PartReader in(bytes);
  switch (part) {
    case BundlePart::question:
      if (!read_question(bytes, out)) return std::nullopt;
      return "";
    case BundlePart::document:
      out.documents.push_back(string_of(bytes));
      return "";
    case BundlePart::checkpoint:
      out.checkpoint = string_of(bytes);
      return "";
    case BundlePart::statement: {
      BundleStatement one;
      const auto kind = static_cast<LeafKind>(in.u8());
      in.require(kind <= LeafKind::epoch && !statement_word(kind).empty());
      one.kind = kind;
      one.path = in.path();
      one.signed_bytes = copy_of(in.rest());
      if (!in.good()) return std::nullopt;
      std::string name =
          " " + std::string(statement_word(kind)) + " at leaf " + std::to_string(one.path.index);
      out.statements.push_back(std::move(one));
      return name;
    }
    case BundlePart::entry: {
      BundleEntry one;
      one.version = in.id<Digest>();
      one.path = in.path();
      one.entry.salt = in.id<EntrySalt>();
      one.entry.text = string_of(in.rest());
      if (!in.good()) return std::nullopt;
      std::string name =
          " " + std::to_string(one.path.index) + " of version " + short_hex(one.version.view());
      out.entries.push_back(std::move(one));
      return name;
    }
    case BundlePart::grant:
      out.grants.push_back(copy_of(bytes));
      return " " + std::to_string(out.grants.size());
    case BundlePart::batch: {
      BundleBatch one;
      one.stream = in.id<StreamId>();
      one.number = in.u64();
      one.received_at = Timestamp(static_cast<int64_t>(in.u64()));
      const uint8_t linked = in.u8();
      in.require(linked <= 1);
      if (linked == 1) one.path = in.path();
      one.sealed = copy_of(in.rest());
      if (!in.good()) return std::nullopt;
      std::string name =
          " " + std::to_string(one.number) + " of stream " + short_hex(one.stream.view());
      out.batches.push_back(std::move(one));
      return name;
    }
    case BundlePart::heartbeat: {
      BundleHeartbeat one;
      one.stream = in.id<StreamId>();
      one.signed_bytes = copy_of(in.rest());
      if (!in.good()) return std::nullopt;
      std::string name = " of stream " + short_hex(one.stream.view());
      out.heartbeats.push_back(std::move(one));
      return name;
    }
    case BundlePart::seal:
      return "";
  }
  return std::nullopt;
}

struct TableRow {
  uint8_t type = 0;
  uint32_t length = 0;
};

Result<std::vector<TableRow>> read_table(ByteView bytes) {
  const Error bad = damaged("the table of parts");
  if (bytes.size() > Bundle::kSizeMax) return fail(Errc::reject, "the bundle is too large");
  if (!text_of(bytes).starts_with(kMagic))
    return fail(Errc::corrupt, "the file's beginning is not that of an evidence bundle");
  if (bytes.size() < kMagic.size() + 4) return fail(bad);
  const size_t count = big_endian32(bytes.subspan(kMagic.size()));
  const size_t end = kMagic.size() + 4 + count * kTableRow;
  if (count > Bundle::kPartsMax || bytes.size() < end + Digest::kSize) return fail(bad);
  const Digest hash = sha256(bytes.first(end));
  if (!std::ranges::equal(hash.view(), bytes.subspan(end, Digest::kSize))) return fail(bad);
  std::vector<TableRow> rows;
  uint64_t total = end + Digest::kSize;
  for (size_t i = 0; i < count; ++i) {
    const ByteView row = bytes.subspan(kMagic.size() + 4 + i * kTableRow);
    rows.push_back({row[0], big_endian32(row.subspan(1))});
    total += rows.back().length;
  }
  if (total != bytes.size())
    return fail(Errc::corrupt, "the bundle is cut short or has bytes behind its last part");
  return rows;
}

/// question, document+, checkpoint, statement*, entry*, grant*, batch*, heartbeat*, seal
Status check_table(const std::vector<TableRow>& rows) {
  std::array<size_t, 10> counts{};
  uint8_t before = 0;
  for (const TableRow& row : rows) {
    if (row.type == 0 || row.type >= counts.size() || row.type < before)
      return fail(damaged("the order of parts"));
    before = row.type;
    ++counts[row.type];
  }
  const auto count = [&](BundlePart part) { return counts[static_cast<size_t>(part)]; };
  const bool complete = count(BundlePart::question) == 1 && count(BundlePart::document) >= 1 &&
                        count(BundlePart::checkpoint) == 1 && count(BundlePart::seal) == 1;
  if (!complete) return fail(damaged("the order of parts"));
  return {};
}

/// What a person is told a part is, and what the seal must say of it.
struct PartNote {
  std::string name;
  Digest hash;
};

// Beside the hashes; of each hash with its quotes and comma.
constexpr size_t kSealTextMax = 1024;
constexpr size_t kPartHashText = 67;

Status check_seal(ByteView sealed, const std::vector<PartNote>& parts,
                  const std::vector<PublicKey>& keys) {
  const auto seal = open_signed(sealed, kSealType);
  if (!seal) return fail(damaged("the seal"));
  const auto key = std::find_if(keys.begin(), keys.end(),
                                [&](const PublicKey& one) { return one.id() == seal->key; });
  if (key == keys.end())
    return fail(Errc::corrupt, "the seal is of a key that is none of the collector's");
  if (!verify(*seal, *key)) return fail(damaged("the seal"));
  TRY(const Json json,
      parse_json(text_of(seal->body), {.size_max = kSealTextMax + kPartHashText * parts.size()}));
  StatementReader in(json);
  if (in.number("format") != 1) in.fault("format", "1");
  const auto& hashes = in.array("parts");
  in.text("by");
  in.time("at");
  TRY_VOID(in.end());
  if (hashes.size() != parts.size())
    return fail(Errc::corrupt, "the bundle has another number of parts than its seal says");
  for (size_t i = 0; i < hashes.size(); ++i) {
    if (hashes[i].text() != parts[i].hash.hex()) return fail(damaged(parts[i].name));
  }
  return {};
}

}  // namespace

std::string_view part_name(BundlePart part) {
  switch (part) {
    case BundlePart::question:
      return "question";
    case BundlePart::document:
      return "document";
    case BundlePart::checkpoint:
      return "checkpoint";
    case BundlePart::statement:
      return "statement";
    case BundlePart::entry:
      return "entry";
    case BundlePart::grant:
      return "grant";
    case BundlePart::batch:
      return "batch";
    case BundlePart::heartbeat:
      return "heartbeat";
    case BundlePart::seal:
      return "seal";
  }
  return "part";
}

Result<Bytes> write_bundle(Bundle bundle, Timestamp at, Signer& collector) {
  sort_parts(bundle.statements);
  sort_parts(bundle.entries);
  sort_parts(bundle.batches);
  sort_parts(bundle.heartbeats);
  std::sort(bundle.grants.begin(), bundle.grants.end());
  TRY_VOID(check_order(bundle));
  auto parts = parts_of(bundle);
  TRY(Bytes seal, seal_parts(parts, at, collector));
  parts.push_back({BundlePart::seal, std::move(seal)});
  uint64_t total = 0;
  for (const RawPart& part : parts) total += part.bytes.size() + kTableRow;
  if (total > Bundle::kSizeMax - 1024 || parts.size() > Bundle::kPartsMax) {
    return fail(Error(Errc::reject, "the evidence is too much for one bundle")
                    .with("bytes", std::to_string(total))
                    .with("parts", std::to_string(parts.size())));
  }
  return assemble(parts);
}

Result<Bundle> open_bundle(ByteView bytes, const std::vector<PublicKey>& keys) {
  TRY(const auto rows, read_table(bytes));
  TRY_VOID(check_table(rows));
  Bundle out;
  std::vector<PartNote> notes;
  std::optional<Error> unreadable;
  ByteView rest = bytes.subspan(kMagic.size() + 4 + rows.size() * kTableRow + Digest::kSize);
  for (const TableRow& row : rows) {
    const auto part = static_cast<BundlePart>(row.type);
    const ByteView content = rest.first(row.length);
    rest = rest.subspan(row.length);
    if (part == BundlePart::seal) {
      // Before anything is said about what the parts hold: it names the one that was changed.
      TRY_VOID(check_seal(content, notes, keys));
      continue;
    }
    const auto about = read_part(part, content, out);
    notes.push_back({std::string(part_name(part)) +
                         about.value_or(", part " + std::to_string(notes.size() + 1) + ","),
                     part_hash(part, content)});
    if (!about && !unreadable) unreadable = damaged(notes.back().name);
  }
  if (unreadable) return fail(*unreadable);
  TRY_VOID(check_order(out));
  return out;
}

}  // namespace ledgerline::collector
