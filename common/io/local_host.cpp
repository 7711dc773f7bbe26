#include "common/io/local_host.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cctype>
#include <string>

namespace ledgerline::io {

bool names_this_machine(std::string_view authority, uint16_t port) {
  const size_t bracket = authority.starts_with('[') ? authority.find(']') : 0;
  if (bracket == std::string_view::npos) return false;
  const size_t colon = authority.find(':', bracket);
  if (colon != std::string_view::npos && authority.substr(colon + 1) != std::to_string(port))
    return false;
  std::string host(authority.substr(0, colon));
  std::transform(host.begin(), host.end(), host.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (host == "localhost") return true;
  if (bracket != 0) {
    if (!host.ends_with(']')) return false;
    host = host.substr(1, host.size() - 2);
  }
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(host, error);
  return !error && address.is_loopback();
}

}  // namespace ledgerline::io
