// The loop driven by hand, without a thread: every invariant is checked after every step.
#include "engine/loop.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "engine/engine_testing.h"
#include "gguf/test_model.h"
#include "kernels/attention.h"

namespace tenfold::engine {
namespace {

// 2 layers, 2 KV heads, K and V of 16 tokens, 64 halves each.
constexpr uint64_t kPageBytes = 2ull * 2 * 2 * 16 * 64 * 2;

struct Seen {
  std::vector<tokenizer::TokenId> tokens;
  int finishes = 0;
  FinishReason reason = FinishReason::kFailed;
};

class LoopTest : public ::testing::Test {
 protected:
  LoopTest()
      : model_(gguf::MakeTinyModel({.types = "q8_0", .vocab = 512, .context_length = 512, .seed = 9})),
        pool_(2, [](int) { kernels::SetFlushDenormals(); }) {
    kernels::SetFlushDenormals();
  }

  std::unique_ptr<Loop> Make(Options options) {
    options.model_path = model_.path();
    auto loaded = LoadModel(options, pool_, [](std::string_view, double) { return true; });
    EXPECT_TRUE(loaded.ok()) << loaded.error().message;
    return std::make_unique<Loop>(options, std::move(loaded).value(), pool_, desk_);
  }

  void Add(Loop& loop, RequestId id, std::vector<tokenizer::TokenId> prompt, int64_t max_new,
           sampling::Params params = {.temperature = 0}) {
    Request request;
    request.prompt = std::move(prompt);
    request.max_new_tokens = max_new;
    request.sampling = params;
    request.ignore_eos = true;
    request.on_token = [this, id](Token&& t) { seen_[id].tokens.push_back(t.id); };
    request.on_finish = [this, id](Finish&& f) {
      ++seen_[id].finishes;
      seen_[id].reason = f.reason;
      EXPECT_EQ(f.timings.generated_tokens, static_cast<int64_t>(seen_[id].tokens.size()));
    };
    loop.Add(id, std::move(request), 0);
  }

  // Runs until nothing is left; steps taken.
  int Drain(Loop& loop) {
    int steps = 0;
    for (; !loop.empty(); ++steps) {
      loop.RunStep(counters_);
      EXPECT_EQ(loop.CheckIntegrity(), "");
    }
    EXPECT_EQ(loop.scheduler().pages().used(), 0);
    return steps;
  }

