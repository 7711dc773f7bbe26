#include "common/io/runtime.h"

#include <boost/asio/signal_set.hpp>
#include <exception>

#include "common/exit_code.h"
#include "common/io/log.h"

namespace ledgerline::io {

Runtime::Runtime() = default;
Runtime::~Runtime() { storage_.join(); }

int Runtime::run() {
  boost::asio::signal_set signals(context_, SIGINT, SIGTERM);
  signals.async_wait([this](const boost::system::error_code& error, int) {
    if (!error) stop(0);
  });
  const auto work = boost::asio::make_work_guard(context_);
  context_.run();
  // Work already on the storage thread ends; what it would post back is not run any more.
  storage_.join();
  return exit_code_ < 0 ? 0 : exit_code_;
}

void Runtime::stop(int exit_code) {
  if (exit_code_ >= 0) return;
  exit_code_ = exit_code;
  if (on_stop_) on_stop_();
  context_.stop();
}

void Runtime::spawn(std::string name, boost::asio::awaitable<void> coroutine) {
  boost::asio::co_spawn(
      context_, std::move(coroutine),
      [this, name = std::move(name)](const std::exception_ptr& thrown) {
        if (!thrown) {
          log_debug("coroutine_ended", {kv("name", name)});
          return;
        }
        try {
          std::rethrow_exception(thrown);
        } catch (const std::exception& e) {
          log_error("coroutine_failed", {kv("name", name), kv("error", e.what())});
        }
        stop(kExitSoftware);
      });
}

}  // namespace ledgerline::io
