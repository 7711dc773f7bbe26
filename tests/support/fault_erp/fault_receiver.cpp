#include "tests/support/fault_erp/fault_receiver.h"

#include "common/base64.h"
#include "common/crypto.h"

namespace ledgerline::testing {

namespace {

const std::string kDocuments = "/erp/documents/";

FaultReply refused(int status, const std::string& why) {
  const Json body = Json::object({{"error", Json::string(why)}});
  return {status, body.dump(), "application/json", ""};
}

/// As a receiver reads the specification, not as our sender implements it.
bool is_signed(const FaultRequest& request) {
  const std::string id = request.header("webhook-id");
  const std::string at = request.header("webhook-timestamp");
  const std::string encoded = std::string(FaultReceiver::kSecret).substr(6);
  const Bytes key = from_base64(encoded).value();
  const std::string content = id + "." + at + "." + request.body;
  const std::string expected = "v1," + to_base64(hmac_sha256(key, {bytes_of(content)}).view());
  return !id.empty() && !at.empty() && request.header("webhook-signature") == expected;
}

/// Another amount: the last digit counts one less.
std::string altered(std::string body) {
  char& digit = body[body.find_last_of("123456789")];
  digit = static_cast<char>(digit - 1);
  return body;
}

}  // namespace

std::map<std::string, std::string> FaultReceiver::bodies() const {
  const std::lock_guard lock(lock_);
  return bodies_;
}

FaultRequest FaultReceiver::newest() const {
  const std::lock_guard lock(lock_);
  return newest_;
}

void FaultReceiver::close_orders() {
  const std::lock_guard lock(lock_);
  closed_ = true;
}

size_t FaultReceiver::documents() const {
  const std::lock_guard lock(lock_);
  return bodies_.size();
}

std::string FaultReceiver::operation_of(const FaultRequest& request) const {
  return request.method == "POST" ? "receive" : "read";
}

bool FaultReceiver::is_look(const std::string& operation) const { return operation == "read"; }

std::string FaultReceiver::essential_field(const std::string&) const { return "sha256"; }

FaultReply FaultReceiver::refusal() const { return refused(422, "the document is not wanted"); }

FaultReply FaultReceiver::answer(const FaultRequest& request, bool wrong_echo) {
  if (!is_signed(request)) return refused(401, "the signature is wrong");
  return request.method == "POST" ? receive(request, wrong_echo) : read(request);
}

FaultReply FaultReceiver::receive(const FaultRequest& request, bool wrong_echo) {
  const std::string id = request.header("webhook-id");
  const auto [place, is_new] =
      bodies_.emplace(id, wrong_echo ? altered(request.body) : request.body);
  if (is_new) newest_ = request;
  if (!is_new && place->second != request.body) return refused(409, "the id has another body");
  return kept(is_new ? 201 : 200, id);
}

FaultReply FaultReceiver::read(const FaultRequest& request) const {
  if (!request.target.starts_with(kDocuments)) return refused(404, "no such place");
  const std::string id = url_decoded(request.target.substr(kDocuments.size()));
  return bodies_.contains(id) ? kept(200, id) : refused(404, "no such document");
}

FaultReply FaultReceiver::kept(int status, const std::string& id) const {
  Json body = Json::object({{"id", Json::string(id)},
                            {"sha256", Json::string(sha256(bytes_of(bodies_.at(id))).hex())},
                            {"state", Json::string(closed_ ? "done" : "received")},
                            {"closed", Json::boolean(closed_)}});
  if (closed_) {
    body.set("closed_at", Json::string("2026-11-21T09:05:07Z"));
    body.set("by", Json::string("Field service"));
    body.set("effort_minutes", Json::number(int64_t{90}));
  }
  return {status, body.dump(), "application/json", ""};
}

}  // namespace ledgerline::testing
