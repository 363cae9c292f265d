// Carries what the engine's loop thread says to the I/O thread: one short lock a push, one wake-up a burst.
//
// Why not one asio::post per token: ten streams would wake the I/O thread ten times a step. Why not lock-free: the lock
// is held for a vector's push_back or swap, and the loop pushes some dozens of times a step.
//
// What holds the loop back: a model of toy size makes tokens faster than the I/O thread can write them, and what lies
// here is bounded by nothing else. So between two steps the loop waits until there is room (WaitForRoom).
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <variant>
#include <vector>

#include "engine/engine.h"
#include "server/io_loop.h"

namespace tenfold::server {

struct PromptEvent {
  uint64_t key = 0;   // the Generation it is for
  size_t choice = 0;  // which of its choices
  std::vector<engine::Token> tokens;
};
struct TokenEvent {
  uint64_t key = 0;   // the Generation it is for
  size_t choice = 0;  // which of its choices
  engine::Token token;
};
struct FinishEvent {
  uint64_t key = 0;
  size_t choice = 0;
  engine::Finish finish;
};
using EngineEvent = std::variant<PromptEvent, TokenEvent, FinishEvent, engine::StepStats, engine::LoadState>;

class EngineInbox {
 public:
  // `handler` gets events in the order in which they were pushed, on the I/O thread.
  EngineInbox(IoLoop& loop, std::function<void(std::vector<EngineEvent>&&)> handler);
  void Push(EngineEvent event);  // any thread; never waits for the I/O thread
  void Flush();                  // I/O thread: handles what is there now
  // The loop thread, between steps: returns once at most `most` events are here, or after Open(). The I/O thread must
  // never wait for the loop's.
  void WaitForRoom(size_t most = kMostEvents);
  void Open();  // from now on nobody waits: the I/O thread takes nothing any more

  // Some hundred steps of ten streams, and about 1 MB: at real models' speed the loop never gets there.
  static constexpr size_t kMostEvents = 4096;

 private:
  IoLoop& loop_;
  std::function<void(std::vector<EngineEvent>&&)> handler_;
  std::mutex mutex_;
  std::condition_variable taken_;
  bool open_ = false;
  std::vector<EngineEvent> events_;
};

}  // namespace tenfold::server
