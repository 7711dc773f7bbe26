#include "collector/store/log_standing.h"

namespace ledgerline::collector {

Result<uint32_t> epoch_in_force(Store& store) {
  const auto origin = store.log_origin();
  if (origin) return origin->epoch;
  if (origin.error().code() == Errc::not_found) return 0;
  return fail(origin.error());
}

Result<bool> rating_halted(Store& store) {
  TRY(const uint32_t epoch, epoch_in_force(store));
  TRY(const RecoveryMode mode, store.recovery_mode());
  return epoch > mode.resumed_epoch;
}

}  // namespace ledgerline::collector
