// Hidden: test-common "[.sizes]" prints what a reading takes sealed, in one section and by subject.

#include <catch2/catch.hpp>
#include <iostream>
#include <random>

#include "common/envelope.h"

using namespace ledgerline;

namespace {

const MeterRows kMeters = {{1, {.number = 1, .name = "api.requests", .unit = "1"}},
                           {2, {.number = 2, .name = "data.volume", .unit = "GB", .scale = 6}}};

/// Calls of `subjects` clients at random, 50 a second: a request and its volume each.
Columns calls(size_t readings, int64_t subjects) {
  std::mt19937 random(1);
  const auto upto = [&](int64_t most) {
    return std::uniform_int_distribution<int64_t>(0, most)(random);
  };
  ColumnsBuilder builder(1'000'000);
  for (size_t i = 0; i < readings; ++i) {
    builder.add({.meter = i % 2 == 0 ? 1U : 2U,
                 .subject = "client-" + std::to_string(upto(subjects - 1)),
                 .time_ms = 1'800'000'000'000 + static_cast<int64_t>(i) * 10 + upto(5),
                 .value = i % 2 == 0 ? 1 : upto(100'000)});
  }
  return builder.take();
}

}  // namespace

TEST_CASE("sealed bytes per reading", "[.sizes]") {
  const auto signer = *signer_from_pem(*generate_private_key_pem(KeyAlgorithm::ed25519));
  for (const size_t readings : {size_t{50}, size_t{250}, size_t{1000}}) {
    for (const int64_t subjects : {1, 20}) {
      std::cout << readings << " readings of " << subjects << " subjects:";
      for (const Sections sections : {Sections::one, Sections::by_subject}) {
        Bytes random(salt_size(sections));
        random_bytes(random);
        const SealOptions options{.stream = {},
                                  .number = 1000,
                                  .previous = {},
                                  .totals = {{1, 1'000'000}, {2, Int128(50'000'000'000)}},
                                  .meter_table = 1,
                                  .sections = sections};
        const auto sealed = seal(calls(readings, subjects), kMeters, options, random, *signer);
        REQUIRE(sealed);
        const auto tenths = sealed->bytes.size() * 10 / readings;
        std::cout << (sections == Sections::one ? " one section " : ", by subject ")
                  << sealed->bytes.size() << " bytes (" << tenths / 10 << "." << tenths % 10
                  << " per reading)";
      }
      std::cout << "\n";
    }
  }
}
