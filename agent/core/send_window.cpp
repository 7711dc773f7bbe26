#include "agent/core/send_window.h"

#include <algorithm>

#include "common/check.h"

namespace ledgerline::agent {

SendWindow::Actions SendWindow::ask(Moment at) {
  state_ = State::asking;
  answer_due_ = at.now + backoff_delay(limits_.answer, ++unanswered_, at.random);
  Actions actions;
  actions.ask = true;
  plan_wake(at, actions);
  return actions;
}

SendWindow::Actions SendWindow::on_connected(Moment at) {
  if (state_ == State::stopped) return {};
  unanswered_ = 0;
  return ask(at);
}

SendWindow::Actions SendWindow::on_disconnected(Moment) {
  if (state_ != State::stopped) state_ = State::disconnected;
  in_flight_.clear();
  orders_.clear();
  again_.clear();
  bytes_ = 0;
  fetching_ = false;
  ++fetch_;  // what is being read now belongs to no session
  return {};
}

SendWindow::Actions SendWindow::on_answer(Moment at, const Custody& custody, BatchNumber head) {
  if (state_ != State::asking) return proceed(at);
  // The answer is the truth of this moment, also where it is less than an earlier receipt said: a
  // collector that was restored from a backup asks for what it lost.
  on_disconnected(at);
  state_ = State::open;
  unanswered_ = 0;
  verdicts_ = 0;
  if (custody.linked_upto > linked_) unreceipted_ = 0;
  linked_ = custody.linked_upto;
  head_ = std::max({head_, head, linked_});
  next_ = linked_ + 1;
  parked_ = {custody.parked.begin(), custody.parked.end()};
  pause_until_ = at.now;
  receipt_patience_ = backoff_delay(limits_.receipt, unreceipted_ + 1, at.random);
  return proceed(at);
}

SendWindow::Actions SendWindow::on_receipt(Moment at, const Custody& custody) {
  if (custody.linked_upto < linked_) return proceed(at);  // an older one, late
  if (custody.linked_upto > linked_) {
    unreceipted_ = 0;
    refusals_ = 0;
    receipt_patience_ = backoff_delay(limits_.receipt, 1, at.random);
    // Progress means that the collector works: what waits behind gets its full time from here.
    for (auto& [number, sent] : in_flight_) sent.at = at.now;
  }
  take(custody);
  return proceed(at);
}

void SendWindow::take(const Custody& custody) {
  linked_ = custody.linked_upto;
  head_ = std::max(head_, linked_);
  next_ = std::max(next_, linked_ + 1);
  parked_ = {custody.parked.begin(), custody.parked.end()};
  while (!in_flight_.empty() && in_flight_.begin()->first <= linked_)
    forget(in_flight_.begin()->first);
  again_.erase(again_.begin(), again_.upper_bound(linked_));
  uint64_t newest = 0;
  for (const BatchNumber number : parked_) {
    again_.erase(number);
    forget(number);
    if (const auto found = orders_.find(number); found != orders_.end())
      newest = std::max(newest, found->second);
  }
  // The broker delivers in the order of sending. What was sent before a parked batch and is neither
  // linked nor parked did not arrive.
  for (auto it = in_flight_.begin(); it != in_flight_.end();) {
    const auto [number, sent] = *it++;
    if (sent.order >= newest) continue;
    forget(number);
    again_.insert(number);
  }
  orders_.erase(orders_.begin(), orders_.upper_bound(linked_));
}

void SendWindow::forget(BatchNumber number) {
  const auto found = in_flight_.find(number);
  if (found == in_flight_.end()) return;
  CHECK_INVARIANT(bytes_ >= found->second.size);
  bytes_ -= found->second.size;
  in_flight_.erase(found);
}

bool SendWindow::forget_between(BatchNumber first, BatchNumber last) {
  const auto begin = again_.lower_bound(first);
  const auto end = again_.upper_bound(last);
  const bool again = begin != end;
  again_.erase(begin, end);
  while (true) {
    const auto covered = in_flight_.lower_bound(first);
    if (covered == in_flight_.end() || covered->first >= last) break;
    forget(covered->first);
  }
  return again;
}

SendWindow::Actions SendWindow::on_sealed(Moment at, BatchNumber head) {
  head_ = std::max(head_, head);
  return proceed(at);
}

bool SendWindow::wanted(BatchNumber number) const {
  return number > linked_ && !parked_.contains(number) && !in_flight_.contains(number);
}

SendWindow::Actions SendWindow::on_fetched(Moment at, uint64_t fetch,
                                           const std::vector<Fetched>& batches) {
  if (fetch != fetch_ || !fetching_) return proceed(at);
  fetching_ = false;
  if (state_ != State::open) return proceed(at);
  std::vector<BatchNumber> publish;
  for (const auto& [number, size, tombstone_from] : batches) {
    const bool again = tombstone_from != 0 && forget_between(tombstone_from, number);
    if (!wanted(number)) continue;
    if (again_.erase(number) > 0 || again) ++resent_;
    next_ = std::max(next_, number + 1);
    in_flight_[number] = {size, at.now, ++order_};
    orders_[number] = order_;
    bytes_ += size;
    publish.push_back(number);
  }
  // A read that gives nothing although there must be something is tried again, but not at once.
  if (batches.empty())
    pause_until_ = at.now + backoff_delay(limits_.refusal, ++refusals_, at.random);
  Actions actions = proceed(at);
  actions.publish = std::move(publish);
  return actions;
}

SendWindow::Actions SendWindow::on_not_sent(Moment at, BatchNumber number) {
  if (state_ != State::open || !in_flight_.contains(number)) return proceed(at);
  forget(number);
  again_.insert(number);
  if (at.now >= pause_until_) {
    pause_until_ = at.now + backoff_delay(limits_.refusal, ++refusals_, at.random);
  }
  return proceed(at);
}

SendWindow::Actions SendWindow::on_time(Moment at) { return proceed(at); }

SendWindow::Actions SendWindow::on_verdict(Moment at) {
  if (state_ == State::stopped) return {};
  on_disconnected(at);
  state_ = State::refused;
  unanswered_ = 0;
  ask_again_at_ = at.now + backoff_delay(limits_.verdict, ++verdicts_, at.random);
  return proceed(at);
}

SendWindow::Actions SendWindow::ask_again(Moment at) {
  if (state_ == State::stopped || state_ == State::disconnected) return {};
  unanswered_ = 0;
  return ask(at);
}

void SendWindow::stop() {
  on_disconnected({});
  state_ = State::stopped;
}

SendWindow::Actions SendWindow::proceed(Moment at) {
  Actions actions;
  if (state_ == State::asking && at.now >= answer_due_) return ask(at);
  if (state_ == State::refused && at.now >= ask_again_at_) return ask(at);
  if (state_ == State::open) {
    const auto late = std::any_of(in_flight_.begin(), in_flight_.end(), [&](const auto& entry) {
      return at.now >= entry.second.at + receipt_patience_;
    });
    if (late) {
      ++unreceipted_;
      return ask(at);
    }
    plan_fetch(at, actions);
  }
  plan_wake(at, actions);
  return actions;
}

void SendWindow::plan_fetch(Moment at, Actions& actions) {
  if (fetching_ || at.now < pause_until_ || in_flight_.size() >= limits_.batches_max) return;
  const size_t room = limits_.bytes_max - std::min(limits_.bytes_max, bytes_);
  if (room < OpenBatch::kSealedSizeMax && !in_flight_.empty()) return;
  BatchNumber first = again_.empty() ? next_ : *again_.begin();
  BatchNumber last = first;
  if (again_.empty()) {
    while (parked_.contains(first)) ++first;
    last = std::min(head_, linked_ + Receipt::kParkedMax);
    if (first > last) return;
    if (const auto next_parked = parked_.lower_bound(first); next_parked != parked_.end()) {
      last = std::min(last, *next_parked - 1);
    }
  } else {
    while (again_.contains(last + 1)) ++last;
  }
  const auto count = static_cast<size_t>(
      std::min<uint64_t>(limits_.batches_max - in_flight_.size(), last - first + 1));
  fetching_ = true;
  actions.fetch = Fetch{++fetch_, first - 1, count, std::max(room, OpenBatch::kSealedSizeMax)};
}

void SendWindow::plan_wake(Moment at, Actions& actions) const {
  const auto earlier = [&](Monotonic when) {
    actions.wake_at = actions.wake_at ? std::min(*actions.wake_at, when) : when;
  };
  if (state_ == State::asking) earlier(answer_due_);
  if (state_ == State::refused) earlier(ask_again_at_);
  if (state_ != State::open) return;
  for (const auto& [number, sent] : in_flight_) earlier(sent.at + receipt_patience_);
  // Only a pause that holds something back needs an end.
  if (pause_until_ > at.now && !fetching_ && (!again_.empty() || next_ <= head_))
    earlier(pause_until_);
}

}  // namespace ledgerline::agent
