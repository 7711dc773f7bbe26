// F9: JSON, TOML, decimals and times. What a decimal reads it writes again; what JSON reads it
// reads again the same.

#include <cstdlib>

#include "common/decimal.h"
#include "common/json.h"
#include "common/time.h"
#include "common/toml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ledgerline;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto number = Decimal::parse(text)) {
    const auto again = Decimal::parse(number->text());
    if (!again || !(*again == *number)) std::abort();
  }
  if (const auto json = parse_json(text)) {
    const auto again = parse_json(json->dump());
    if (!again || !(*again == *json)) std::abort();
  }
  (void)parse_rfc3339(text);
  (void)TomlTable::parse(text, "fuzz.toml");
  return 0;
}
