// What a model file is, whether it fits a machine, and what tenfold would use there: `tenfold inspect`.
//
// What it does: collects facts from headers and from the machine as plain data, also about files that tenfold cannot
// compute, and says by name what is in the way. What it does not: read tensor data, load, or print (report.h renders).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gguf/model_file.h"
#include "kernels/isa.h"
#include "kernels/kv_format.h"
#include "platform/cpu.h"
#include "platform/memory_lock.h"

namespace tenfold::inspect {

// What matters of a machine; plain data, so that tests can be any.
struct Machine {
  std::string cpu;               // "" if unknown
  uint64_t available_bytes = 0;  // memory this process may still take; 0: unknown
  kernels::Isa isa = kernels::Isa::kScalar;
  platform::CpuBudget cpus;
  bool huge_pages = false;  // the kernel's setting allows them
  platform::LockAllowance lock;
  kernels::KvFormat kv_format;  // as the server would be told to store keys and values
};
// The one this runs on. isa: what kernels would be used. Any thread.
Machine ThisMachine(kernels::Isa isa, const kernels::KvFormat& kv_format);

// All tensors of one type.
struct TypeUse {
  std::string type;  // "Q4_K"
  uint64_t tensors = 0;
  uint64_t elements = 0;
  uint64_t file_bytes = 0;
  uint64_t memory_bytes = 0;  // as the kernels read them; 0 where not computable
  bool computable = false;
  std::string direct_kernel;  // "" where not computable, and for a type that only norms and biases have
  std::string panel_kernel;   // "" where there is none
  int64_t panel_min_tokens = 0;
};

// How many requests of one length a machine holds at the same time.
struct Fit {
  int64_t context = 0;          // tokens of prompt and answer together
  uint64_t bytes_per_user = 0;  // of keys and values
  int64_t users = 0;            // that hold so many tokens at once, as the server sizes its pool; 0: does not fit
};

struct Inspection {
  std::string path;
  uint64_t parts = 1;
  uint64_t file_bytes = 0;
  std::string architecture;  // as in the file; "" if absent
  std::string name;          // general.name
  uint64_t parameters = 0;
  std::vector<TypeUse> types;                  // most bytes first
  std::string tokenizer_model, tokenizer_pre;  // as in the file; "" if absent
  uint64_t vocabulary = 0;                     // tokens
  std::optional<int64_t> context_length;       // tokens, RoPE scaling included
  bool has_chat_template = false;
  std::string tool_format;  // "hermes", "llama3" or "none"
  // Known only of files that tenfold can compute.
  std::optional<uint64_t> weight_bytes;  // in memory, repacked
  std::optional<uint64_t> kv_bytes_per_token;
  std::vector<Fit> fits;  // empty where the memory is unknown
  // Sentences that name what is in the way; empty: tenfold serves this file.
  std::vector<std::string> unsupported;
};

// Reads headers only. Names from the file are quoted where they could forge a line.
Inspection Inspect(const gguf::ModelFile& model, const std::string& path, const Machine& machine);

}  // namespace tenfold::inspect
