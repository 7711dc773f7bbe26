#include "agent/inputs/boot_id.h"

#include "common/io/system.h"

namespace ledgerline::agent {

Result<std::string> read_boot_id(const std::string& proc) {
  TRY(const std::string text, io::read_file(proc + "/sys/kernel/random/boot_id"));
  std::string id = text.substr(0, text.find('\n'));
  if (id.empty() || id.size() > kBootIdMax) return fail(Errc::config, "the boot id is none");
  return id;
}

}  // namespace ledgerline::agent
