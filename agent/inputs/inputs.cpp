#include "agent/inputs/inputs.h"

#include <array>

#include "agent/inputs/host.h"
#include "agent/inputs/http.h"

namespace ledgerline::agent {

std::span<const InputKind> input_kinds() {
  static constexpr std::array kKinds = {
      InputKind{"http", prepare_http_input},
      InputKind{"host", prepare_host_input},
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
