// F6: signed statements and their bodies, as they come from the broker or a file.

#include <cstdlib>

#include "common/checkpoint.h"
#include "common/messages.h"
#include "common/sealed_version.h"
#include "common/topics.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ledgerline;
  const ByteView bytes(data, size);
  (void)open_signed(bytes, payload_type::kReceipt);
  (void)decode_enrolment_request(bytes);
  (void)decode_enrolment(bytes);
  (void)decode_grant(bytes);
  (void)decode_receipt(bytes);
  (void)decode_tombstone(bytes);
  (void)decode_heartbeat(bytes);
  (void)decode_resume(bytes);
  (void)decode_answer(bytes);
  (void)decode_receipt_set(bytes);
  (void)decode_checkpoint_request(bytes);
  (void)decode_checkpoint_answer(bytes);
  (void)parse_witness_key(text_of(bytes));
  const auto note = open_checkpoint(text_of(bytes));
  if (note && note_text(*note) != text_of(bytes)) std::abort();
  (void)decode_sealed_version(bytes);
  (void)pem_decode("LEDGERLINE ENROLMENT", text_of(bytes));
  const auto topic = parse_topic(text_of(bytes));
  if (topic && topic->text() != text_of(bytes)) std::abort();
  return 0;
}
