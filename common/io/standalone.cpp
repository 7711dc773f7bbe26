#include "common/io/standalone.h"

#ifdef LEDGERLINE_STATIC
#include <nss.h>
#include <openssl/crypto.h>

#include "common/check.h"
#endif

namespace ledgerline::io {

#ifdef LEDGERLINE_STATIC
void stand_alone() {
  CHECK_INVARIANT(OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr) == 1);
  CHECK_INVARIANT(__nss_configure_lookup("hosts", "files dns") == 0);
}
#else
void stand_alone() {}
#endif

}  // namespace ledgerline::io
