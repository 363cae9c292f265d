// What is known of a machine, of a model on it and of the port, before a server is started: plain data, so that tests
// can be any machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "platform/cpu.h"
#include "platform/machine_state.h"
#include "platform/memory_lock.h"

namespace tenfold::doctor {

struct ModelFacts {
  std::string path;
  std::string error;                     // why it cannot be read; "": it can, as far as headers tell
  std::vector<std::string> unsupported;  // what of it cannot be computed
  uint64_t file_bytes = 0;
  uint64_t weight_bytes = 0;  // in memory; 0: unknown
  uint64_t kv_bytes_per_token = 0;
  int64_t context = 0;             // tokens of one request that a server would allow
  bool context_shortened = false;  // because memory does not hold the usual one
  int64_t pool_tokens = 0;         // tokens that all requests together could hold
  std::string memory_error;        // why not even one request fits; "" where one does
  std::optional<double> cached;    // part of the file that is in the page cache
};

struct Facts {
  std::string cpu;         // "" if unknown
  std::string isa;         // that kernels would use
  std::string isa_error;   // TENFOLD_ISA names what is not there
  std::string widest_isa;  // that this machine has
  platform::CpuBudget cpus;
  std::string threads_reason;  // "one for each of 2 cores"
  int machine_cpus = 0;        // of the machine, whoever may use them; 0: unknown
  int memory_nodes = 1;        // that the process's CPUs belong to
  platform::MachineState machine;
  std::optional<platform::CpuShares> shares;  // over a second, while we slept
  platform::LockAllowance lock;
  int64_t users = 10;  // who would ask at once
  std::optional<ModelFacts> model;
  std::string address;     // "127.0.0.1:8080"
  std::string port_error;  // "" where it is free
};

}  // namespace tenfold::doctor
