#include "collector/core/close_statement.h"

namespace ledgerline::collector {

namespace {

Json text(const std::string& value) { return Json::string(value); }
Json number(uint64_t value) { return Json::number(std::to_string(value)); }
Json decimal(const Decimal& value) { return Json::string(value.trimmed().text()); }
Json hex_or_null(const std::optional<Digest>& value) {
  return value ? text(value->hex()) : Json::null();
}

Json as_json(const CloseStatement::Stream& stream) {
  return Json::object(
      {{"stream", text(stream.stream.hex())},
       {"device", text(stream.device)},
       {"batch", number(stream.batch)},
       {"batch_id", text(stream.batch_id.hex())},
       {"next_seq", number(stream.next_seq)},
       {"complete_through",
        stream.complete_through ? text(to_rfc3339(*stream.complete_through)) : Json::null()}});
}

Json as_json(const CloseStatement::Line& line) {
  return Json::object({{"subscription", text(line.subscription)},
                       {"meter", text(line.meter)},
                       {"unit", text(line.unit)},
                       {"quantity", decimal(line.quantity)},
                       {"readings", number(line.readings)},
                       {"amount", decimal(line.amount)}});
}

Json as_json(const std::optional<CloseStatement::Document>& document) {
  if (!document) return Json::null();
  return Json::object({{"id", text(document->id)},
                       {"revision", number(document->revision)},
                       {"sha256", text(document->sha256.hex())}});
}

Result<CloseStatement::Stream> stream_of(const Json& json) {
  StatementReader in(json);
  CloseStatement::Stream out;
  out.stream = in.stream("stream");
  out.device = in.text("device");
  out.batch = in.number("batch");
  out.batch_id = BatchId(*BatchId::from(in.digest("batch_id").view()));
  out.next_seq = in.number("next_seq");
  if (const auto through = in.optional_text("complete_through")) {
    const auto time = parse_rfc3339(*through);
    if (time) {
      out.complete_through = *time;
    } else {
      in.fault("complete_through", "a time in RFC 3339 or null");
    }
  }
  TRY_VOID(in.end());
  return out;
}

Result<CloseStatement::Line> line_of(const Json& json) {
  StatementReader in(json);
  CloseStatement::Line out;
  out.subscription = in.text("subscription");
  out.meter = in.text("meter");
  out.unit = in.text("unit");
  out.quantity = in.decimal("quantity");
  out.readings = in.number("readings");
  out.amount = in.decimal("amount");
  TRY_VOID(in.end());
  return out;
}

Result<std::optional<CloseStatement::Document>> document_of(const Json& json) {
  if (json.is(Json::Kind::null)) return std::nullopt;
  StatementReader in(json);
  CloseStatement::Document out;
  out.id = in.text("id");
  out.revision = static_cast<uint32_t>(in.number("revision"));
  out.sha256 = in.digest("sha256");
  TRY_VOID(in.end());
  return out;
}

Result<Period> period_of(const Json& json) {
  StatementReader in(json);
  Period out;
  out.from = in.time("from");
  out.until = in.time("until");
  TRY_VOID(in.end());
  return out;
}

}  // namespace

std::string CloseStatement::json() const {
  Json all_streams = Json::array();
  for (const Stream& stream : streams) all_streams.push(as_json(stream));
  Json all_gaps = Json::array();
  for (const Digest& gap : gaps) all_gaps.push(text(gap.hex()));
  Json all_lines = Json::array();
  for (const Line& line : lines) all_lines.push(as_json(line));
  return Json::object({{"format", Json::number(1)},
                       {"tenant", text(tenant)},
                       {"contract", text(contract)},
                       {"period", Json::object({{"from", text(to_rfc3339(period.from))},
                                                {"until", text(to_rfc3339(period.until))}})},
                       {"revision", number(revision)},
                       {"log_leaves", number(log_leaves)},
                       {"catalog", hex_or_null(catalog)},
                       {"mapping", hex_or_null(mapping)},
                       {"zone_database", text(zone_database)},
                       {"streams", std::move(all_streams)},
                       {"gaps", std::move(all_gaps)},
                       {"lines", std::move(all_lines)},
                       {"document", as_json(document)},
                       {"by", text(by)},
                       {"at", text(to_rfc3339(at))}})
      .dump();
}

Result<CloseStatement> CloseStatement::parse(std::string_view json) {
  TRY(const Json parsed, parse_json(json));
  StatementReader in(parsed);
  CloseStatement out;
  if (in.number("format") != 1) in.fault("format", "1");
  out.tenant = in.text("tenant");
  out.contract = in.text("contract");
  const Json& period = in.any("period");
  out.revision = static_cast<uint32_t>(in.number("revision"));
  out.log_leaves = in.number("log_leaves");
  out.catalog = in.optional_digest("catalog");
  out.mapping = in.optional_digest("mapping");
  out.zone_database = in.text("zone_database");
  const auto& streams = in.array("streams");
  const auto& gaps = in.array("gaps");
  const auto& lines = in.array("lines");
  const Json& document = in.any("document");
  out.by = in.text("by");
  out.at = in.time("at");
  TRY_VOID(in.end());
  TRY(out.period, period_of(period));
  for (const Json& one : streams) {
    TRY(out.streams.emplace_back(), stream_of(one));
  }
  for (const Json& one : gaps) {
    TRY(const Bytes bytes, from_hex(one.text()));
    TRY(out.gaps.emplace_back(), Digest::from(bytes));
  }
  for (const Json& one : lines) {
    TRY(out.lines.emplace_back(), line_of(one));
  }
  TRY(out.document, document_of(document));
  TRY_VOID(check_canonical(json, out.json()));
  return out;
}

}  // namespace ledgerline::collector
