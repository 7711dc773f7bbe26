#include "collector/core/statement.h"

#include "common/check.h"

namespace ledgerline::collector {

namespace {

const Json kNothing;

Error bad_member(std::string_view name, std::string_view expected) {
  return Error(Errc::corrupt, "a statement's member is missing, misplaced or wrong")
      .with("member", std::string(name))
      .with("expected", std::string(expected));
}

}  // namespace

std::string_view statement_word(LeafKind kind) {
  switch (kind) {
    case LeafKind::batch:
    case LeafKind::tombstone:
      return {};
    case LeafKind::catalog_version:
      return "catalog-version";
    case LeafKind::mapping_version:
      return "mapping-version";
    case LeafKind::correction:
      return "correction";
    case LeafKind::gap_acceptance:
      return "gap-acceptance";
    case LeafKind::approval:
      return "approval";
    case LeafKind::close:
      return "close";
    case LeafKind::operator_key:
      return "operator";
    case LeafKind::exception_action:
      return "exception-action";
    case LeafKind::epoch:
      return "epoch";
  }
  return {};
}

std::string statement_type(LeafKind kind) {
  const std::string_view word = statement_word(kind);
  CHECK_INVARIANT(!word.empty());
  return "application/vnd.ledgerline." + std::string(word) + ".v1+json";
}

Digest statement_id(LeafKind kind, ByteView body) {
  const std::string_view word = statement_word(kind);
  CHECK_INVARIANT(!word.empty());
  std::string label = "ledgerline/" + std::string(word) + "/v1";
  label.push_back('\0');
  return sha256({bytes_of(label), body});
}

Result<SignedStatement> sign_statement(LeafKind kind, std::string_view json, Signer& signer) {
  SignedStatement out{.kind = kind, .id = statement_id(kind, bytes_of(json)), .bytes = {}};
  TRY(out.bytes, sign(statement_type(kind), bytes_of(json), signer));
  return out;
}

Result<OpenStatement> open_statement(LeafKind kind, ByteView bytes) {
  OpenStatement out;
  TRY(out.message, open_signed(bytes, statement_type(kind)));
  out.key = out.message.key;
  out.json = string_of(out.message.body);
  out.id = statement_id(kind, out.message.body);
  return out;
}

StatementReader::StatementReader(const Json& object) : object_(object) {
  if (!object.is(Json::Kind::object)) fault("", "an object");
}

void StatementReader::fault(std::string_view name, std::string_view expected) {
  if (!error_) error_ = bad_member(name, expected);
}

const Json& StatementReader::any(std::string_view name) {
  if (error_) return kNothing;
  if (at_ >= object_.members().size() || object_.members()[at_].first != name) {
    fault(name, "this member here");
    return kNothing;
  }
  return object_.members()[at_++].second;
}

const Json* StatementReader::next(std::string_view name, Json::Kind kind,
                                  std::string_view expected) {
  const Json& value = any(name);
  if (error_) return nullptr;
  if (value.is(kind)) return &value;
  fault(name, expected);
  return nullptr;
}

std::string StatementReader::text(std::string_view name) {
  const Json* value = next(name, Json::Kind::string, "text");
  return value == nullptr ? std::string() : value->text();
}

std::optional<std::string> StatementReader::optional_text(std::string_view name) {
  const Json& value = any(name);
  if (error_ || value.is(Json::Kind::null)) return std::nullopt;
  if (value.is(Json::Kind::string)) return value.text();
  fault(name, "text or null");
  return std::nullopt;
}

uint64_t StatementReader::number(std::string_view name) {
  const Json* value = next(name, Json::Kind::number, "a whole number");
  if (value == nullptr) return 0;
  const std::string& digits = value->text();
  const bool whole = !digits.empty() && digits.size() <= 19 &&
                     digits.find_first_not_of("0123456789") == std::string::npos;
  if (whole) return std::stoull(digits);
  fault(name, "a whole number");
  return 0;
}

Decimal StatementReader::decimal(std::string_view name) {
  const auto value = Decimal::parse(text(name));
  if (value) return *value;
  fault(name, "a decimal as text");
  return {};
}

Timestamp StatementReader::time(std::string_view name) {
  const auto value = parse_rfc3339(text(name));
  if (value) return *value;
  fault(name, "a time in RFC 3339");
  return {};
}

bool StatementReader::flag(std::string_view name) {
  const Json* value = next(name, Json::Kind::boolean, "true or false");
  return value != nullptr && value->as_bool();
}

std::optional<Digest> StatementReader::optional_digest(std::string_view name) {
  const auto hex = optional_text(name);
  if (!hex) return std::nullopt;
  const auto bytes = from_hex(*hex);
  const auto digest = bytes ? Digest::from(*bytes) : Digest::from(ByteView());
  if (digest) return *digest;
  fault(name, "64 hexadecimal digits");
  return std::nullopt;
}

Digest StatementReader::digest(std::string_view name) {
  const auto value = optional_digest(name);
  if (!value) fault(name, "64 hexadecimal digits");
  return value.value_or(Digest());
}

StreamId StatementReader::stream(std::string_view name) {
  const auto bytes = from_hex(text(name));
  const auto stream = bytes ? StreamId::from(*bytes) : StreamId::from(ByteView());
  if (stream) return *stream;
  fault(name, "32 hexadecimal digits");
  return {};
}

const std::vector<Json>& StatementReader::array(std::string_view name) {
  const Json* value = next(name, Json::Kind::array, "an array");
  return value == nullptr ? kNothing.items() : value->items();
}

Status StatementReader::end() {
  if (!error_ && at_ != object_.members().size())
    fault(object_.members()[at_].first, "no such member");
  if (error_) return fail(*error_);
  return {};
}

Status check_canonical(std::string_view json, std::string_view again) {
  if (json == again) return {};
  return fail(Errc::corrupt, "a statement is not written in its one canonical form");
}

}  // namespace ledgerline::collector