  TempModel model_;
  platform::ThreadPool pool_;
  AdmissionDesk desk_;
  LoopCounters counters_;
  std::map<RequestId, Seen> seen_;
};

// An answer that a stop string ended is cancelled by who found it there, and teaches how long answers are; one whose
// client went away says nothing.
TEST_F(LoopTest, AnswersEndedByAStopStringTeachTheirLength) {
  const auto loop = Make({.max_context = 512});
  const auto predicted_us = [&] { return desk_.Decide({.prompt_tokens = 4, .max_new_tokens = 400}, 0).done_us; };
  for (const bool complete : {false, true}) {
    const int64_t before_us = predicted_us();
    for (int i = 1; i <= 16; ++i) {
      const RequestId id = (complete ? 100 : 0) + i;
      Add(*loop, id, Prompt(4, i), 400);
      for (int step = 0; step < 6; ++step) loop->RunStep(counters_);
      loop->Cancel(id, complete);
      EXPECT_EQ(seen_[id].reason, FinishReason::kCancelled);
    }
    loop->PublishBacklog();
    if (complete) {
      EXPECT_LT(predicted_us(), before_us / 4) << "six tokens instead of 400";
    } else {
      EXPECT_GT(predicted_us(), 0);
    }
  }
}

// In the default mode rounding may differ between batches, so texts may; but preemption must neither repeat nor lose
// a token: every request gets exactly what it asked for, once.
TEST_F(LoopTest, PreemptionNeitherRepeatsNorLosesTokensInDefaultMode) {
  const auto loop = Make({.max_context = 96, .max_step_tokens = 20, .kv_bytes = kPageBytes * 7});
  for (int i = 1; i <= 12; ++i) Add(*loop, i, Prompt(2 + 4 * i, i), 96 - (2 + 4 * i));
  Drain(*loop);
  EXPECT_GT(counters_.preemptions, 0u) << "the pool was meant to run out";
  uint64_t generated = 0;
  uint64_t prompts = 0;
  for (int i = 1; i <= 12; ++i) {
    EXPECT_EQ(seen_[i].finishes, 1);
    EXPECT_EQ(seen_[i].reason, FinishReason::kLength);
    EXPECT_EQ(seen_[i].tokens.size(), static_cast<size_t>(96 - (2 + 4 * i)));
    generated += seen_[i].tokens.size();
    prompts += static_cast<uint64_t>(2 + 4 * i);
  }
  EXPECT_EQ(counters_.generated_tokens, generated) << "recomputation must not draw again";
  EXPECT_EQ(counters_.prompt_tokens, prompts) << "recomputation must not count prompts again";
}

// Seeded sampling depends on the number of draws: a draw repeated after preemption would shift all that follow.
TEST_F(LoopTest, PreemptionKeepsSeededTextExact) {
  const sampling::Params hot{.temperature = 1.5F, .top_p = 0.95F, .seed = 5};
  const auto roomy = Make({.max_context = 96, .max_step_tokens = 20, .exact = true});
  for (int i = 1; i <= 6; ++i) {
    Add(*roomy, i, Prompt(20 + i, i), 60, hot);
    Drain(*roomy);
  }
  EXPECT_EQ(counters_.preemptions, 0u);
  const auto alone = std::exchange(seen_, {});
  const auto tight = Make({.max_context = 96, .max_step_tokens = 20, .kv_bytes = kPageBytes * 8, .exact = true});
  for (int i = 1; i <= 6; ++i) Add(*tight, i, Prompt(20 + i, i), 60, hot);
  Drain(*tight);
  EXPECT_GT(counters_.preemptions, 0u);
  for (int i = 1; i <= 6; ++i) EXPECT_EQ(seen_[i].tokens, alone.at(i).tokens) << "request " << i;
}

struct Border {
  int64_t context;
  int64_t step_tokens;
  int64_t running;
};

TEST_F(LoopTest, BordersOfContextBatchAndParallelAreServed) {
  for (const Border& b : {Border{1, 1, 1}, Border{2, 1, 1}, Border{17, 1, 3}, Border{33, 5, 1}, Border{512, 512, 10},
                          Border{31, 65536, 4096}}) {
    SCOPED_TRACE(testing::Message() << "-c " << b.context << " -b " << b.step_tokens << " -np " << b.running);
    Options options{.max_context = b.context, .max_step_tokens = b.step_tokens, .max_running = b.running};
    seen_.clear();
    if (b.context == 1) {  // no room for a prompt and an answer: only the load is possible
      EXPECT_EQ(Make(options)->loaded().info->max_context, 1);
      continue;
    }
    const auto loop = Make(options);
    const auto c = static_cast<int>(b.context);
    Add(*loop, 1, Prompt(c - 1, 1), 1);
    Add(*loop, 2, Prompt(1, 2), c - 1);
    Add(*loop, 3, Prompt(c / 2, 3), c - c / 2);
    Add(*loop, 4, Prompt(1, 4), -1);
    Drain(*loop);
    const size_t want[] = {1, static_cast<size_t>(c - 1), static_cast<size_t>(c - c / 2), static_cast<size_t>(c - 1)};
    for (int i = 1; i <= 4; ++i) {
      EXPECT_EQ(seen_[i].tokens.size(), want[i - 1]) << "request " << i;
      EXPECT_EQ(seen_[i].reason, FinishReason::kLength);
    }
  }
}

TEST_F(LoopTest, AContextLongerThanTheModelsOrAPoolShorterThanAContextIsRefusedWithNumbers) {
  const auto refused = [&](Options options, const char* first, const char* second) {
    options.model_path = model_.path();
    const auto loaded = LoadModel(options, pool_, [](std::string_view, double) { return true; });
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(loaded.error().message.find(first), std::string::npos) << loaded.error().message;
    EXPECT_NE(loaded.error().message.find(second), std::string::npos) << loaded.error().message;
  };
  refused({.max_context = 513}, "513", "512");
  refused({.max_context = 65, .kv_bytes = 5 * kPageBytes - 1}, "64", std::to_string(5 * kPageBytes).c_str());
}

TEST_F(LoopTest, RandomArrivalsAndCancelsKeepEveryInvariant) {
  const auto loop = Make({.max_context = 64, .max_step_tokens = 16, .max_running = 4, .kv_bytes = kPageBytes * 6});
  std::mt19937 rng(3);
  RequestId next = 1;
  for (int step = 0; step < 300; ++step) {
    while (rng() % 3 == 0) {
      const int prompt = 1 + static_cast<int>(rng() % 40);
      Add(*loop, next++, Prompt(prompt, step), 1 + static_cast<int64_t>(rng() % static_cast<uint32_t>(64 - prompt)));
    }
    if (next > 1 && rng() % 4 == 0) loop->Cancel(1 + static_cast<RequestId>(rng() % static_cast<uint64_t>(next - 1)));
    if (!loop->empty()) loop->RunStep(counters_);
    ASSERT_EQ(loop->CheckIntegrity(), "") << "step " << step;
  }
  Drain(*loop);
  for (RequestId id = 1; id < next; ++id) EXPECT_EQ(seen_[id].finishes, 1) << "request " << id;
}

// What a prompt's tokens score is what generating them would have told, chunked and preempted as it may be.
TEST_F(LoopTest, ScoredPromptsTellWhatGenerationTold) {
  const auto loop = Make({.max_context = 128, .max_step_tokens = 16, .kv_bytes = kPageBytes * 10, .exact = true});
  std::map<RequestId, std::vector<Token>> told;
  const auto add = [&](RequestId id, std::vector<tokenizer::TokenId> prompt, int64_t max_new, bool score) {
    Request request;
    request.prompt = std::move(prompt);
    request.max_new_tokens = max_new;
    request.sampling = {.temperature = 1.2F, .seed = static_cast<uint64_t>(id)};
    request.ignore_eos = true;
    request.n_top = 3;
    request.score_prompt = score;
    request.on_prompt = [&told, id](std::vector<Token>&& tokens) {
      for (Token& t : tokens) told[id].push_back(std::move(t));
    };
    request.on_token = [&told, id](Token&& t) { told[id].push_back(std::move(t)); };
    request.on_finish = [this, id](Finish&& f) {
      ++seen_[id].finishes;
      seen_[id].reason = f.reason;
    };
    loop->Add(id, std::move(request), 0);
  };
  for (int i = 1; i <= 4; ++i) add(i, Prompt(5, i), 50 + i, false);
  Drain(*loop);
  for (int i = 1; i <= 4; ++i) {
    std::vector<tokenizer::TokenId> text = Prompt(5, i);
    for (const Token& t : told[i]) text.push_back(t.id);
    add(10 + i, text, 0, true);
    add(20 + i, text, 9, true);
  }
  Drain(*loop);
  EXPECT_GT(counters_.preemptions, 0u) << "the pool was meant to run out";
  for (int i = 1; i <= 4; ++i) {
    for (const RequestId id : {10 + i, 20 + i}) {
      EXPECT_EQ(seen_[id].finishes, 1);
      EXPECT_EQ(seen_[id].reason, FinishReason::kLength);
      ASSERT_EQ(told[id].size(), 4u + told[i].size() + (id > 20 ? 9 : 0));
      for (size_t t = 0; t < 4; ++t) EXPECT_EQ(told[id][t].id, Prompt(5, i)[t + 1]);
      for (size_t t = 0; t < told[i].size(); ++t) {
        const Token& scored = told[id][4 + t];
        ASSERT_EQ(scored.id, told[i][t].id);
        ASSERT_EQ(scored.top.size(), 3u);
        // ignore_eos took the end token out of the generated ones' distribution; it has a thousandth of the whole.
        ASSERT_NEAR(scored.logprob, told[i][t].logprob, 0.05) << "request " << id << " token " << t;
      }
    }
  }
}

TEST_F(LoopTest, NothingToDrawAndNothingToScoreEndsAtOnce) {
  const auto loop = Make({.max_context = 128});
  Add(*loop, 1, Prompt(5, 1), 0);
  EXPECT_TRUE(loop->empty());
  EXPECT_EQ(seen_[1].finishes, 1);
  EXPECT_EQ(seen_[1].reason, FinishReason::kLength);
  EXPECT_TRUE(seen_[1].tokens.empty());
}

// Preempted answers are computed again, not drawn again: their matchers must not see a token twice.
TEST_F(LoopTest, GrammarsHoldThroughPreemption) {
  const auto loop = Make({.max_context = 96, .max_step_tokens = 20, .kv_bytes = kPageBytes * 7});
  std::vector<std::string> bytes;
  const tokenizer::Tokenizer& tokenizer = *loop->loaded().info->tokenizer;
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) bytes.push_back(tokenizer.TokenBytes(id, false));
  const auto vocabulary = std::make_shared<const grammar::Vocabulary>(bytes, loop->loaded().end_tokens);
  grammar::Syntax syntax;
  const auto letters = [&](char first) {
    const auto low = static_cast<uint32_t>(first);
    return syntax.Chars(grammar::CharSet({{low, low + 2}}));
  };
  // Blocks of (xyz)(abc) pairs, closed by "!": a token taken twice or left out breaks the rhythm.
  const auto root =
      syntax.Sequence({syntax.Repeat(syntax.Sequence({letters('x'), letters('a')}), 20, 20), syntax.Literal("!")});
  const auto compiled = grammar::Grammar::Compile(syntax, root, vocabulary);
  ASSERT_TRUE(compiled.ok()) << compiled.error().message;
  for (int i = 1; i <= 12; ++i) {
    Request request;
    request.prompt = Prompt(2 + 2 * i, i);
    request.max_new_tokens = 60;
    request.sampling = {.temperature = 1.5F, .seed = static_cast<uint64_t>(i)};
    request.grammar = *compiled;
    request.on_token = [this, i](Token&& t) { seen_[i].tokens.push_back(t.id); };
    request.on_finish = [this, i](Finish&& f) { seen_[i].reason = f.reason; };
    loop->Add(i, std::move(request), 0);
  }
  Drain(*loop);
  EXPECT_GT(counters_.preemptions, 0u) << "the pool was meant to run out";
  for (const auto& [id, seen] : seen_) {
    const std::string text = tokenizer.Decode(seen.tokens, false);
    ASSERT_EQ(text.size(), 41u) << text;
    for (size_t at = 0; at < 40; ++at) {
      EXPECT_GE(text[at], at % 2 == 0 ? 'x' : 'a') << text;
      EXPECT_LE(text[at], at % 2 == 0 ? 'z' : 'c') << text;
    }
    EXPECT_EQ(text[40], '!');
    EXPECT_EQ(seen.reason, FinishReason::kStop) << "only the end was left";
  }
  EXPECT_NE(tokenizer.Decode(seen_[1].tokens, false), tokenizer.Decode(seen_[2].tokens, false));
}

}  // namespace
}  // namespace tenfold::engine
