#pragma once
// Input `http`: apps post CloudEvents to a Unix socket or a loopback port and are answered after
// the synced commit with the stream and the seqs their readings got.
//
//   POST /v1/events   application/cloudevents+json, application/cloudevents-batch+json, or
//   application/json with ce- headers;
//                     header Idempotency-Key: the request's own key, beside each event's source and
//                     id
//   GET  /healthz, /v1/status, /metrics

#include <array>
#include <memory>

#include "agent/core/cloud_event.h"
#include "agent/inputs/inputs.h"
#include "common/io/http_server.h"

namespace ledgerline::agent {

inline constexpr size_t kIdempotencyKeyBytesMax = 255;

/// What the input answers, without its sockets.
class EventEndpoint {
 public:
  EventEndpoint(Clock& clock, RecordPort& recorder, ReportPort& reports,
                const std::vector<MeterRow>& meters);

  void handle(const io::HttpRequest& request, io::HttpServer::Respond respond);
  void append_metrics(std::string& out) const;

 private:
  void post_events(const io::HttpRequest& request, const io::HttpServer::Respond& respond);
  void refuse(const EventRefusal& refusal, const io::HttpServer::Respond& respond,
              int retry_after_s = 0);
  void answer(const RecordResult& result, const io::HttpServer::Respond& respond);

  Clock& clock_;
  RecordPort& recorder_;
  ReportPort& reports_;
  MeterIndex meters_;
  uint64_t readings_ = 0;
  uint64_t duplicates_ = 0;
  uint64_t requests_recorded_ = 0;
  uint64_t requests_refused_ = 0;      // 4xx but 429: the sender has to change something
  uint64_t requests_pushed_back_ = 0;  // 429, 503, 507
  uint64_t requests_failed_ = 0;       // other 5xx
};

Result<std::unique_ptr<Input>> prepare_http_input(TomlTable options, const std::string& folder);

}  // namespace ledgerline::agent
