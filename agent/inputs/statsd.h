#pragma once
// Input `statsd`: adds up what programs send over UDP or a Unix datagram socket and records one
// reading per series and interval. Nobody answers a sender, so what is not recorded yet is gone
// when the process is killed: an interval at most. A clean stop records it.

#include <memory>

#include "agent/inputs/inputs.h"

namespace ledgerline::agent {

Result<std::unique_ptr<Input>> prepare_statsd_input(InputOptions options);

}  // namespace ledgerline::agent
