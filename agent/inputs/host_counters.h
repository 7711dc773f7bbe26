#pragma once
// Linux's /proc texts become readings. Pure; integers throughout, no floating point.
//
// CPU: the time processors worked (user, nice, system, irq, softirq), in hundredths of a second.
// Disks: whole disks only; partitions and devices that are made of other disks (dm, md) would count
// the same bytes twice. Network: every interface but lo and the host's ends of container links,
// whose bytes pass a bridge or a physical interface again.

#include <string>
#include <vector>

#include "agent/core/recorder.h"

namespace ledgerline::agent {

/// The meters of input `host`, in the order of HostMeter. Numbers are given later.
enum class HostMeter : size_t {
  cpu_seconds,
  disk_read,
  disk_written,
  net_received,
  net_sent,
  memory_used,
  load1
};
std::vector<MeterRow> host_meters();

struct HostTexts {
  std::string stat;
  std::string diskstats;
  std::string net_dev;
  std::string meminfo;
  std::string loadavg;
};

struct HostOptions {
  int64_t ticks_per_second = 100;  // USER_HZ
  Monotonic now;
};

/// `meters` are host_meters() with their numbers. Errc::reject names the file whose text is not as
/// Linux writes it.
Result<std::vector<RecordItem>> read_host_counters(const HostTexts& texts,
                                                   const std::vector<MeterRow>& meters,
                                                   const HostOptions& options);

}  // namespace ledgerline::agent
