// F10: what programs write and send: lines of a followed file, statsd datagrams, Prometheus text.
// A sample that is read is read again the same without what stands around it.

#include <cstdlib>

#include "agent/core/line_formats.h"
#include "agent/core/prometheus_scrape.h"
#include "agent/core/statsd_meter.h"

namespace {

using namespace ledgerline;
using namespace ledgerline::agent;

const std::vector<MeterRow> kMeters = {
    {.number = 1, .name = "sum", .unit = "1", .scale = 3},
    {.number = 2, .name = "level", .unit = "1", .scale = 3, .kind = MeterKind::gauge},
    {.number = 3, .name = "raw", .unit = "1", .scale = 3, .kind = MeterKind::register_},
};

void fuzz_file_lines(std::string_view text) {
  std::vector<std::string> fields;
  for (const LineFormat format : {LineFormat::combined, LineFormat::json, LineFormat::columns}) {
    LineParser parser({.format = format}, format == LineFormat::combined
                                              ? std::vector<std::string>{"time", "client"}
                                              : std::vector<std::string>{"1", "2"});
    (void)parser.parse(text, fields);
  }
}

void fuzz_statsd(std::string_view text) {
  const SeriesRule tagged{.subject = TextOrLabel{.label = "s", .text = ""}, .dimensions = {}};
  StatsdMeter meter({{.name = "c", .prefix = true, .meter = "sum", .series = tagged},
                     {.name = "c", .type = StatsdType::gauge, .meter = "level", .series = {}},
                     {.name = "t", .type = StatsdType::timer, .meter = "sum", .series = {}}},
                    kMeters, {});
  meter.take(text, false);
  meter.buffer().close({});
  const StatsdWindow* part = meter.buffer().take();
  if (part == nullptr) return;
  for (const RecordItem& item : part->readings()) {
    if (item.reading.meter == 1 && item.reading.value < 0) std::abort();
  }
}

void fuzz_prometheus(std::string_view text) {
  if (const auto sample = parse_prometheus_sample(text)) {
    const std::string plain = std::string(sample->name) + " " + std::string(sample->value);
    const auto again = parse_prometheus_sample(plain);
    if (!again || again->value != sample->value) std::abort();
    (void)cut_value(sample->value, 6);
    (void)rounded_value(sample->value, 6);
  }
  const PrometheusReader reader(
      {{.name = "c", .where = {}, .ignore = {}, .meter = "raw", .series = {}},
       {.name = "g", .where = {{"a", "1"}}, .ignore = {"b"}, .meter = "level", .series = {}}},
      kMeters);
  (void)reader.read(text, {});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  fuzz_file_lines(text);
  fuzz_statsd(text);
  fuzz_prometheus(text);
  return 0;
}
