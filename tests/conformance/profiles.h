#pragma once
// The profiles under test. A new one is its face (tests/support/fault_erp) and one entry in
// profiles.cpp.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "collector/connectors/engine.h"
#include "tests/support/fault_erp/fault_server.h"

namespace ledgerline::conformance {

/// One kind of document, and what a profile asks of the system for it.
struct Kind {
  std::string name;    // "billing-summary"
  std::string create;  // the operation that makes it there, as FaultServer::queue names it
  std::string read;    // that reads it, to find it and to read it back; empty: there is none
  Json (*document)(const std::string& id);
  int reads_before = 1;  // reading it back: to find it, or other things by the same operation
};

struct Profile {
  std::string name;
  std::function<std::unique_ptr<testing::FaultServer>()> system;
  std::function<collector::EngineOptions(const std::string& url)> options;
  std::vector<Kind> kinds;
  /// The system refuses a second document with our id, of every kind. Where it would take it, a
  /// document that was lost is held for a person instead of sent again.
  bool unique_ref = true;
};

const std::vector<Profile>& profiles();

}  // namespace ledgerline::conformance
