#include "config/foreign_flags.h"

#include <algorithm>

namespace tenfold::config {
namespace {

constexpr auto kNone = Argument::kNone;
constexpr auto kOne = Argument::kOne;
constexpr auto kWord = Argument::kMaybeSwitchWord;

std::vector<ForeignFlag> Accepted() {
  return {
      {{"--jinja"}, kNone, true, "chat templates are always run"},
      {{"-fa", "--flash-attn"}, kWord, true, "attention never stores its whole matrix"},
      {{"-cb", "--cont-batching"}, kNone, true, "requests always join and leave at any step"},
      {{"--no-webui"}, kNone, true, "there is no page"},
      {{"--no-context-shift"}, kNone, true, "a context is never shifted"},
      {{"-ub", "--ubatch-size"}, kOne, true, "a step is never split; see --batch-size"},
      {{"-tb", "--threads-batch"}, kOne, true, "prompts and answers share one set of threads; see --threads"},
      {{"--threads-http"}, kOne, true, "one thread serves all connections"},
      {{"--metrics", "--props", "--slots"}, kNone, true, "the route is always there"},
      {{"--warmup", "--no-warmup"}, kNone, true, "the first token is always computed while loading"},
      {{"--poll", "--prio"}, kOne, true, "idle threads sleep"},
      {{"--repack"}, kNone, true, "weights are always repacked"},
      {{"--offline"}, kNone, true, "nothing is ever fetched"},
      {{"-kvo", "--kv-offload", "-nkvo", "--no-kv-offload"}, kNone, true, "there is no GPU"},
      {{"-sm", "--split-mode", "-ts", "--tensor-split", "-mg", "--main-gpu"}, kOne, true, "there is no GPU"},
      {{"--log-colors"}, kWord, true, "colours are shown on a terminal only"},
      {{"--log-timestamps", "--log-prefix", "--perf", "--no-perf"}, kNone, true, "lines always carry time and level"},
      {{"-kvu", "--kv-unified"}, kNone, true, "all requests share one pool of pages"},
  };
}

std::vector<ForeignFlag> Refused() {
  constexpr std::string_view kPerRequest = "it belongs into the request";
  constexpr std::string_view kFile = "fetch the file first and name it with -m";
  constexpr std::string_view kMultimodal = "images and sound are not read";
  constexpr std::string_view kDraft = "there is no speculation with a draft model";
  constexpr std::string_view kRope = "the model file says how positions are encoded";
  return {
      {{"--embedding", "--embeddings", "--rerank", "--reranking", "--pooling"},
       kNone,
       false,
       "this server generates text only"},
      {{"--lora", "--lora-scaled", "--control-vector"},
       kOne,
       false,
       "adapters are not applied; merge it into the file"},
      {{"-md", "--model-draft", "--draft", "--draft-max", "--draft-min"}, kOne, false, kDraft},
      {{"-mm", "--mmproj", "--mmproj-url"}, kOne, false, kMultimodal},
      {{"-mu", "--model-url", "-hf", "-hfr", "--hf-repo", "-hff", "--hf-file", "-dr", "--docker-repo"},
       kOne,
       false,
       kFile},
      {{"--context-shift"}, kNone, false, "an answer ends where the context ends; raise --ctx-size"},
      {{"--chat-template"}, kOne, false, "name a file with --chat-template-file"},
      {{"--rope-scaling", "--rope-scale", "--rope-freq-base", "--rope-freq-scale", "--yarn-orig-ctx"},
       kOne,
       false,
       kRope},
      {{"--temp", "--temperature", "--top-k", "--top-p", "--min-p", "-s", "--seed", "-n", "--predict", "--n-predict"},
       kOne,
       false,
       kPerRequest},
      {{"--repeat-penalty", "--presence-penalty", "--frequency-penalty", "--grammar", "--grammar-file", "-j",
        "--json-schema", "--ignore-eos", "-l", "--logit-bias"},
       kOne,
       false,
       kPerRequest},
      {{"--path", "--api-prefix"}, kOne, false, "put a reverse proxy in front for that"},
      {{"--log-file"}, kOne, false, "the log goes to stderr; redirect it"},
      {{"--log-disable"}, kNone, false, "use --log-level error"},
      {{"-lv", "--verbosity", "--log-verbosity"}, kOne, false, "use --log-level"},
      {{"-to", "--timeout"}, kOne, false, "use --idle-seconds, --body-seconds, --write-seconds or --request-seconds"},
      {{"--slot-save-path"}, kOne, false, "the state of a request cannot be saved"},
      {{"-C", "--cpu-mask", "-Cr", "--cpu-range"}, kOne, false, "use --cpu-affinity with a list of CPUs"},
      {{"--numa"}, kOne, false, "memory is taken from all nodes in turns; --cpu-affinity chooses CPUs, numactl nodes"},
      {{"--override-kv", "--check-tensors", "-ot", "--override-tensor"}, kOne, false, "the file is taken as it is"},
  };
}

}  // namespace

std::span<const ForeignFlag> ForeignFlags() {
  static const std::vector<ForeignFlag> flags = [] {
    std::vector<ForeignFlag> all = Accepted();
    for (ForeignFlag& flag : Refused()) all.push_back(std::move(flag));
    return all;
  }();
  return flags;
}

const ForeignFlag* FindForeignFlag(std::string_view flag) {
  for (const ForeignFlag& row : ForeignFlags()) {
    if (std::find(row.flags.begin(), row.flags.end(), flag) != row.flags.end()) return &row;
  }
  return nullptr;
}

}  // namespace tenfold::config
