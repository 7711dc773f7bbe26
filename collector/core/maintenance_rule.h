#pragma once
// What the catalog says about assets and when they need service. A rule is for one model of asset;
// its conditions are about meters that links tie to the asset. Pure data.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/columns.h"
#include "common/decimal.h"
#include "common/time.h"

namespace ledgerline::collector {

struct Asset {
  std::string name;
  std::string model;
  std::string site;      // where field service goes; may be empty
  std::string account;   // whose it is; may be empty
  std::string external;  // the external system's code; empty: the name
  /// Calendar and run-hours count from here; nothing: from its first reading.
  std::optional<Timestamp> in_service_from;
};

/// A span of time that ends with the step that is looked at.
enum class WindowValue {
  mean,
  min,
  max,
  last,
  sum,    // of a register: its consumption; of an event: how often
  count,  // readings
  trend,  // where a straight line through the window's steps will be `ahead` later
};

struct Condition {
  enum class Source {
    window,
    since_service,  // what the meter summed up since the last service, such as run-hours
    calendar,       // time since the last service
  };
  enum class Side { above, below };

  Source source = Source::window;
  std::string meter;   // empty for the calendar
  DimensionSet where;  // dimensions that a series must have, ascending by name; it may have more
  WindowValue value = WindowValue::mean;
  Duration window{};
  Duration ahead{};  // trend
  Side side = Side::above;
  Decimal limit;  // of the calendar: days
  /// Hysteresis: once met, it stays met until the value has come back past this.
  Decimal clear;
  size_t steps_min = 1;  // steps with readings in the window before it can be met
};

struct Part {
  std::string product;  // the external system's code
  Decimal quantity;
};

/// At most one open order for each asset.
struct MaintenanceRule {
  std::string name;
  std::string description;  // for field service
  std::string model;
  std::string connector;
  std::string priority;
  Duration step{};       // how often it is looked at; whole quarter hours
  Duration due{};        // after the order opened
  Duration effort{};     // expected work
  Duration cool_down{};  // after a service, before the next order
  Duration update{};     // an open order is written again at most this often while it is still met
  size_t needed = 1;     // how many conditions must be met
  std::vector<Condition> conditions;
  std::vector<Part> parts;
};

std::string_view to_string(WindowValue value);

}  // namespace ledgerline::collector
