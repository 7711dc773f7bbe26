#include "agent/inputs/http.h"

#include <algorithm>
#include <filesystem>

#include "common/io/log.h"
#include "common/json.h"
#include "common/machine.h"

namespace ledgerline::agent {

namespace {

// A full queue empties with the next commits; a full disk needs receipts or a person.
constexpr int kRetryQueueSeconds = 1;
constexpr int kRetryEnrolledSeconds = 60;
constexpr int kRetrySpaceSeconds = 30;
constexpr std::string_view kAttributePrefix = "ce-";

enum class Format { single, batch, binary };

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

tl::unexpected<EventRefusal> refused(unsigned status, std::string field, std::string detail) {
  return tl::unexpected<EventRefusal>({.status = status,
                                       .event = std::nullopt,
                                       .field = std::move(field),
                                       .detail = std::move(detail)});
}

tl::expected<Format, EventRefusal> format_of(const io::HttpRequest& request) {
  constexpr std::string_view kTypes =
      "application/cloudevents+json (one event), application/cloudevents-batch+json (an array), or "
      "application/json with ce- headers";
  const std::string* header = request.header("content-type");
  if (header == nullptr)
    return refused(415, "Content-Type", "the header is missing; send " + std::string(kTypes));
  const std::string text = lower(*header);
  const size_t semicolon = text.find(';');
  const std::string_view type = trimmed(std::string_view(text).substr(0, semicolon));
  if (const size_t charset = text.find("charset=");
      semicolon != std::string::npos && charset != std::string::npos) {
    const std::string_view name = std::string_view(text).substr(charset + 8);
    if (!name.starts_with("utf-8") && !name.starts_with("\"utf-8\""))
      return refused(415, "Content-Type", "events are read as UTF-8 only");
  }
  if (type == "application/cloudevents+json") return Format::single;
  if (type == "application/cloudevents-batch+json") return Format::batch;
  if (type == "application/json" && request.header("ce-specversion") != nullptr)
    return Format::binary;
  return refused(415, "Content-Type",
                 "\"" + header->substr(0, 80) + "\" is not read here; send " + std::string(kTypes));
}

EventsOrRefusal events_of(const io::HttpRequest& request, const MeterIndex& meters, Monotonic now) {
  const auto format = format_of(request);
  if (!format) return tl::unexpected<EventRefusal>(format.error());
  if (*format == Format::single) return read_event(request.body, meters, now);
  if (*format == Format::batch) return read_event_batch(request.body, meters, now);
  std::vector<std::pair<std::string, std::string>> attributes;
  for (const auto& [name, value] : request.headers) {
    if (name.starts_with(kAttributePrefix))
      attributes.emplace_back(name.substr(kAttributePrefix.size()), value);
  }
  return read_binary_event(attributes, request.body, meters, now);
}

/// The recorder speaks of readings, the sender knows the event's members.
std::string field_of_event(const std::string& reading_field) {
  if (reading_field == "meter") return "type";
  if (reading_field == "value") return "data.value";
  if (reading_field == "dimensions") return "data";
  if (reading_field == "request") return "Idempotency-Key";
  return reading_field;
}

EventRefusal refusal_of(const RecordRefusal& refusal) {
  EventRefusal out{.status = 500, .event = std::nullopt, .field = "", .detail = refusal.message};
  switch (refusal.code) {
    case Errc::reject:
      out.status = 422;
      out.field = field_of_event(refusal.field);
      if (refusal.field != "request") out.event = refusal.index;
      return out;
    case Errc::retry:
      out.status = 429;
      return out;
    case Errc::full:
      out.status = 507;
      return out;
    case Errc::config:
      out.status = 503;
      return out;
    default:
      return out;
  }
}

/// [[first,last],...] in the order of the events.
std::string ranges_of(const std::vector<Seq>& seqs) {
  std::string out = "[";
  for (size_t i = 0; i < seqs.size();) {
    size_t end = i + 1;
    while (end < seqs.size() && seqs[end] == seqs[end - 1] + 1) ++end;
    if (i != 0) out += ',';
    out.append("[")
        .append(std::to_string(seqs[i]))
        .append(",")
        .append(std::to_string(seqs[end - 1]))
        .append("]");
    i = end;
  }
  return out + "]";
}

struct SeqsByStream {
  std::vector<Seq> billing;  // or of the only stream
  std::vector<Seq> diagnostic;
};

SeqsByStream seqs_by_stream(const RecordAnswer& answer) {
  if (answer.diagnostic.empty()) return {answer.seqs, {}};
  SeqsByStream out;
  for (size_t i = 0; i < answer.seqs.size(); ++i)
    (answer.diagnostic[i] != 0 ? out.diagnostic : out.billing).push_back(answer.seqs[i]);
  return out;
}

io::HttpResponse json_response(std::string body) {
  return {
      .status = 200, .content_type = "application/json", .body = std::move(body), .headers = {}};
}

class HttpInput final : public Input {
 public:
  explicit HttpInput(io::HttpServer::Options options) : options_(std::move(options)) {}

