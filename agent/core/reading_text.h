#pragma once
// What inputs that map fields to readings refuse of a text. Pure.

#include <string>
#include <string_view>

#include "agent/core/recorder.h"

namespace ledgerline::agent {

bool has_control(std::string_view text);
/// In quotes, its first 80 bytes: for a reason that a person reads.
std::string in_quotes(std::string_view text);
/// Errc::reject where the subject is empty or a text holds a control character.
Status check_subject(std::string_view text);
Status check_dimension(std::string_view name, std::string_view value);
/// Errc::reject where subject and dimensions are longer than a reading takes.
Status check_text_size(const RecordItem& item);

}  // namespace ledgerline::agent
