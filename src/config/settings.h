// Everything an operator may choose for `tenfold serve`, with its default. Plain data: what the settings are called,
// what they may be and what they mean is one row each in table.cc.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tenfold::config {

struct Settings {
  // Model
  std::string model;
  std::string alias;
  std::string chat_template_file;  // used instead of the model file's own template
  std::string load = "background";
  int64_t ctx_size = 0;  // tokens; 0: the model's, at most 8192
  bool exact = false;

  // Compute
  int64_t threads = 0;  // 0 or -1: from the CPU budget
  std::string cpu_affinity = "none";
  int64_t batch_size = 512;  // tokens
  int64_t parallel = 10;     // requests
  int64_t kv_memory = 0;     // bytes; 0: what is free less a margin
  bool prefix_cache = true;
  std::string cache_type_k = "f16";
  std::string cache_type_v = "f16";
  int64_t gpu_layers = 0;  // wanted by the operator; there is no GPU
  bool mlock = false;
  bool mmap = true;
  bool huge_pages = true;

  // Server
  std::string host = "127.0.0.1";
  int64_t port = 8080;
  int64_t max_requests = 1024;  // that wait or run
  int64_t slo_seconds = 0;      // deadline of requests that name none; 0: none
  int64_t drain_seconds = 30;
  int64_t stuck_seconds = 60;
  std::string tls_cert;  // PEM files
  std::string tls_key;
  std::vector<std::string> api_key;
  std::string api_key_file;
  std::vector<std::string> cors_origin;

  // Limits
  int64_t max_connections = 10'000;
  int64_t idle_seconds = 75;
  int64_t head_seconds = 10;
  int64_t body_seconds = 60;
  int64_t write_seconds = 60;
  int64_t request_seconds = 0;           // 0: no limit
  int64_t max_body_size = 16 << 20;      // bytes
  int64_t stream_buffer_size = 1 << 20;  // bytes

  // Log
  std::string log_level = "info";
  std::string log_format = "human";
  bool log_prompts = false;
  bool verbose = false;

  // Where the rest comes from
  std::string config;            // the TOML file
  std::string profile = "auto";  // what `tenfold tune` wrote: "auto", "none", or a file
};

}  // namespace tenfold::config
