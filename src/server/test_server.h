// A real server over a real engine and a tiny random model, for tests. Not part of the server.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <boost/json/parse.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "api/json_body.h"
#include "engine/engine.h"
#include "gguf/test_model.h"
#include "server/server.h"
#include "server/test_client.h"

namespace tenfold::server {

// Waits up to 20 s for `condition`.
inline bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 4000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

inline boost::json::value Json(const std::string& body) {
  if (body.starts_with("[")) return boost::json::parse(body);
  api::Parsed<boost::json::object> object = api::ParseObject(body);
  EXPECT_TRUE(object.ok()) << body;
  return object.ok() ? boost::json::value(*object) : boost::json::value(boost::json::object());
}

inline std::string Text(const boost::json::value& value) {
  return value.is_string() ? std::string(value.get_string().data(), value.get_string().size()) : "(no string)";
}

// The file of a tiny model, deleted at the end.
class TinyModelFile {
 public:
  TinyModelFile() : path_(::testing::TempDir() + "tenfold_server_" + std::to_string(getpid()) + ".gguf") {}
  ~TinyModelFile() { std::remove(path_.c_str()); }
  void Write() {
    gguf::TinyModelOptions options;
    options.context_length = 32768;
    const std::vector<uint8_t> bytes = gguf::MakeTinyModel(options);
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class TestServer {
 public:
  explicit TestServer(const std::string& model_path, const std::function<void(Config&)>& change = {},
                      const std::function<void(engine::Options&)>& change_engine = {}) {
    Config config;
    config.port = 0;
    config.handle_signals = false;
    config.model = {model_path.empty() ? "" : "tiny", model_path};
    config.drain_us = 5'000'000;
    if (change) change(config);
    server_ = std::make_unique<Server>(config);
    const Status bound = server_->Bind();
    EXPECT_TRUE(bound.ok()) << (bound.ok() ? "" : bound.error().message);
    engine::Options options;
    options.model_path = model_path;
    options.alias = "tiny";
    options.threads = 1;
    options.max_context = 16384;
    options.max_running = 8;
    options.kv_bytes = 256 << 20;
    if (change_engine) change_engine(options);
    engine_ = std::make_unique<engine::Engine>(options, server_->StepObserver());
    server_->Attach(*engine_);
    thread_ = std::thread([this] {
      server_->Run();
      finished_ = true;
    });
  }
  ~TestServer() {
    server_->Shutdown();
    server_->Shutdown();
    if (thread_.joinable()) thread_.join();
    engine_.reset();
  }

  uint16_t port() const { return server_->port(); }
  Server& server() { return *server_; }
  engine::Engine& engine() { return *engine_; }
  bool finished() const { return finished_; }

  TestResponse Get(const std::string& path) { return TestClient(port()).Ask("GET", path); }
  TestResponse Post(const std::string& path, const std::string& body) {
    return TestClient(port()).Ask("POST", path, body);
  }
  // The value of a sample in /metrics whose line begins so, or -1.
  double Metric(const std::string& line_begin) {
    const std::string text = "\n" + Get("/metrics").body;
    const size_t at = text.find("\n" + line_begin);
    if (at == std::string::npos) return -1;
    return std::atof(text.c_str() + text.find(' ', at + 1));
  }
  bool AwaitReady() {
    return Eventually([this] { return engine_->snapshot().state == engine::LoadState::kReady; });
  }

 private:
  std::unique_ptr<Server> server_;
  std::unique_ptr<engine::Engine> engine_;
  std::atomic<bool> finished_{false};
  std::thread thread_;
};

}  // namespace tenfold::server
