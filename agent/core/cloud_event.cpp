#include "agent/core/cloud_event.h"

#include <algorithm>
#include <array>

#include "agent/core/meter_value.h"
#include "common/bytes.h"
#include "common/check.h"
#include "common/json.h"
#include "common/toml.h"

namespace ledgerline::agent {

namespace {

constexpr JsonLimits kJsonLimits{.depth_max = 8, .size_max = 16 << 20};

enum Attribute : size_t {
  kSpecVersion,
  kType,
  kSource,
  kId,
  kSubject,
  kTime,
  kValue,
  kUnit,
  kAttributes
};
constexpr std::array<std::string_view, kAttributes> kAttributeNames = {
    "specversion", "type", "source", "id", "subject", "time", "data.value", "data.unit"};

std::string in_quotes(std::string_view text) {
  constexpr size_t kShown = 80;
  std::string out = "\"" + std::string(text.substr(0, kShown));
  return out + (text.size() > kShown ? "...\"" : "\"");
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool is_integer_text(std::string_view text) {
  return text.find_first_not_of("-0123456789") == std::string_view::npos;
}

/// Walks the tokens of one request. Values of an event are kept until its end, because a meter may
/// be named after its value.
class EventHandler final : public JsonHandler {
 public:
  enum class Form { single, batch, data_only };

  EventHandler(Form form, const MeterIndex& meters, Monotonic now)
      : form_(form), meters_(meters), now_(now) {}

  // Binary mode: the attributes come before the body, which is only `data`.
  Status set_attribute(std::string_view name, std::string_view value) {
    key_.assign(name);
    where_ = Where::event;
    TRY_VOID(on_string(value));
    where_ = Where::outside;
    return {};
  }
  Status finish_binary() { return finish_event(); }

  std::vector<RecordItem> take() { return std::move(events_); }
  std::optional<EventRefusal>& refusal() { return refusal_; }

  Status on_object_begin() override {
    switch (where_) {
      case Where::outside:
        if (form_ == Form::batch)
          return refuse_request(
              "a batch is a JSON array of events; send one event as application/cloudevents+json");
        where_ = form_ == Form::data_only ? Where::data : Where::event;
        return {};
      case Where::batch:
        if (events_.size() == kEventsPerRequestMax) {
          return refuse(413, "",
                        "a request holds at most " + std::to_string(kEventsPerRequestMax) +
                            " events; send several requests");
        }
        where_ = Where::event;
        return {};
      case Where::event:
        if (key_ != "data")
          return refuse(422, key_,
                        "an attribute is a string, an integer or a boolean; put details into data");
        where_ = Where::data;
        return {};
      case Where::data:
        break;
    }
    return refuse_container();
  }

  Status on_object_end() override {
    if (where_ == Where::data) {
      if (has_data_) return refuse(422, "data", "the member stands twice in the event");
      has_data_ = true;
      where_ = form_ == Form::data_only ? Where::outside : Where::event;
      return {};
    }
    where_ = form_ == Form::batch ? Where::batch : Where::outside;
    return finish_event();
  }

  Status on_array_begin() override {
    if (where_ == Where::outside && form_ == Form::batch) {
      where_ = Where::batch;
      return {};
    }
    if (where_ == Where::outside)
      return refuse_request(
          "an event is a JSON object; send an array as application/cloudevents-batch+json");
    if (where_ == Where::batch) return refuse(422, "", "an event is a JSON object");
    return refuse_container();
  }

  Status on_array_end() override {
    where_ = Where::outside;
    return {};
  }

  Status on_key(std::string_view name) override {
    key_.assign(name);
    return {};
  }

  Status on_string(std::string_view text) override {
    if (where_ == Where::event) {
      if (key_ == "data") return refuse(422, "data", "data is an object such as {\"value\":\"1\"}");
      if (key_ == "data_base64")
        return refuse(422, key_, "binary data cannot be metered; send data as a JSON object");
      const auto known = std::find(kAttributeNames.begin(), kAttributeNames.begin() + kValue, key_);
      if (known == kAttributeNames.begin() + kValue)
        return {};  // an extension attribute means nothing to a meter
      return set(static_cast<size_t>(known - kAttributeNames.begin()), text);
    }
    if (where_ != Where::data) return scalar_outside();
    if (key_ == "value") return set(kValue, text);
    if (key_ == "unit") return set(kUnit, text);
    return add_dimension(text);
  }

  Status on_number(std::string_view text) override {
    if (where_ != Where::data) return attribute_of_other_type("a number");
    if (key_ == "unit") return refuse(422, "data.unit", "a unit is a string");
    if (!is_integer_text(text)) {
      const std::string field = "data." + key_;
      if (key_ == "value")
        return refuse(422, field,
                      "a number that is not an integer is quoted, so that nobody rounds it on the "
                      "way: \"value\":\"" +
                          std::string(text.substr(0, 80)) + "\"");
      return refuse(422, field, "a dimension is a string, an integer or a boolean");
    }
    return key_ == "value" ? set(kValue, text) : add_dimension(text);
  }

  Status on_bool(bool value) override {
    if (where_ != Where::data) return attribute_of_other_type("a boolean");
    if (key_ == "value")
      return refuse(422, "data.value", "a value is a string or an integer, not a boolean");
    if (key_ == "unit") return refuse(422, "data.unit", "a unit is a string");
    return add_dimension(value ? "true" : "false");
  }

  Status on_null() override {
    if (where_ != Where::data) return attribute_of_other_type("null");
    return refuse(422, "data." + key_, "null is no value; leave the member out");
  }

 private:
  enum class Where { outside, batch, event, data };

  Status stop(EventRefusal refusal) {
    refusal_ = std::move(refusal);
    return fail(Errc::reject, refusal_->detail);
  }
  Status refuse(unsigned status, std::string_view field, std::string detail) {
    return stop({.status = status,
                 .event = events_.size(),
                 .field = std::string(field),
                 .detail = std::move(detail)});
  }
  Status refuse_request(std::string detail) {
    return stop({.status = 422, .event = std::nullopt, .field = "", .detail = std::move(detail)});
  }
  Status refuse_container() {
    const std::string field = (where_ == Where::data ? "data." : "") + key_;
    return refuse(
        422, field,
        "nested members are not recorded; a dimension is a string, an integer or a boolean");
  }
  Status scalar_outside() {
    if (where_ == Where::batch) return refuse(422, "", "an event is a JSON object");
    return refuse_request(form_ == Form::batch ? "a batch is a JSON array of events"
                                               : "an event is a JSON object");
  }
  Status attribute_of_other_type(std::string_view what) {
    if (where_ != Where::event) return scalar_outside();
    if (key_ == "data") return refuse(422, "data", "data is an object such as {\"value\":\"1\"}");
    const auto end = kAttributeNames.begin() + kValue;
    if (std::find(kAttributeNames.begin(), end, key_) == end) return {};
    return refuse(422, key_, "this attribute is a string, not " + std::string(what));
  }

  Status set(size_t attribute, std::string_view text) {
    const std::string_view name = kAttributeNames[attribute];
    if (present_[attribute]) return refuse(422, name, "the member stands twice in the event");
    if (text.empty()) return refuse(422, name, "it is empty; give a value or leave the member out");
    if (has_control(text)) return refuse(422, name, "it holds a control character");
    present_[attribute] = true;
    values_[attribute].assign(text);
    return {};
  }

  Status add_dimension(std::string_view text) {
    if (dimensions_.size() == kDimensionsMax) {
      return refuse(422, "data." + key_,
                    "a reading has at most " + std::to_string(kDimensionsMax) +
                        " dimensions; leave out what nobody prices or reads");
    }
    if (key_.empty() || key_.size() > kDimensionNameBytesMax || has_control(key_)) {
      return refuse(422, "data." + key_.substr(0, kDimensionNameBytesMax),
                    "a dimension's name has 1 to " + std::to_string(kDimensionNameBytesMax) +
                        " bytes and no control characters");
    }
    if (text.size() > kDimensionValueBytesMax || has_control(text)) {
      return refuse(422, "data." + key_,
                    "a dimension's value has at most " + std::to_string(kDimensionValueBytesMax) +
                        " bytes and no control characters");
    }
    dimensions_.emplace_back(key_, text);
    return {};
  }

  Status finish_event() {
    TRY_VOID(check_attributes());
    const MeterRow* meter = find_meter(values_[kType]);
    if (meter == nullptr) {
      return refuse(
          422, "type",
          "there is no meter " + in_quotes(values_[kType]) + meters_.hint(values_[kType]));
    }
    if (present_[kUnit] && values_[kUnit] != meter->unit) {
      return refuse(422, "data.unit",
                    "the meter " + in_quotes(meter->name) + " counts in " + in_quotes(meter->unit) +
                        ", the event says " + in_quotes(values_[kUnit]) +
                        "; convert the value or correct the unit");
    }
    RecordItem event;
    event.reading.meter = meter->number;
    TRY_VOID(read_value(*meter, event.reading));
    TRY_VOID(read_time(event.reading));
    TRY_VOID(take_dimensions(event.reading.dimensions));
    event.reading.subject = values_[kSubject];
    event.key.reserve(values_[kSource].size() + 1 + values_[kId].size());
    event.key.append(values_[kSource]).push_back('\0');
    event.key.append(values_[kId]);
    if (meter->forward_ids) event.reading.id = event.key;
    events_.push_back(std::move(event));
    reset();
    return {};
  }

  Status check_attributes() {
    for (const size_t required : {kSpecVersion, kType, kSource, kId}) {
      if (!present_[required])
        return refuse(422, kAttributeNames[required],
                      "the attribute is missing; CloudEvents 1.0 requires it");
    }
    if (values_[kSpecVersion] != "1.0")
      return refuse(422, "specversion", "only \"1.0\" is understood");
    if (values_[kSource].size() + values_[kId].size() > kKeyBytesMax) {
      return refuse(
          422, "id",
          "source and id together have at most " + std::to_string(kKeyBytesMax) + " bytes");
    }
    if (values_[kSubject].size() > kSubjectBytesMax) {
      return refuse(422, "subject",
                    "a subject has at most " + std::to_string(kSubjectBytesMax) + " bytes");
    }
    return {};
  }

  const MeterRow* find_meter(std::string_view name) {
    if (last_meter_ == nullptr || last_meter_->name != name) last_meter_ = meters_.find(name);
    return last_meter_;
  }

  Status read_value(const MeterRow& meter, Reading& reading) {
    if (!present_[kValue]) {
      // An event that happened is worth one unless it says otherwise; for every other kind a
      // missing value is a mistake.
      if (meter.kind != MeterKind::event) {
        return refuse(422, "data.value", "the value is missing; send \"data\":{\"value\":\"1\"}");
      }
      values_[kValue] = "1";
    }
    const auto value = scaled_value(values_[kValue], meter.scale);
    if (!value)
      return refuse(422, "data.value",
                    in_quotes(values_[kValue]) + " cannot be recorded: " + value.error().message());
    if (*value < 0 && meter.kind != MeterKind::gauge) {
      return refuse(422, "data.value",
                    in_quotes(values_[kValue]) + " is negative; a " +
                        std::string(to_string(meter.kind)) +
                        " never is, corrections are made in the collector");
    }
    (meter.kind == MeterKind::register_ ? reading.register_value : reading.value) = *value;
    return {};
  }

  Status read_time(Reading& reading) {
    if (!present_[kTime]) {
      reading.monotonic_time = true;
      reading.time_ms = now_.ms;
      return {};
    }
    const auto time = parse_rfc3339(values_[kTime]);
    if (!time)
      return refuse(
          422, "time",
          in_quotes(values_[kTime]) +
              " is no RFC 3339 time such as \"2026-11-20T08:15:00Z\": " + time.error().message());
    reading.time_ms = time->unix_ms();
    return {};
  }

  Status take_dimensions(DimensionSet& out) {
    std::sort(dimensions_.begin(), dimensions_.end());
    const auto twice =
        std::adjacent_find(dimensions_.begin(), dimensions_.end(),
                           [](const auto& a, const auto& b) { return a.first == b.first; });
    if (twice != dimensions_.end())
      return refuse(422, "data." + twice->first, "the member stands twice in data");
    out = std::move(dimensions_);
    return {};
  }

  void reset() {
    present_.fill(false);
    has_data_ = false;
    values_[kSubject].clear();  // the others are required, or guarded by present_
    dimensions_.clear();
  }

  const Form form_;
  const MeterIndex& meters_;
  const Monotonic now_;
  Where where_ = Where::outside;
  std::string key_;
  std::array<std::string, kAttributes> values_;
  std::array<bool, kAttributes> present_{};
  bool has_data_ = false;
  DimensionSet dimensions_;
  const MeterRow* last_meter_ = nullptr;
  std::vector<RecordItem> events_;
  std::optional<EventRefusal> refusal_;
};

EventsOrRefusal finish(EventHandler& handler, const Status& status) {
  if (status) return handler.take();
  if (handler.refusal()) return tl::unexpected<EventRefusal>(std::move(*handler.refusal()));
  return tl::unexpected<EventRefusal>(
      {.status = 400,
       .event = std::nullopt,
       .field = "",
       .detail = "the body is not JSON in UTF-8: " + status.error().text()});
}

/// Errc::reject for a '%' without two hexadecimal digits, or bytes that are no UTF-8.
Result<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    TRY(const Bytes byte, from_hex(text.substr(i + 1, 2)));
    if (byte.size() != 1) return fail(Errc::reject, "a % is followed by two hexadecimal digits");
    out += static_cast<char>(byte[0]);
    i += 2;
  }
  if (!is_utf8(out)) return fail(Errc::reject, "it is not UTF-8");
  return out;
}

std::string_view title_of(unsigned status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 507:
      return "Insufficient Storage";
    default:
      return "Error";
  }
}

}  // namespace

