#pragma once
// What who holds the collector's key might try: each is sealed again, and must be refused by name.

#include "tests/unit/collector/fold/bundle_world.h"

namespace ledgerline::collector {

struct Forgery {
  std::string what;
  std::vector<std::string> refused_with;  // all of them
  std::function<Bytes(Proven&)> make;     // from a world that has billed
};

inline Bytes with_entry(Proven& world, const std::string& old_text, const std::string& new_text) {
  Bundle forged = world.opened();
  bool found = false;
  for (BundleEntry& one : forged.entries) {
    if (one.entry.text.find(old_text) == std::string::npos) continue;
    one.entry.text = with(one.entry.text, old_text, new_text);
    found = true;
  }
  REQUIRE(found);
  return world.sealed_again(forged);
}

inline Bytes with_catalog_by(Proven& world, const std::string& by) {
  Bundle forged = world.opened();
  for (BundleStatement& one : forged.statements) {
    if (one.kind != LeafKind::catalog_version) continue;
    const auto open = open_statement(one.kind, one.signed_bytes).value();
    auto version = CatalogVersion::parse(open.json).value();
    version.by = by;
    version.reason = "forged";
    one.signed_bytes = sign_statement(one.kind, version.json(), world.collector()).value().bytes;
  }
  return world.sealed_again(forged);
}

/// Ends the stream one batch earlier than it did.
inline Bytes without_newest_batch(Proven& world) {
  Bundle forged = world.opened();
  forged.batches.pop_back();
  const auto end = open_envelope(forged.batches.back().sealed, Withheld::allowed).value();
  forged.batches.back().path = InclusionPath{};
  return world.sealed_again(world.with_close(forged, [&](CloseStatement& close, std::string&) {
    close.streams[0].batch = end.manifest.number;
    close.streams[0].batch_id = end.id;
    close.streams[0].next_seq = end.manifest.last_seq + 1;
  }));
}

/// Everything about the stream made anew with a key of the forger's.
inline Bytes with_device_key(Proven& world) {
  Bundle forged = world.opened();
  const auto thief =
      signer_from_pem(generate_private_key_pem(KeyAlgorithm::ed25519).value()).value();
  auto grant = decode_grant(open_signed(forged.grants.at(0), payload_type::kGrant)->body).value();
  grant.key = thief->public_key().id();
  forged.grants[0] = sign(payload_type::kGrant, encode(grant), world.collector()).value();
  return world.sealed_again(forged);
}

/// The stream named twice, and a second grant so that their number is right.
inline Bytes with_stream_twice(Proven& world) {
  Bundle forged = world.opened();
  auto grant = decode_grant(open_signed(forged.grants.at(0), payload_type::kGrant)->body).value();
  grant.stream = *StreamId::from(std::string_view("fedcba9876543210"));
  forged.grants.push_back(sign(payload_type::kGrant, encode(grant), world.collector()).value());
  return world.sealed_again(
      world.with_close(std::move(forged), [](CloseStatement& close, std::string& document) {
        close.streams.push_back(close.streams[0]);
        close.lines[0].quantity = Decimal::integer(214);
        close.lines[0].readings *= 2;
        close.lines[0].amount = *Decimal::parse("2.14");
        document = with(document, "\"amount\":\"1.07\"", "\"amount\":\"2.14\"");
      }));
}

/// Batches 1 and 3, the first of them proven to be in the log by itself.
inline Bytes with_hole(Proven& world) {
  Bundle forged = world.opened();
  forged.batches.erase(forged.batches.begin() + 1);
  forged.batches[0].path = InclusionPath{};
  return world.sealed_again(
      world.with_close(std::move(forged), [](CloseStatement& close, std::string& document) {
        close.lines[0].quantity = Decimal::integer(67);
        close.lines[0].readings = 2;
        close.lines[0].amount = *Decimal::parse("0.67");
        document = with(document, "\"amount\":\"1.07\"", "\"amount\":\"0.67\"");
      }));
}

inline Bytes with_document(Proven& world, const std::string& old_text,
                           const std::string& new_text) {
  return world.sealed_again(
      world.with_close(world.opened(), [&](CloseStatement&, std::string& document) {
        document = with(document, old_text, new_text);
      }));
}

inline std::vector<Forgery> forgeries() {
  std::vector<Forgery> out;
  const auto add = [&](std::string what, std::vector<std::string> refused_with,
                       std::function<Bytes(Proven&)> make) {
    out.push_back({std::move(what), std::move(refused_with), std::move(make)});
  };
  add("another quantity", {"the readings shown for aqua-api, api.requests come to 107"},
      [](Proven& world) {
        return world.sealed_again(
            world.with_close(world.opened(), [](CloseStatement& close, std::string& document) {
              close.lines[0].quantity = Decimal::integer(108);
              close.lines[0].amount = *Decimal::parse("1.08");
              document =
                  with(document, "\"billable_quantity\":\"107\"", "\"billable_quantity\":\"108\"");
              document = with(document, "\"amount\":\"1.07\"", "\"amount\":\"1.08\"");
            }));
      });
  add("an amount rounded up", {"line 1 of the document"}, [](Proven& world) {
    return world.sealed_again(
        world.with_close(world.opened(), [](CloseStatement&, std::string& document) {
          document = with(document, "\"amount\":\"1.07\"", "\"amount\":\"1.08\"");
        }));
  });
  add("a price", {"rate_card \"standard\" version 1", "ada"}, [](Proven& world) {
    return with_entry(world, "\"unit_price\":\"0.01\"", "\"unit_price\":\"0.02\"");
  });
  add("a tier bound", {"rate_card \"standard\""},
      [](Proven& world) { return with_entry(world, "\"up_to\":null", "\"up_to\":\"5\""); });
  add("a mapping", {"links of device \"app-1\", subject \"aqua\""}, [](Proven& world) {
    return with_entry(world, "\"subscription\":\"aqua-api\"", "\"subscription\":\"aqua-ap\"");
  });
  for (const std::string by : {"ada", "collector"}) {
    add("a catalog signed by the collector for " + by, {"catalog-version"},
        [by](Proven& world) { return with_catalog_by(world, by); });
  }
  add("a dropped batch", {"batch 2 of device app-1"}, [](Proven& world) {
    Bundle forged = world.opened();
    forged.batches.erase(forged.batches.begin() + 1);
    return world.sealed_again(forged);
  });
  add("the newest batch dropped", {"had recorded readings up to 5"}, without_newest_batch);
  add("swapped batches", {"says it is another batch"}, [](Proven& world) {
    Bundle forged = world.opened();
    std::swap(forged.batches[0].sealed, forged.batches[1].sealed);
    return world.sealed_again(forged);
  });
  add("another device's key", {"device app-1"}, with_device_key);
  add("a stream named twice", {"names a stream twice"}, with_stream_twice);
  add("a batch hidden behind a hole", {"come to 7 in 1 readings"}, with_hole);
  add("another time of receipt", {"the time of receipt of batch 2", "cannot be true"},
      [](Proven& world) {
        Bundle forged = world.opened();
        forged.batches[1].received_at = Timestamp(0);
        return world.sealed_again(forged);
      });
  add("part of the period", {"the period ends at 2026-01-05T10:30:00.000Z"}, [](Proven& world) {
    return world.sealed_again(
        world.with_close(world.opened(), [](CloseStatement& close, std::string&) {
          close.period.until = at("2026-01-05T10:30:00Z");
        }));
  });
  add("a period that ends before it begins", {"the period is not one of the contract's"},
      [](Proven& world) {
        return world.sealed_again(
            world.with_close(world.opened(), [](CloseStatement& close, std::string&) {
              close.period.until = at("2026-01-05T09:00:00Z");
            }));
      });
  add("another currency", {"the document's currency is \"USD\""}, [](Proven& world) {
    return with_document(world, "\"currency\":\"EUR\"", "\"currency\":\"USD\"");
  });
  add("another customer", {"the document's account"}, [](Proven& world) {
    return with_document(world, "\"external\":\"C-1001\"", "\"external\":\"C-1002\"");
  });
  add("another unit in the line", {"line 1 of the document is"}, [](Proven& world) {
    return with_document(world, "\"meter\":\"api.requests\",\"unit\":\"1\"",
                         "\"meter\":\"api.requests\",\"unit\":\"k\"");
  });
  add("a grant of diagnostics", {"is of no billing stream"}, [](Proven& world) {
    Bundle forged = world.opened();
    auto grant = decode_grant(open_signed(forged.grants.at(0), payload_type::kGrant)->body).value();
    grant.stream_class = StreamClass::diagnostic;
    forged.grants[0] = sign(payload_type::kGrant, encode(grant), world.collector()).value();
    return world.sealed_again(forged);
  });
  add("a withheld own section", {"withheld", "subject \"aqua\" is billed in this line"},
      [](Proven& world) {
        Bundle forged = world.opened();
        forged.batches[0].sealed = withhold_others(forged.batches[0].sealed, {}).value();
        return world.sealed_again(forged);
      });
  return out;
}

}  // namespace ledgerline::collector
