#include "server/io_loop.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <string>

#include "base/log.h"

namespace tenfold::server {
namespace asio = boost::asio;

struct IoLoop::Signals {
  explicit Signals(asio::io_context& context) : set(context, SIGINT, SIGTERM) {}
  void Wait() {
    set.async_wait([this](const boost::system::error_code& ec, int) {
      if (ec) return;
      callback();
      Wait();
    });
  }
  asio::signal_set set;
  std::function<void()> callback;
};

void IoLoop::OnTermination(std::function<void()> callback) {
  signals_ = std::make_unique<Signals>(*context_);
  signals_->callback = std::move(callback);
  signals_->Wait();
}

IoLoop::IoLoop() : context_(std::make_unique<asio::io_context>(1)) {}
IoLoop::~IoLoop() = default;

void IoLoop::Run() {
  while (true) {
    try {
      context_->run();
      return;
    } catch (const std::exception& e) {
      Log(LogLevel::kError, std::string("I/O thread: ") + e.what());
    }
  }
}

void IoLoop::Stop() { context_->stop(); }
void IoLoop::Post(std::function<void()> work) { asio::post(*context_, std::move(work)); }
asio::io_context& IoLoop::context() { return *context_; }

struct Timer::Impl {
  explicit Impl(asio::io_context& context) : timer(context) {}
  asio::steady_timer timer;
  uint64_t generation = 0;  // tells a call that was already on its way that it is no longer wanted
};

Timer::Timer(IoLoop& loop) : impl_(std::make_shared<Impl>(loop.context())) {}
Timer::~Timer() { Stop(); }

void Timer::Start(int64_t delay_us, std::function<void()> callback) {
  const uint64_t generation = ++impl_->generation;
  impl_->timer.expires_after(std::chrono::microseconds(delay_us));
  impl_->timer.async_wait([weak = std::weak_ptr<Impl>(impl_), generation,
                           callback = std::move(callback)](const boost::system::error_code& ec) {
    const std::shared_ptr<Impl> impl = weak.lock();
    if (!ec && impl && impl->generation == generation) callback();
  });
}

void Timer::Stop() {
  ++impl_->generation;
  impl_->timer.cancel();
}

}  // namespace tenfold::server
