#include "collector/dispatch/dispatcher.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <iterator>

#include "collector/dispatch/approval_of.h"
#include "common/io/log.h"

namespace ledgerline::collector {

using boost::asio::awaitable;
using io::kv;

namespace {

/// What another writer's being first means here: look again, nothing is lost.
bool is_conflict(const Error& error) { return error.code() == Errc::conflict; }

/// The document as a profile sees it: its members, our id, and its own bytes.
Result<Json> for_profile(const DocumentRow& document) {
  TRY(Json body, parse_json(document.body));
  body.set("external_id", Json::string(external_reference(document.id, document.revision)));
  body.set("body", Json::string(document.body));
  return body;
}

/// Of a question that was not answered.
std::string reason_of(const AttemptOutcome& outcome) {
  if (const auto* rejected = std::get_if<AttemptRejected>(&outcome)) return rejected->reason;
  if (const auto* retry = std::get_if<AttemptRetry>(&outcome)) return retry->reason;
  if (const auto* unknown = std::get_if<AttemptUnknown>(&outcome)) return unknown->reason;
  return "an answer that is none";
}

}  // namespace

Dispatcher::Dispatcher(io::Runtime& runtime, Clock& clock, Store& store,
                       std::unique_ptr<Connector> connector, DispatchOptions options)
    : runtime_(runtime),
      clock_(clock),
      store_(store),
      connector_(std::move(connector)),
      options_(std::move(options)),
      timer_(runtime.context()),
      lease_("outbox/" + connector_->name()) {}

void Dispatcher::wake() { timer_.cancel(); }

awaitable<void> Dispatcher::rest(Duration delay) {
  timer_.expires_after(delay);
  boost::system::error_code woken;
  co_await timer_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, woken));
}

awaitable<void> Dispatcher::run() {
  for (;;) {
    Status leased = co_await keep_lease();
    Result<bool> worked = false;
    if (leased) worked = co_await work_once();
    const Error* error = !leased ? &leased.error() : !worked ? &worked.error() : nullptr;
    if (error != nullptr && !is_conflict(*error)) {
      options_.on_store_failure(*error);
      co_return;
    }
    if (error != nullptr) {
      io::log_warn("outbox_lease_lost", {kv("connector", connector_->name()), kv("error", *error)});
      epoch_ = 0;
    }
    if (error != nullptr || !*worked) {
      co_await rest(std::max(options_.idle, std::min(connector_->wait(), options_.idle * 10)));
    }
  }
}

awaitable<Status> Dispatcher::keep_lease() {
  if (epoch_ == 0) co_return co_await take_lease();
  if (clock_.monotonic() < renew_at_) co_return Status();
  auto renew = [this] {
    return store_.renew_lease(lease_, epoch_, clock_.now(), options_.lease_lifetime);
  };
  auto renewed = co_await io::storage_call(runtime_, renew);
  if (!renewed) co_return fail(renewed.error());
  renew_at_ = clock_.monotonic() + options_.lease_lifetime / 3;
  co_return Status();
}

awaitable<Status> Dispatcher::take_lease() {
  auto take = [this]() -> Result<std::pair<Lease, size_t>> {
    const Timestamp now = clock_.now();
    TRY(const Lease lease, store_.acquire_lease({.name = lease_,
                                                 .holder = options_.holder,
                                                 .now = now,
                                                 .lifetime = options_.lease_lifetime}));
    TRY(const size_t recovered,
        store_.recover_deliveries(connector_->name(), lease_, lease.epoch, now));
    return std::pair(lease, recovered);
  };
  auto taken = co_await io::storage_call(runtime_, take);
  if (!taken) co_return fail(taken.error());
  epoch_ = taken->first.epoch;
  renew_at_ = clock_.monotonic() + options_.lease_lifetime / 3;
  counters_.recovered += taken->second;
  if (taken->second > 0) {
    io::log_warn("deliveries_recovered",
                 {kv("connector", connector_->name()), kv("count", taken->second)});
  }
  co_return Status();
}

awaitable<Result<bool>> Dispatcher::work_once() {
  if (connector_->wait() > Duration::zero()) co_return false;
  auto claim = [this] {
    return store_.claim_deliveries({.connector = connector_->name(),
                                    .lease = lease_,
                                    .lease_epoch = epoch_,
                                    .now = clock_.now(),
                                    .limit = 1});
  };
  auto claimed = co_await io::storage_call(runtime_, claim);
  if (!claimed) co_return fail(claimed.error());
  if (claimed->empty()) co_return co_await watch_next();
  Status done = co_await attempt(claimed->front());
  if (!done) co_return fail(done.error());
  co_return true;
}

