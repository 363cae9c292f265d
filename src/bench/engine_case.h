// What `tenfold bench engine` runs, and how much work a step is: bytes that must come from memory and multiplications
// that must be made, phase by phase, from the model's shapes alone. Dividing by measured time gives speeds that can be
// held against the roofline.
//
// Bytes are those of the weights as they lie in memory, once a step, and of the keys and values that a step reads, once
// a layer and sequence. Activations are not counted: they stay in caches. Embedding rows are not either.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bench/roofline.h"
#include "kernels/isa.h"
#include "kernels/kv_format.h"
#include "kernels/matmul.h"
#include "model/config.h"
#include "model/step_profile.h"
#include "model/weights.h"

namespace tenfold::bench {

enum class CaseKind { kPrefill, kDecode };

struct EngineCase {
  CaseKind kind = CaseKind::kPrefill;
  int64_t count = 0;    // prefill: tokens of the one prompt; decode: sequences of the step
  int64_t context = 0;  // decode: tokens that each sequence has before
};
std::string NameOf(const EngineCase& c);  // "prefill 512", "decode 10 at 4096"

struct Work {
  double bytes = 0;
  double integer_macs = 0;  // with weights of 8 bits or fewer
  double int16_macs = 0;    // in attention, where it multiplies so
  double float_macs = 0;    // with float weights, and elsewhere in attention
  double AllMacs() const { return integer_macs + int16_macs + float_macs; }

  Work& operator+=(const Work& other);
};

// One sequence's part in a step.
struct RowShape {
  int64_t first_position = 0;
  int64_t count = 0;
  int64_t logits = 0;  // positions that meet the output matrix
};

using PhaseWork = std::array<Work, static_cast<size_t>(model::Phase::kCount)>;

// Pure. Phases that do arithmetic of lower order (norms, rotation, quantisation) have none counted.
PhaseWork WorkOfStep(const model::Config& config, const model::Weights& weights, const kernels::KvFormat& kv_format,
                     kernels::Precision precision, std::span<const RowShape> rows);
Work Sum(const PhaseWork& work);

// The steps of one run of a case, each as its rows. step_tokens: tokens of a prompt that one step computes at most.
std::vector<std::vector<RowShape>> StepsOf(const EngineCase& c, int64_t step_tokens, int64_t decode_steps);

// Least seconds that the roofline allows for the work: what memory takes, and what arithmetic takes; neither can be
// beaten, and the longer of the two is the roof. 0 where the roofline has nothing measured for it.
struct RoofSeconds {
  double memory = 0;
  double arithmetic = 0;
  double Longer() const { return memory > arithmetic ? memory : arithmetic; }
};
RoofSeconds RoofOf(const Work& work, const Roofline& roofline, kernels::Isa isa);

}  // namespace tenfold::bench
