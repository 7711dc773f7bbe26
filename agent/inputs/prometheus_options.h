#pragma once
// [[input.prometheus]] of the configuration.

#include "agent/core/prometheus_scrape.h"
#include "agent/inputs/inputs.h"
#include "common/io/http_client.h"

namespace ledgerline::agent {

struct PrometheusOptions {
  std::string url;
  io::HttpUrl parsed_url;
  std::string ca_file;  // empty: the system's authorities
  Duration interval{10'000};
  std::vector<PrometheusRule> rules;
};

/// Errc::config names the place in the configuration.
Result<PrometheusOptions> read_prometheus_options(TomlTable& table, const std::string& folder,
                                                  const std::vector<MeterRow>& meters);

}  // namespace ledgerline::agent
