#pragma once
// The process: one io_context on one thread that owns all state, and one storage thread for what
// blocks (LMDB commits, sealing). Other libraries' threads only post here. Long-lived coroutines
// are spawned by name, and how each ended is logged.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <string>

namespace ledgerline::io {

class Runtime {
 public:
  Runtime();
  ~Runtime();

  boost::asio::io_context& context() { return context_; }
  boost::asio::thread_pool& storage() { return storage_; }

  /// Runs until stop(), SIGINT or SIGTERM. Returns the exit code: 0, or what stop() was given
  /// first.
  int run();
  /// From the context's thread. The first call decides the exit code.
  void stop(int exit_code);
  /// Called once when the process is asked to end, before the context stops.
  void on_stop(std::function<void()> action) { on_stop_ = std::move(action); }

  /// A coroutine that ends with an exception stops the process with exit code 70 (EX_SOFTWARE).
  void spawn(std::string name, boost::asio::awaitable<void> coroutine);

 private:
  boost::asio::io_context context_{1};
  boost::asio::thread_pool storage_{1};
  std::function<void()> on_stop_;
  int exit_code_ = -1;
};

/// Runs `work` on the storage thread and `done(result)` back on the context's thread.
template <class Work, class Done>
void on_storage(Runtime& runtime, Work work, Done done) {
  boost::asio::post(
      runtime.storage(), [&runtime, work = std::move(work), done = std::move(done)]() mutable {
        auto result = work();
        boost::asio::post(runtime.context(),
                          [done = std::move(done), result = std::move(result)]() mutable {
                            done(std::move(result));
                          });
      });
}

/// The same for coroutines: auto result = co_await storage_call(runtime, work); bind `work` to a
/// name first.
template <class Work>
auto storage_call(Runtime& runtime, Work work) -> boost::asio::awaitable<decltype(work())> {
  using Value = decltype(work());
  auto initiate = [&runtime, work = std::move(work)](auto handler) mutable {
    on_storage(runtime, std::move(work), [handler = std::move(handler)](Value value) mutable {
      std::move(handler)(std::move(value));
    });
  };
  co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(Value)>(
      std::move(initiate), boost::asio::use_awaitable);
}

}  // namespace ledgerline::io
