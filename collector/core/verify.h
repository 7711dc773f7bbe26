#pragma once
// Checks an evidence bundle with public keys alone: no store, no network, no clock. What it says is
// for a person: each step in plain words, the first that fails, and what is not proven. Pure.

#include <map>
#include <string>
#include <vector>

#include "common/checkpoint.h"
#include "common/crypto.h"

namespace ledgerline::collector {

/// Whom the reader trusts to have signed, got by another way than the bundle.
struct VerifyKeys {
  std::vector<PublicKey> collectors;
  std::map<std::string, std::vector<PublicKey>> operators;  // by name
  std::map<std::string, std::vector<PublicKey>> devices;    // by "tenant.device"
  std::vector<Witness> witnesses;
};

struct VerifyReport {
  /// Steps that hold, in order.
  std::vector<std::string> proven;
  /// The first that does not, naming the part; empty: the bundle proves what it was asked.
  std::string failure;
  /// Parts of batches that belong to others.
  std::vector<std::string> withheld;
  std::vector<std::string> not_proven;

  [[nodiscard]] bool holds() const { return failure.empty(); }
};

VerifyReport verify_bundle(ByteView bytes, const VerifyKeys& keys);

}  // namespace ledgerline::collector
