#include "agent/ops/commands.h"

#include <array>

#include "agent/journal/journal.h"
#include "agent/ops/enrolment.h"
#include "agent/ops/report.h"
#include "common/exit_code.h"
#include "common/io/http_server.h"
#include "common/io/system.h"
#include "common/printable.h"

namespace ledgerline::agent {

namespace {

constexpr Duration kPatience{10'000};  // with our own agent; a commit takes milliseconds
constexpr size_t kAnswerSizeMax = 256 << 10;

struct Readiness {
  bool keys = false;
  std::optional<Enrolled> enrolled;
  std::optional<JournalStatus> journal;
};

/// What is missing is no error here; what is there and wrong is one.
Result<Readiness> readiness_of(const AgentConfig& config) {
  Readiness out;
  const auto keys = load_keys(config);
  if (!keys && keys.error().code() != Errc::not_found) return fail(keys.error());
  out.keys = keys.has_value();
  if (keys) {
    auto enrolled = load_enrolment(config, *keys);
    if (!enrolled && enrolled.error().code() != Errc::not_found) return fail(enrolled.error());
    if (enrolled) out.enrolled = std::move(*enrolled);
  }
  auto journal = Journal::read_status(journal_options(config, StreamClass::billing));
  if (!journal && journal.error().code() != Errc::not_found) return fail(journal.error());
  if (journal) out.journal = std::move(*journal);
  if (out.enrolled && out.journal && out.journal->enrolled &&
      out.journal->grant.stream != out.enrolled->grant.stream) {
    return fail(Error(Errc::config,
                      "the journal belongs to another stream than the enrolment; install the "
                      "enrolment again with --replace")
                    .with("journal", out.journal->grant.stream.hex())
                    .with("enrolment", out.enrolled->grant.stream.hex()));
  }
  return out;
}

std::string check_text(const AgentConfig& config, const Readiness& ready) {
  std::string inputs;
  for (const auto& [name, table] : config.inputs) inputs += (inputs.empty() ? "" : ", ") + name;
  std::string out = "configuration is in order: " + config.file + "\n";
  out +=
      "  device     " + config.tenant + "/" + config.device + ", state in " + config.state + "\n";
  out += "  inputs     " +
         (inputs.empty() ? std::string("none: nothing would be metered") : inputs) + "; " +
         std::to_string(config.meters.size()) + " meters for apps\n";
  out += "  broker     " + config.broker_host + ":" + std::to_string(config.broker_port) + "\n";
  if (ready.enrolled) {
    out += "  enrolled   stream " + ready.enrolled->grant.stream.hex() + ", collector key " +
           ready.enrolled->collector_key.id().hex() + "\n";
  } else {
    out += std::string("  enrolled   no") + (ready.keys ? "" : ", and there are no keys yet") +
           ": run ledgerline-agent enroll --config " + config.file + "\n";
  }
  if (ready.enrolled && !config.diagnostic_meters.empty()) {
    out += "  diagnostic " +
           (ready.enrolled->diagnostic ? "stream " + ready.enrolled->diagnostic->grant.stream.hex()
                                       : "no stream yet: run ledgerline-agent enroll --config " +
                                             config.file + "; billing goes on as it is") +
           "\n";
  }
  if (const auto end = clock_end()) {
    out += "  clock      ends on " + to_rfc3339(*end) +
           ": from then on this 32-bit system has no time, readings wait unsealed and no broker's "
           "certificate is accepted. Move to a 64-bit system before\n";
  }
  if (ready.journal) {
    out += "  journal    next seq " + std::to_string(ready.journal->next_seq) + ", newest batch " +
           std::to_string(ready.journal->head_batch) + ", receipted up to " +
           std::to_string(ready.journal->acked_upto) + "\n";
  } else {
    out += "  journal    will be made\n";
  }
  return out;
}

Json check_json(const AgentConfig& config, const Readiness& ready) {
  Json inputs = Json::array();
  for (const auto& [name, table] : config.inputs) inputs.push(Json::string(name));
  const auto clock = clock_end();
  return Json::object({{"ok", Json::boolean(true)},
                       {"clock_end", clock ? Json::string(to_rfc3339(*clock)) : Json()},
                       {"tenant", Json::string(config.tenant)},
                       {"device", Json::string(config.device)},
                       {"inputs", std::move(inputs)},
                       {"app_meters", Json::number(std::to_string(config.meters.size()))},
                       {"keys", Json::boolean(ready.keys)},
                       {"enrolled", Json::boolean(ready.enrolled.has_value())},
                       {"journal", Json::boolean(ready.journal.has_value())}});
}

/// The running agent's own words, or Errc::not_found where none answers.
Result<Json> ask_agent(const AgentConfig& config) {
  if (config.local_address.empty()) return fail(Errc::not_found, "the agent has no http input");
  TRY(const auto response,
      io::call_local(
          config.local_address,
          {.method = "GET", .path = "/v1/status", .query = "", .headers = {}, .body = ""},
          kPatience));
  if (response.status != 200)
    return fail(Errc::retry,
                "the agent answered " + std::to_string(response.status) + ": " + response.body);
  return parse_json(response.body);
}

Result<int> write_request(const AgentConfig& config, const CommandLine& options, Clock& clock,
                          std::ostream& out) {
  TRY(auto keys, load_or_make_keys(config));
  TRY(const std::string request, make_request(config, keys, clock.now(), options.reason));
  const std::string path =
      options.out.empty() ? config.state + "/enrolment-request.pem" : options.out;
  if (const auto written = io::write_file_durably(path, request, 0644); !written) {
    out << written.error().text() << "\n";
    return kExitCantCreate;
  }
  if (options.json) {
    out << Json::object({{"request", Json::string(path)},
                         {"key_id", Json::string(keys.signer->public_key().id().hex())}})
               .dump()
        << "\n";
    return 0;
  }
  out << "request written: " << path << "\n"
      << "next, on the collector:  ledgerline-collector enroll " << path << " --out enrolment.pem\n"
      << "then, here:              ledgerline-agent enroll --config " << config.file
      << " --answer enrolment.pem\n";
  return 0;
}

Result<int> install(const AgentConfig& config, const CommandLine& options, std::ostream& out) {
  TRY(const std::string pem, io::read_file(options.answer, kAnswerSizeMax));
  auto keys = load_keys(config);
  if (!keys && keys.error().code() == Errc::not_found) {
    return fail(Error(Errc::not_found,
                      "there are no keys yet; write a request first: ledgerline-agent enroll")
                    .with("folder", config.keys_folder()));
  }
  if (!keys) return fail(keys.error());
  TRY(const Enrolled enrolled, install_answer(pem, config, *keys, {.replace = options.replace}));
  const std::string stream = enrolled.grant.stream.hex();
  const std::string collector = enrolled.collector_key.id().hex();
  if (options.json) {
    out << Json::object(
               {{"stream", Json::string(stream)}, {"collector_key", Json::string(collector)}})
               .dump()
        << "\n";
  } else {
    out << "enrolled: stream " << stream << "\n  the collector's key is pinned: " << collector
        << "\n";
  }
  return 0;
}

int exit_code_of_answer(unsigned http_status) {
  if (http_status == 200) return 0;
  if (http_status == 429 || http_status == 503 || http_status == 507) return kExitTempFail;
  return http_status >= 500 ? kExitSoftware : kExitData;
}

/// "recorded: stream ab.. seq 41"
std::string recorded_text(const Json& answer) {
  const Json* stream = answer.find("stream");
  const Json* seqs = answer.find("seqs");
  const Json* duplicates = answer.find("duplicates");
  if (stream == nullptr || seqs == nullptr || seqs->items().empty() ||
      seqs->items()[0].items().empty())
    return answer.dump() + "\n";
  const bool repeated = duplicates != nullptr && duplicates->text() != "0";
  return (repeated ? "recorded before: stream " : "recorded: stream ") + stream->text() + " seq " +
         seqs->items()[0].items()[0].text() + "\n";
}

}  // namespace

Result<int> check(const AgentConfig& config, const CommandLine& options, std::ostream& out) {
  TRY(const Readiness ready, readiness_of(config));
  if (options.json) {
    out << check_json(config, ready).dump() << "\n";
  } else {
    out << check_text(config, ready);
  }
  return 0;
}

Result<int> status(const AgentConfig& config, const CommandLine& options, std::ostream& out) {
  auto report = ask_agent(config);
  if (!report) {
    if (report.error().code() != Errc::not_found) return fail(report.error());
    auto journal = Journal::read_status(journal_options(config, StreamClass::billing));
    if (!journal && journal.error().code() == Errc::not_found) {
      out << "no agent answers, and there is no journal yet in " << config.journal_folder() << "\n";
      return kExitUnavailable;
    }
    if (!journal) return fail(journal.error());
    auto other = Journal::read_status(journal_options(config, StreamClass::diagnostic));
    if (!other && other.error().code() != Errc::not_found) return fail(other.error());
    std::optional<DiagnosticReport> diagnostic;
    if (other) diagnostic = {.journal = std::move(*other), .live = std::nullopt};
    report = status_report(config, *journal, std::nullopt, diagnostic);
  }
  out << (options.json ? report->dump() + "\n" : status_text(*report));
  return 0;
}

Result<int> enroll(const AgentConfig& config, const CommandLine& options, Clock& clock,
                   std::ostream& out) {
  return options.answer.empty() ? write_request(config, options, clock, out)
                                : install(config, options, out);
}

Result<std::string> event_of(const CommandLine& options, const std::string& id) {
  Json data = Json::object({{"value", Json::string(options.value)}});
  for (const std::string& dimension : options.dimensions) {
    const size_t equals = dimension.find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail(
          Error(Errc::reject, "a dimension is given as name=value").with("dimension", dimension));
    }
    const std::string name = dimension.substr(0, equals);
    if (data.find(name) != nullptr || name == "unit")
      return fail(Error(Errc::reject, "this dimension cannot be given").with("dimension", name));
    data.set(name, Json::string(dimension.substr(equals + 1)));
  }
  Json event = Json::object({{"specversion", Json::string("1.0")},
                             {"type", Json::string(options.meter)},
                             {"source", Json::string("ledgerline-agent/record")},
                             {"id", Json::string(id)}});
  if (!options.subject.empty()) event.set("subject", Json::string(options.subject));
  if (!options.time.empty()) event.set("time", Json::string(options.time));
  event.set("data", std::move(data));
  return event.dump();
}

Result<int> record(const AgentConfig& config, const CommandLine& options, std::ostream& out) {
  if (config.local_address.empty()) {
    return fail(Error(Errc::config,
                      "recording by command needs [input.http] with a socket or a listen address")
                    .with("file", config.file));
  }
  std::array<uint8_t, 16> random{};
  random_bytes(random);
  TRY(const std::string event, event_of(options, options.id.empty() ? to_hex(random) : options.id));
  const auto response =
      io::call_local(config.local_address,
                     {.method = "POST",
                      .path = "/v1/events",
                      .query = "",
                      .headers = {{"Content-Type", "application/cloudevents+json"}},
                      .body = event},
                     kPatience);
  if (!response && response.error().code() == Errc::not_found) {
    out << "no agent answers: " << response.error().text() << "\n";
    return kExitUnavailable;
  }
  if (!response) return fail(response.error());
  const auto answer = parse_json(response->body);
  if (options.json || !answer) {
    out << response->body;
  } else if (response->status == 200) {
    out << recorded_text(*answer);
  } else {
    const Json* detail = answer->find("detail");
    const Json* field = answer->find("field");
    out << "not recorded: " << (field == nullptr ? "" : printable(field->text()) + ": ")
        << printable(detail == nullptr ? response->body : detail->text()) << "\n";
  }
  return exit_code_of_answer(response->status);
}

}  // namespace ledgerline::agent