  Status start(const InputContext& context) override {
    endpoint_ = std::make_unique<EventEndpoint>(context.clock, context.recorder, context.reports,
                                                context.app_meters);
    auto opened = io::HttpServer::open(
        context.runtime.context(), options_,
        [this](const io::HttpRequest& request, io::HttpServer::Respond respond) {
          endpoint_->handle(request, std::move(respond));
        });
    if (!opened) return fail(std::move(opened).error());
    server_ = std::move(*opened);
    io::log_info("input_http_listens",
                 {io::kv("socket", options_.socket_path), io::kv("port", server_->port())});
    return {};
  }

  void stop() override {
    if (server_) server_->stop();
  }

  void append_metrics(std::string& out) const override {
    if (!server_) return;
    endpoint_->append_metrics(out);
    const auto counters = server_->counters();
    out += "# TYPE ledgerline_agent_http_bad_requests_total counter\n";
    out +=
        "ledgerline_agent_http_bad_requests_total " + std::to_string(counters.bad_requests) + "\n";
    out += "# TYPE ledgerline_agent_http_refused_connections_total counter\n";
    out += "ledgerline_agent_http_refused_connections_total " +
           std::to_string(counters.refused_connections) + "\n";
    out += "# TYPE ledgerline_agent_http_open_connections gauge\n";
    out += "ledgerline_agent_http_open_connections " + std::to_string(counters.open_connections) +
           "\n";
  }

