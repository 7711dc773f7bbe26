#include "collector/core/currency.h"

#include <array>

namespace ledgerline::collector {

namespace {

// ISO 4217 list one, by exponent; the codes of each line are three letters and a space.
struct Group {
  int exponent;
  std::string_view codes;
};
constexpr std::array kGroups = {
    Group{0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF "},
    Group{
        2,
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN "
        "BZD CAD CDF CHF CNY COP "
        "CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
        "HTG HUF IDR ILS INR IRR "
        "JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR "
        "MWK MXN MYR MZN NAD NGN "
        "NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE "
        "SOS SRD SSP STN SVC SYP "
        "SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG "},
    Group{3, "BHD IQD JOD KWD LYD OMR TND "},
    Group{4, "CLF UYW "},
};

}  // namespace

std::optional<int> currency_exponent(std::string_view code) {
  if (code.size() != 3) return std::nullopt;
  for (const Group& group : kGroups) {
    for (size_t at = 0; at < group.codes.size(); at += 4) {
      if (group.codes.substr(at, 3) == code) return group.exponent;
    }
  }
  return std::nullopt;
}

std::vector<std::string> currency_codes() {
  std::vector<std::string> out;
  for (const Group& group : kGroups) {
    for (size_t at = 0; at < group.codes.size(); at += 4)
      out.emplace_back(group.codes.substr(at, 3));
  }
  return out;
}

}  // namespace ledgerline::collector
