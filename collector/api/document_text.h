#pragma once
// A document's body for a person at a terminal: what matters of its kind, as tables and lines.

#include <ostream>

#include "common/json.h"

namespace ledgerline::collector {

/// Bodies of billing summaries, maintenance orders, account updates and opportunities; of another
/// kind nothing.
void print_body(const Json& body, std::ostream& out);

/// The text or digits of a member, "-" where it is null or absent.
std::string text_of(const Json& object, std::string_view name);

}  // namespace ledgerline::collector
