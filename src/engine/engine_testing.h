// What the engine's tests share: a model file, an answer that can be waited for, requests.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine.h"

namespace tenfold::engine {

// A model file on disk for as long as the object lives.
class TempModel {
 public:
  explicit TempModel(const std::vector<uint8_t>& bytes) {
    path_ = ::testing::TempDir() + "/engine_test_XXXXXX";
    const int fd = mkstemp(path_.data());
    EXPECT_GE(fd, 0);
    EXPECT_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    close(fd);
  }
  ~TempModel() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// What one request gave, filled on the loop thread and waited for by the test.
struct Answer {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<tokenizer::TokenId> tokens;
  std::vector<Token> details;
  std::vector<Finish> finishes;

  bool WaitFor(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(60), condition);
  }
  bool WaitFinished() {
    return WaitFor([this] { return !finishes.empty(); });
  }
  bool WaitTokens(size_t n) {
    return WaitFor([this, n] { return tokens.size() >= n || !finishes.empty(); });
  }
};

inline Request MakeRequest(const std::shared_ptr<Answer>& answer, std::vector<tokenizer::TokenId> prompt,
                           int64_t max_new) {
  Request r;
  r.prompt = std::move(prompt);
  r.max_new_tokens = max_new;
  r.sampling.temperature = 0;
  r.on_token = [answer](Token&& t) {
    const std::lock_guard lock(answer->mutex);
    answer->tokens.push_back(t.id);
    answer->details.push_back(std::move(t));
    answer->changed.notify_all();
  };
  r.on_finish = [answer](Finish&& f) {
    const std::lock_guard lock(answer->mutex);
    answer->finishes.push_back(std::move(f));
    answer->changed.notify_all();
  };
  return r;
}

// The snapshot is published after the callbacks of a step: an answer may be seen finished a moment earlier.
inline bool WaitPagesBack(Engine& engine) {
  for (int i = 0; i < 6000; ++i) {
    if (engine.snapshot().kv_pages_used == 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

inline bool WaitState(Engine& engine, LoadState state) {
  for (int i = 0; i < 6000; ++i) {
    if (engine.snapshot().state == state) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

inline std::vector<tokenizer::TokenId> Prompt(int n, int seed) {
  std::vector<tokenizer::TokenId> out;
  for (int i = 0; i < n; ++i) out.push_back((i * 37 + seed * 101 + 5) % 500);
  return out;
}

}  // namespace tenfold::engine