awaitable<Status> Dispatcher::attempt(DeliveryRow claimed) {
  const Timestamp claimed_at = clock_.now();
  auto read = [this, claimed]() -> Result<Approved> {
    Approved out;
    TRY(out.document, store_.document(claimed.document, claimed.revision));
    // A look-up creates nothing, and what was sent before stays to be found.
    if (next_step(claimed) == DeliveryStep::deliver) {
      TRY(out.why_not, why_unapproved(store_, out.document));
    }
    return out;
  };
  auto approved = co_await io::storage_call(runtime_, read);
  if (!approved) co_return fail(approved.error());
  const bool sends = !approved->why_not;
  const AttemptOutcome outcome = co_await perform(claimed, *approved);
  const DeliveryDecision decision =
      on_outcome(claimed, outcome, connector_->rules(), clock_.now(), options_.random());
  DeliverySettlement settlement{.id = claimed.id,
                                .attempt = claimed.attempt,
                                .lease = lease_,
                                .lease_epoch = epoch_,
                                .state = decision.state,
                                .lookup_first = decision.lookup_first,
                                .lookups = decision.lookups,
                                .resends = decision.resends,
                                .next_attempt_at = decision.next_attempt_at,
                                .first_sent_at = sends ? std::optional(claimed_at) : std::nullopt,
                                .external_id = decision.external_id,
                                .reply = decision.reply,
                                .at = clock_.now(),
                                .document_state = decision.document_state,
                                .exceptions = decision.exceptions};
  auto settle = [this, settlement] { return store_.settle_delivery(settlement); };
  Status settled = co_await io::storage_call(runtime_, settle);
  if (settled) count(claimed, decision);
  co_return settled;
}

awaitable<Result<bool>> Dispatcher::watch_next() {
  if (options_.work == nullptr || !connector_->has_progress()) co_return false;
  if (to_watch_.empty()) {
    if (clock_.monotonic() < watch_at_) co_return false;
    watch_at_ = clock_.monotonic() + options_.work_interval;
    auto read = [this] { return options_.work->open_work(connector_->name()); };
    auto open = co_await io::storage_call(runtime_, read);
    if (!open) co_return fail(open.error());
    to_watch_.assign(std::make_move_iterator(open->begin()), std::make_move_iterator(open->end()));
    if (to_watch_.empty()) co_return false;
  }
  OpenWork work = std::move(to_watch_.front());
  to_watch_.pop_front();
  Status watched = co_await watch(std::move(work));
  if (!watched && !is_conflict(watched.error())) co_return fail(watched.error());
  co_return true;
}

awaitable<Status> Dispatcher::watch(OpenWork work) {
  auto read = [this, work] { return store_.document(work.document, work.revision); };
  auto document = co_await io::storage_call(runtime_, read);
  if (!document) co_return fail(document.error());
  ++counters_.work_asked;
  auto body = for_profile(*document);
  if (!body) {
    note_unanswered(work, "the document's body cannot be read: " + body.error().text());
    co_return Status();
  }
  auto progress = co_await connector_->progress(std::move(*body), work.external_id);
  if (!progress) {
    note_unanswered(work, reason_of(progress.error()));
    co_return Status();
  }
  if (!progress->closed) co_return Status();
  auto close = [this, work, done = *progress] {
    return options_.work->close_work(work, done, clock_.now());
  };
  Status closed = co_await io::storage_call(runtime_, close);
  if (!closed) co_return closed;
  ++counters_.work_closed;
  io::log_info("work_closed",
               {kv("document", work.document), kv("asset", work.asset), kv("by", progress->by),
                kv("effort_minutes", progress->effort_minutes.value_or(0))});
  co_return Status();
}

void Dispatcher::note_unanswered(const OpenWork& work, const std::string& reason) {
  ++counters_.work_unanswered;
  io::log_warn("work_unanswered", {kv("connector", connector_->name()),
                                   kv("document", work.document), kv("reason", reason)});
}

awaitable<AttemptOutcome> Dispatcher::perform(DeliveryRow claimed, Approved approved) {
  if (approved.why_not) co_return AttemptUnapproved{*approved.why_not};
  auto body = for_profile(approved.document);
  if (!body) {
    // Our own bytes: nothing was sent, and nothing will be until a person has looked.
    co_return AttemptRejected{"the document's body cannot be read: " + body.error().text()};
  }
  if (next_step(claimed) == DeliveryStep::look_up) {
    ++counters_.look_ups;
    co_return co_await connector_->look_up(std::move(*body));
  }
  ++counters_.attempts;
  co_return co_await connector_->deliver(std::move(*body));
}

void Dispatcher::count(const DeliveryRow& claimed, const DeliveryDecision& decision) {
  const auto values = {kv("connector", connector_->name()), kv("document", claimed.document),
                       kv("attempt", claimed.attempt), kv("reply", decision.reply),
                       kv("external_id", decision.external_id)};
  switch (decision.state) {
    case DeliveryState::confirmed:
      ++counters_.confirmed;
      return io::log_info("delivery_confirmed", values);
    case DeliveryState::retry:
    case DeliveryState::pending:
    case DeliveryState::in_flight:
      ++counters_.retried;
      return io::log_warn("delivery_retry", values);
    case DeliveryState::unknown:
      ++counters_.unknown;
      return io::log_warn("delivery_unknown", values);
    case DeliveryState::rejected:
      ++counters_.rejected;
      return io::log_error("delivery_rejected", values);
    case DeliveryState::conflict:
      ++counters_.conflicts;
      return io::log_error("delivery_conflict", values);
    case DeliveryState::held:
      ++counters_.held;
      return io::log_error("delivery_held", values);
  }
}

}  // namespace ledgerline::collector
