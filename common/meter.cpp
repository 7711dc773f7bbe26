#include "common/meter.h"

namespace ledgerline {

std::string_view to_string(MeterKind kind) {
  switch (kind) {
    case MeterKind::register_:
      return "register";
    case MeterKind::delta:
      return "delta";
    case MeterKind::gauge:
      return "gauge";
    case MeterKind::event:
      return "event";
  }
  return "unknown";
}

Result<MeterKind> parse_meter_kind(std::string_view text) {
  for (const MeterKind kind :
       {MeterKind::register_, MeterKind::delta, MeterKind::gauge, MeterKind::event}) {
    if (text == to_string(kind)) return kind;
  }
  return fail(Error(Errc::reject, "a meter kind is one of register, delta, gauge, event")
                  .with("value", std::string(text)));
}

std::string_view to_string(StreamClass stream_class) {
  return stream_class == StreamClass::billing ? "billing" : "diagnostic";
}

}  // namespace ledgerline
