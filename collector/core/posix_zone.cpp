#include "collector/core/posix_zone.h"

#define USE_OS_TZDB 1
#define ONLY_C_LOCALE 1
#define HAS_STRING_VIEW 1
#include <date/ptz.h>

namespace ledgerline::collector {

namespace {

PosixZone::Stretch stretch(const date::sys_info& info) {
  return {info.begin.time_since_epoch().count(), info.offset.count()};
}

}  // namespace

struct PosixZone::Impl {
  Posix::time_zone zone;
};

PosixZone::PosixZone(const std::string& text) : impl_(new Impl{Posix::time_zone(text)}) {}
PosixZone::~PosixZone() = default;

PosixZone::Stretch PosixZone::at(int64_t instant) const {
  return stretch(impl_->zone.get_info(date::sys_seconds(std::chrono::seconds(instant))));
}

PosixZone::Local PosixZone::at_local(int64_t time) const {
  const auto info = impl_->zone.get_info(date::local_seconds(std::chrono::seconds(time)));
  return {info.result == date::local_info::nonexistent, stretch(info.first), stretch(info.second)};
}

}  // namespace ledgerline::collector
