#pragma once
// What a status report says of the inputs, in words. Pure.

#include <string>
#include <string_view>

#include "common/json.h"

namespace ledgerline::agent {

/// A member's text for a terminal, or nothing: a broker, a collector or a sender may have written
/// it.
std::string text_at(const Json& report, std::string_view name);

/// Lines of `status`; `inputs` holds what each kind of input says of itself, by its name.
std::string inputs_text(const Json& inputs);

}  // namespace ledgerline::agent
