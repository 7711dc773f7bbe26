#include "collector/intake/intake.h"

#include "collector/core/enrolling.h"
#include "common/exit_code.h"
#include "common/io/log.h"

namespace ledgerline::collector {

using io::kv;

namespace {

uint32_t random32() {
  uint8_t bytes[4];
  random_bytes(bytes);
  return big_endian32(bytes);
}

io::MqttOptions session(const IntakeOptions& options) {
  io::MqttOptions out = options.broker;
  out.client_id = kCollectorIdentity;
  // The broker keeps what comes while we are away: not needed, the agents send again, but quicker.
  out.clean_start = false;
  out.session_expiry = options.session_expiry;
  out.receive_maximum = 100;
  out.subscriptions = {topic_filter(TopicLeaf::batch), topic_filter(TopicLeaf::heartbeat),
                       topic_filter(TopicLeaf::resume)};
  if (!out.random) out.random = random32;
  return out;
}

Result<std::vector<Outbound>> begin(Custody& custody) {
  TRY_VOID(custody.compare_with_checkpoint_file());
  return custody.offer_unknown_formats_again();
}

}  // namespace

Intake::Intake(io::Runtime& runtime, Clock& clock, Store& store, Signer& signer,
               IntakeOptions options, const io::MqttFactory& factory,
               std::function<void(LeafNumber)> on_linked)
    : runtime_(runtime),
      clock_(clock),
      options_(std::move(options)),
      factory_(factory),
      on_linked_(std::move(on_linked)),
      custody_(std::make_shared<Custody>(store, signer, clock, options_.checkpoint_file)) {}

Intake::~Intake() { stop(); }

void Intake::start() {
  mqtt_ = factory_(session(options_),
                   {[](bool session_present) {
                      io::log_info("broker_connected",
                                   {kv("session_present", session_present ? "yes" : "no")});
                    },
                    [](const std::string& reason) {
                      io::log_warn("broker_connection_failed", {kv("reason", reason)});
                    },
                    [this](io::MqttMessage message) { on_message(std::move(message)); }});
  working_ = true;
  work({}, true);
  mqtt_->start();
}

void Intake::stop() {
  alive_.reset();
  if (mqtt_) mqtt_->stop();
}

void Intake::on_message(io::MqttMessage message) {
  const size_t size = message.payload.size();
  if (queue_.size() >= options_.queue_count_max ||
      status_.queued_bytes + size > options_.queue_bytes_max) {
    if (status_.queue_dropped++ % 1000 == 0) {
      io::log_warn("intake_queue_full", {kv("dropped", status_.queue_dropped)});
    }
    return;
  }
  status_.queued_bytes += size;
  queue_.push_back({std::move(message.topic), std::move(message.payload), clock_.now()});
  next_group();
}

void Intake::next_group() {
  if (working_ || queue_.empty()) return;
  std::vector<Arrival> group;
  size_t bytes = 0;
  while (!queue_.empty() && group.size() < options_.group_count_max &&
         bytes < options_.group_bytes_max) {
    bytes += queue_.front().payload.size();
    group.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  status_.queued_bytes -= bytes;
  working_ = true;
  work(std::move(group), false);
}

void Intake::work(std::vector<Arrival> group, bool first) {
  io::on_storage(
      runtime_,
      [custody = custody_, group = std::move(group), first]() -> Worked {
        auto published = first ? begin(*custody) : custody->accept(group);
        return {std::move(published), custody->counters(), custody->next_leaf()};
      },
      [this, alive = std::weak_ptr<bool>(alive_)](Worked worked) {
        if (!alive.expired()) done(std::move(worked));
      });
}

void Intake::done(Worked worked) {
  working_ = false;
  ++status_.groups;
  status_.custody = worked.counters;
  if (!worked.published) {
    io::log_error("intake_storage_failed", {kv("error", worked.published.error())});
    return runtime_.stop(kExitIo);
  }
  for (auto& out : *worked.published) {
    // A receipt that the broker does not take is no loss: the agent asks, and the next one covers
    // it.
    mqtt_->publish(std::move(out.topic), std::move(out.payload), out.retained,
                   [this, alive = std::weak_ptr<bool>(alive_)](const Status& sent) {
                     if (sent || alive.expired()) return;
                     if (status_.publishes_failed++ % 1000 == 0) {
                       io::log_warn("receipt_not_sent", {kv("error", sent.error())});
                     }
                   });
  }
  if (worked.next_leaf != next_leaf_) {
    next_leaf_ = worked.next_leaf;
    if (on_linked_) on_linked_(next_leaf_);
  }
  next_group();
}

IntakeStatus Intake::status() const {
  IntakeStatus out = status_;
  out.queued = queue_.size();
  if (mqtt_) {
    out.connected = mqtt_->status().connected;
    out.connection_failure = mqtt_->status().last_failure;
    out.connects = mqtt_->status().connects;
    out.connection_failures = mqtt_->status().failures;
  }
  return out;
}

}  // namespace ledgerline::collector