MeterIndex::MeterIndex(const std::vector<MeterRow>& rows) {
  for (const MeterRow& row : rows) rows_.emplace(row.name, row);
}

const MeterRow* MeterIndex::find(std::string_view name) const {
  const auto found = rows_.find(name);
  return found == rows_.end() ? nullptr : &found->second;
}

std::string MeterIndex::hint(std::string_view name) const {
  std::vector<std::string> names;
  for (const auto& [known, row] : rows_) names.push_back(known);
  std::sort(names.begin(), names.end());
  const auto near = nearest_name(name, names);
  if (near) return "; did you mean " + in_quotes(*near) + "?";
  return "; declare it as [[meter]] in agent.toml and restart the agent";
}

EventsOrRefusal read_event(std::string_view body, const MeterIndex& meters, Monotonic now) {
  EventHandler handler(EventHandler::Form::single, meters, now);
  return finish(handler, parse_json(body, handler, kJsonLimits));
}

EventsOrRefusal read_event_batch(std::string_view body, const MeterIndex& meters, Monotonic now) {
  EventHandler handler(EventHandler::Form::batch, meters, now);
  return finish(handler, parse_json(body, handler, kJsonLimits));
}

EventsOrRefusal read_binary_event(
    const std::vector<std::pair<std::string, std::string>>& attributes, std::string_view body,
    const MeterIndex& meters, Monotonic now) {
  EventHandler handler(EventHandler::Form::data_only, meters, now);
  for (const auto& [name, encoded] : attributes) {
    const auto value = percent_decoded(encoded);
    if (!value) {
      return tl::unexpected<EventRefusal>(
          {.status = 422,
           .event = 0,
           .field = name,
           .detail = "header ce-" + name + ": " + value.error().message()});
    }
    if (const auto set = handler.set_attribute(name, *value); !set) return finish(handler, set);
  }
  if (const auto parsed = parse_json(body, handler, kJsonLimits); !parsed)
    return finish(handler, parsed);
  return finish(handler, handler.finish_binary());
}

std::string problem_json(const EventRefusal& refusal) {
  std::string out = "{\"type\":\"about:blank\",\"title\":" + json_quote(title_of(refusal.status)) +
                    ",\"status\":" + std::to_string(refusal.status) +
                    ",\"detail\":" + json_quote(refusal.detail);
  if (refusal.event) out += ",\"event\":" + std::to_string(*refusal.event);
  if (!refusal.field.empty()) out += ",\"field\":" + json_quote(refusal.field);
  return out + "}\n";
}

}  // namespace ledgerline::agent
