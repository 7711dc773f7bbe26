#pragma once
// The words of states, as every command shows them.

#include <string_view>

#include "collector/core/records.h"

namespace ledgerline::collector {

std::string_view name_of(DocumentState state);
std::string_view name_of(DeliveryState state);

}  // namespace ledgerline::collector
