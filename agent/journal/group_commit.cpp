#include "agent/journal/group_commit.h"

#include <boost/asio/steady_timer.hpp>

#include "common/check.h"
#include "common/io/log.h"

namespace ledgerline::agent {

bool GroupGate::admits(const RecordRequest& request) const {
  return sizes_.size() < options_.queue_requests_max &&
         readings_ + request.items.size() <= options_.queue_readings_max;
}

void GroupGate::enqueue(const RecordRequest& request) {
  catching_up_ =
      catching_up_ || (request.bookmark && request.items.size() >= options_.catch_up_readings);
  sizes_.push_back(request.items.size());
  readings_ += request.items.size();
}

std::optional<Duration> GroupGate::start_in(Monotonic now) const {
  if (in_flight_ || sizes_.empty()) return std::nullopt;
  // Half of the queue is left for those who come while the group is in flight.
  const bool full =
      readings_ >= options_.group_readings_max || sizes_.size() >= options_.queue_requests_max / 2;
  if (full || catching_up_ || !begun_) return Duration(0);
  const Duration since = now - *begun_;
  return since >= options_.commit_interval ? Duration(0) : options_.commit_interval - since;
}

size_t GroupGate::begin(Monotonic now) {
  CHECK_INVARIANT(!in_flight_ && !sizes_.empty());
  in_flight_ = true;
  begun_ = now;
  catching_up_ = false;
  size_t requests = 0;
  size_t readings = 0;
  while (!sizes_.empty()) {
    const size_t size = sizes_.front();
    if (requests > 0 && readings + size > options_.group_readings_max) break;
    readings += size;
    ++requests;
    sizes_.pop_front();
  }
  readings_ -= readings;
  return requests;
}

struct GroupCommit::Impl : std::enable_shared_from_this<GroupCommit::Impl> {
  Impl(io::Runtime& runtime_in, Clock& clock_in, Journal& journal_in, Signer& signer_in,
       const GroupCommitOptions& options, std::function<void(const Error&)> failed_in)
      : runtime(runtime_in),
        clock(clock_in),
        journal(journal_in),
        signer(signer_in),
        gate(options),
        timer(runtime_in.context()),
        failed(std::move(failed_in)) {}

  struct Waiting {
    RecordRequest request;
    std::function<void(RecordResult)> done;
  };
  using Callbacks = std::vector<std::function<void(RecordResult)>>;

  void record(RecordRequest request, std::function<void(RecordResult)> done);
  void start_when_due();
  void start_group();
  void answer(const Callbacks& callbacks, std::vector<RecordResult> answers);
  void housekeep();
  void stop(const Error& error);

  io::Runtime& runtime;
  Clock& clock;
  Journal& journal;
  Signer& signer;
  GroupGate gate;
  std::deque<Waiting> queue;
  boost::asio::steady_timer timer;
  bool timer_runs = false;
  bool housekeeping = false;
  bool stopped = false;
  std::function<void(const Error&)> failed;
  std::function<void()> sealed = [] {};
  GroupCommitCounters counters;
};

void GroupCommit::Impl::record(RecordRequest request, std::function<void(RecordResult)> done) {
  if (stopped || !gate.admits(request)) {
    ++counters.pushed_back;
    done(tl::unexpected<RecordRefusal>(
        {.code = Errc::retry,
         .index = 0,
         .field = "",
         .message = stopped ? "the agent is stopping" : "too many readings wait to be recorded"}));
    return;
  }
  gate.enqueue(request);
  queue.push_back({std::move(request), std::move(done)});
  start_when_due();
}

void GroupCommit::Impl::start_when_due() {
  const auto wait = gate.start_in(clock.monotonic());
  if (!wait || stopped) return;
  if (*wait <= Duration(0)) {
    start_group();
    return;
  }
  if (timer_runs) return;
  timer_runs = true;
  timer.expires_after(*wait);
  timer.async_wait([self = shared_from_this()](const boost::system::error_code&) {
    self->timer_runs = false;
    self->start_when_due();
  });
}

void GroupCommit::Impl::start_group() {
  const size_t count = gate.begin(clock.monotonic());
  // Shared because std::function, which carries the work, must be copyable.
  auto requests = std::make_shared<std::vector<RecordRequest>>();
  Callbacks callbacks;
  requests->reserve(count);
  callbacks.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    requests->push_back(std::move(queue.front().request));
    callbacks.push_back(std::move(queue.front().done));
    queue.pop_front();
  }
  io::on_storage(
      runtime, [self = shared_from_this(), requests] { return self->journal.record(*requests); },
      [self = shared_from_this(),
       callbacks = std::move(callbacks)](Result<std::vector<RecordResult>> answers) {
        self->gate.end();
        if (!answers) {
          self->stop(answers.error());
          return;
        }
        // The next commit runs while these answers are given.
        self->start_when_due();
        self->answer(callbacks, std::move(*answers));
        self->housekeep();
      });
}

