#include "collector/api/state_names.h"

namespace ledgerline::collector {

std::string_view name_of(DocumentState state) {
  switch (state) {
    case DocumentState::waiting_approval:
      return "waiting_approval";
    case DocumentState::approved:
      return "approved";
    case DocumentState::confirmed:
      return "confirmed";
    case DocumentState::refused:
      return "refused";
    case DocumentState::closed:
      return "closed";
  }
  return "unknown";
}

std::string_view name_of(DeliveryState state) {
  switch (state) {
    case DeliveryState::pending:
      return "pending";
    case DeliveryState::in_flight:
      return "in_flight";
    case DeliveryState::retry:
      return "retry";
    case DeliveryState::unknown:
      return "unknown";
    case DeliveryState::confirmed:
      return "confirmed";
    case DeliveryState::rejected:
      return "rejected";
    case DeliveryState::conflict:
      return "conflict";
    case DeliveryState::held:
      return "held";
  }
  return "unknown";
}

}  // namespace ledgerline::collector
