#pragma once
// Input `file`: follows files that other programs write and meters their lines, each once, over
// rotation, truncation and restarts. One [[input.file]] is one followed file.

#include <memory>

#include "agent/inputs/inputs.h"

namespace ledgerline::agent {

Result<std::unique_ptr<Input>> prepare_file_input(InputOptions options);

}  // namespace ledgerline::agent