 private:
  io::HttpServer::Options options_;
  std::unique_ptr<EventEndpoint> endpoint_;
  std::unique_ptr<io::HttpServer> server_;
};

}  // namespace

EventEndpoint::EventEndpoint(Clock& clock, RecordPort& recorder, ReportPort& reports,
                             const std::vector<MeterRow>& meters)
    : clock_(clock), recorder_(recorder), reports_(reports), meters_(meters) {}

void EventEndpoint::handle(const io::HttpRequest& request, io::HttpServer::Respond respond) {
  const bool reads = request.method == "GET" || request.method == "HEAD";
  const auto answer_get = [&](const std::function<void()>& action) {
    if (reads) return action();
    refuse({.status = 405,
            .event = std::nullopt,
            .field = "",
            .detail = request.path + " is read with GET"},
           respond);
  };
  if (request.path == "/v1/events") {
    if (request.method == "POST") return post_events(request, respond);
    return refuse(
        {.status = 405, .event = std::nullopt, .field = "", .detail = "events are sent with POST"},
        respond);
  }
  if (request.path == "/healthz")
    return answer_get([&] { respond({.status = 200, .body = "ok\n", .headers = {}}); });
  if (request.path == "/metrics") {
    return answer_get([&] {
      reports_.metrics([respond](std::string text) {
        respond({.status = 200,
                 .content_type = "text/plain; version=0.0.4; charset=utf-8",
                 .body = std::move(text),
                 .headers = {}});
      });
    });
  }
  if (request.path == "/v1/status") {
    return answer_get([&] {
      reports_.status([respond](std::string json) { respond(json_response(std::move(json))); });
    });
  }
  refuse({.status = 404,
          .event = std::nullopt,
          .field = "",
          .detail = "there are /v1/events, /v1/status, /healthz and /metrics"},
         respond);
}

void EventEndpoint::post_events(const io::HttpRequest& request,
                                const io::HttpServer::Respond& respond) {
  auto events = events_of(request, meters_, clock_.monotonic());
  if (!events) return refuse(events.error(), respond);
  if (events->empty())
    return refuse(
        {.status = 422, .event = std::nullopt, .field = "", .detail = "the batch holds no event"},
        respond);
  RecordRequest record{.items = std::move(*events), .request_key = ""};
  if (const std::string* key = request.header("idempotency-key")) {
    if (key->empty() || key->size() > kIdempotencyKeyBytesMax) {
      return refuse({.status = 422,
                     .event = std::nullopt,
                     .field = "Idempotency-Key",
                     .detail = "a request's key has 1 to " +
                               std::to_string(kIdempotencyKeyBytesMax) + " bytes"},
                    respond);
    }
    record.request_key = *key;
  }
  recorder_.record(std::move(record),
                   [this, respond](const RecordResult& result) { answer(result, respond); });
}

void EventEndpoint::refuse(const EventRefusal& refusal, const io::HttpServer::Respond& respond,
                           int retry_after_s) {
  ++(retry_after_s != 0      ? requests_pushed_back_
     : refusal.status >= 500 ? requests_failed_
                             : requests_refused_);
  io::HttpResponse response{.status = refusal.status,
                            .content_type = "application/problem+json",
                            .body = problem_json(refusal),
                            .headers = {}};
  if (retry_after_s != 0)
    response.headers.emplace_back("Retry-After", std::to_string(retry_after_s));
  if (refusal.status == 405)
    response.headers.emplace_back(
        "Allow", refusal.detail == "events are sent with POST" ? "POST" : "GET, HEAD");
  respond(std::move(response));
}

void EventEndpoint::answer(const RecordResult& result, const io::HttpServer::Respond& respond) {
  if (!result) {
    const EventRefusal refusal = refusal_of(result.error());
    const int retry = refusal.status == 429   ? kRetryQueueSeconds
                      : refusal.status == 503 ? kRetryEnrolledSeconds
                      : refusal.status == 507 ? kRetrySpaceSeconds
                                              : 0;
    return refuse(refusal, respond, retry);
  }
  const size_t repeated = result->duplicates();
  ++requests_recorded_;
  readings_ += result->seqs.size() - repeated;
  duplicates_ += repeated;
  const auto [seqs, diagnostic] = seqs_by_stream(*result);
  std::string body = "{\"stream\":\"" + result->stream.hex() + "\",\"seqs\":" + ranges_of(seqs);
  if (!diagnostic.empty()) {
    body += ",\"diagnostic_stream\":\"" + result->diagnostic_stream.hex() +
            "\",\"diagnostic_seqs\":" + ranges_of(diagnostic);
  }
  respond(json_response(body + ",\"duplicates\":" + std::to_string(repeated) +
                        ",\"readings\":" + std::to_string(result->seqs.size()) + "}\n"));
}

void EventEndpoint::append_metrics(std::string& out) const {
  out += "# TYPE ledgerline_agent_http_requests_total counter\n";
  const auto requests = [&out](std::string_view outcome, uint64_t count) {
    out.append("ledgerline_agent_http_requests_total{outcome=\"")
        .append(outcome)
        .append("\"} ")
        .append(std::to_string(count))
        .append("\n");
  };
  requests("recorded", requests_recorded_);
  requests("refused", requests_refused_);
  requests("pushed_back", requests_pushed_back_);
  requests("failed", requests_failed_);
  out +=
      "# TYPE ledgerline_agent_http_readings_total counter\nledgerline_agent_http_readings_total " +
      std::to_string(readings_) + "\n";
  out +=
      "# TYPE ledgerline_agent_http_duplicates_total "
      "counter\nledgerline_agent_http_duplicates_total " +
      std::to_string(duplicates_) + "\n";
}

Result<std::unique_ptr<Input>> prepare_http_input(TomlTable options, const std::string& folder) {
  io::HttpServer::Options server;
  if (options.has("socket")) {
    TRY(const std::string socket, options.string("socket"));
    if (!socket.empty())
      server.socket_path = (std::filesystem::path(folder) / socket).lexically_normal().string();
    if (server.socket_path.empty() || server.socket_path.size() > 107)
      return fail(options.error_at("socket", "a socket's path has 1 to 107 characters"));
  }
  if (options.has("listen")) {
    TRY(server.listen, options.string("listen"));
    const auto address = io::parse_loopback(server.listen);
    if (!address) return fail(options.error_at("listen", address.error().message()));
  }
  if (server.socket_path.empty() && server.listen.empty()) {
    return fail(options.error_at("socket",
                                 "the input needs socket = \"/run/ledgerline/agent.sock\" or "
                                 "listen = \"127.0.0.1:8787\", or both"));
  }
  TRY(const uint64_t body_max, options.size("body_max", uint64_t{1} << 20));
  const auto held = to_size(body_max);  // a body lies in memory as a whole
  if (!held) return fail(options.error_at("body_max", held.error().text()));
  server.body_max = *held;
  if (server.body_max < 1024 || server.body_max > (16 << 20))
    return fail(options.error_at("body_max", "between 1KiB and 16MiB"));
  TRY_VOID(options.finish());
  return std::make_unique<HttpInput>(std::move(server));
}

}  // namespace ledgerline::agent
