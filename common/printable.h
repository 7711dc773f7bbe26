#pragma once
// What a terminal or a log line may show of text that came from outside.

#include <string>
#include <string_view>

namespace ledgerline {

/// Control characters (C0, DEL, C1), line separators and the marks that turn the direction of text
/// around become escapes such as \n or \u202e, bytes that are no UTF-8 become \x9b. All else,
/// backslashes too, stays as it is.
std::string printable(std::string_view text);
/// The same for text of several lines: its line breaks stay.
std::string printable_lines(std::string_view text);

}  // namespace ledgerline
