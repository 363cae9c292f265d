#include "chat/tool_format.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

namespace tenfold::chat {
namespace {

TEST(ToolFormat, NoTemplateNoFormat) {
  EXPECT_EQ(DetectToolFormat(""), ToolFormat::kNone);
  EXPECT_EQ(DetectToolFormat("{% for m in messages %}<|im_start|>{{ m.role }}{% endfor %}"), ToolFormat::kNone);
  EXPECT_EQ(DetectToolFormat("<|start_header_id|>{{ content }}<|eot_id|>"), ToolFormat::kNone);
}

// Every template of the test data, by the format that its models were trained to write.
TEST(ToolFormat, PublishedTemplates) {
  const char* data = std::getenv("TENFOLD_TEST_DATA");
  if (data == nullptr) GTEST_SKIP() << "TENFOLD_TEST_DATA does not name a folder with test data";
  const std::pair<const char*, ToolFormat> kTemplates[] = {
      {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", ToolFormat::kHermes},
      {"Qwen3-Coder", ToolFormat::kQwenCoder},
      {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", ToolFormat::kNone},
      {"llama3_2", ToolFormat::kLlama3},
      {"meta-llama-Llama-3.2-3B-Instruct", ToolFormat::kLlama3},
      {"qwen2_5", ToolFormat::kHermes},
      {"qwen3", ToolFormat::kHermes},
      {"qwen3_instruct_2507", ToolFormat::kHermes},
  };
  for (const auto& [name, format] : kTemplates) {
    std::ifstream file(std::string(data) + "/templates/" + name + ".jinja");
    ASSERT_TRUE(file) << name;
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    EXPECT_EQ(DetectToolFormat(text), format) << name;
  }
}

}  // namespace
}  // namespace tenfold::chat
