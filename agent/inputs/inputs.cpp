#include "agent/inputs/inputs.h"

#include <array>

#include "agent/inputs/file.h"
#include "agent/inputs/host.h"
#include "agent/inputs/http.h"
#include "agent/inputs/prometheus.h"
#include "agent/inputs/statsd.h"

namespace ledgerline::agent {

namespace {

/// For an input that there is once.
template <auto prepare>
Result<std::unique_ptr<Input>> once(InputOptions options) {
  if (options.tables.empty()) return fail(Errc::config, "the input's list of tables is empty");
  if (options.tables.size() > 1)
    return fail(options.tables[1].error_at("", "there is one input of this name only"));
  return prepare(std::move(options.tables.front()), options.folder);
}

}  // namespace

std::span<const InputKind> input_kinds() {
  static constexpr std::array kKinds = {
      InputKind{"http", once<prepare_http_input>},
      InputKind{"host", once<prepare_host_input>},
      InputKind{"file", prepare_file_input},
      InputKind{"statsd", prepare_statsd_input},
      InputKind{"prometheus", prepare_prometheus_input},
  };
  return kKinds;
}

const InputKind* find_input_kind(std::string_view name) {
  for (const InputKind& kind : input_kinds()) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

}  // namespace ledgerline::agent