void GroupCommit::Impl::answer(const Callbacks& callbacks, std::vector<RecordResult> answers) {
  CHECK_INVARIANT(callbacks.size() == answers.size());
  ++counters.groups;
  for (size_t i = 0; i < answers.size(); ++i) {
    if (answers[i]) {
      const size_t duplicates = answers[i]->duplicates();
      counters.duplicates += duplicates;
      counters.readings += answers[i]->seqs.size() - duplicates;
    } else {
      ++(answers[i].error().code == Errc::full ? counters.pushed_back : counters.refused);
    }
    callbacks[i](std::move(answers[i]));
  }
}

/// Trims one slice, which may give sealing its room, and seals what is due, behind the group that
/// waits already.
void GroupCommit::Impl::housekeep() {
  if (housekeeping || stopped) return;
  housekeeping = true;
  struct Done {
    size_t batches = 0;
    bool trim_again = false;
  };
  const auto work = [self = shared_from_this()]() -> Result<Done> {
    Done done;
    if (!self->journal.enrolled()) return done;
    TRY(done.trim_again, self->journal.trim());
    TRY(done.batches, self->journal.seal(SealWhen::due, self->signer));
    return done;
  };
  io::on_storage(runtime, work, [self = shared_from_this()](const Result<Done>& done) {
    self->housekeeping = false;
    if (!done) {
      self->stop(done.error());
      return;
    }
    self->counters.batches_sealed += done->batches;
    if (done->batches > 0) self->sealed();
    if (done->trim_again) self->housekeep();
  });
}

void GroupCommit::Impl::stop(const Error& error) {
  if (stopped) return;
  stopped = true;
  io::log_error("journal_failed", {io::kv("error", error)});
  failed(error);
}

GroupCommit::GroupCommit(io::Runtime& runtime, Clock& clock, Journal& journal, Signer& signer,
                         GroupCommitOptions options, std::function<void(const Error&)> failed)
    : impl_(std::make_shared<Impl>(runtime, clock, journal, signer, options, std::move(failed))) {}

GroupCommit::~GroupCommit() {
  impl_->stopped = true;
  impl_->timer.cancel();
}

void GroupCommit::record(RecordRequest request, std::function<void(RecordResult)> done) {
  impl_->record(std::move(request), std::move(done));
}

void GroupCommit::record_the_rest() {
  if (impl_->stopped) return;
  impl_->stopped = true;
  std::vector<RecordRequest> rest;
  for (Impl::Waiting& each : impl_->queue) {
    if (!each.request.can_wait) rest.push_back(std::move(each.request));
  }
  impl_->queue.clear();
  if (rest.empty()) return;
  const auto answers = impl_->journal.record(rest);
  if (!answers) return io::log_error("journal_failed", {io::kv("error", answers.error())});
  for (const RecordResult& answer : *answers) {
    if (!answer) io::log_error("readings_lost_at_the_end", {io::kv("why", answer.error().message)});
  }
}

void GroupCommit::tick() { impl_->housekeep(); }

void GroupCommit::on_sealed(std::function<void()> action) { impl_->sealed = std::move(action); }

GroupCommitCounters GroupCommit::counters() const {
  GroupCommitCounters out = impl_->counters;
  out.queued_requests = impl_->queue.size();
  return out;
}

}  // namespace ledgerline::agent
