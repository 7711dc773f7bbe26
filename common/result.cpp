#include "common/result.h"

namespace ledgerline {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::retry:
      return "retry";
    case Errc::reject:
      return "reject";
    case Errc::corrupt:
      return "corrupt";
    case Errc::config:
      return "config";
    case Errc::not_found:
      return "not found";
    case Errc::conflict:
      return "conflict";
    case Errc::full:
      return "full";
    case Errc::internal:
      return "internal";
  }
  return "unknown";
}

std::string Error::text() const {
  if (fields_.empty()) return message_;
  std::string out = message_ + " (";
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (i != 0) out += ", ";
    out += fields_[i].first + "=" + fields_[i].second;
  }
  return out + ")";
}

}  // namespace ledgerline
