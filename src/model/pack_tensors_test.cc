// That what is reported as packed is packed, while other threads are still at work behind it.
#include "model/pack_tensors.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "gguf/test_model.h"
#include "platform/memory.h"
#include "tensor/dtype.h"

namespace tenfold::model {
namespace {

// A model of some 40 MB with every tensor bound, and room for it.
class PackTensorsTest : public ::testing::Test {
 protected:
  PackTensorsTest() : folder_(::testing::TempDir() + "/pack_tensors_test_XXXXXX") {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    const std::vector<uint8_t> bytes = gguf::MakeTinyModel({.types = "f32", .vocab = 40'000, .seed = 5});
    std::ofstream(folder_ + "/m.gguf", std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
    file_.emplace(gguf::ModelFile::Open(folder_ + "/m.gguf").value());
    BindAll();
  }
  ~PackTensorsTest() override { std::filesystem::remove_all(folder_); }

  void BindAll() {
    const std::vector<gguf::TensorInfo>& tensors = file_->file().tensors();
    matrices_.resize(tensors.size());
    vectors_.resize(tensors.size());
    for (size_t i = 0; i < tensors.size(); ++i) {
      const gguf::TensorInfo& t = tensors[i];
      const auto cols = static_cast<int64_t>(t.dims[0]);
      Binding b{&t, nullptr, nullptr, arena_bytes_, static_cast<size_t>(cols) * sizeof(float)};
      if (t.dims.size() == 1) {
        b.vector = &vectors_[i];
      } else {
        matrices_[i] = {t.type, static_cast<int64_t>(t.dims[1]), cols, nullptr};
        b.matrix = &matrices_[i];
        b.arena_bytes = kernels::PackedBytes(t.type, matrices_[i].rows, cols);
      }
      arena_bytes_ += (b.arena_bytes + 63) / 64 * 64;
      bindings_.push_back(b);
    }
    std::sort(bindings_.begin(), bindings_.end(),
              [](const Binding& a, const Binding& b) { return a.tensor->offset_bytes < b.tensor->offset_bytes; });
  }

  // Bytes of the binding in the arena once so much of the file is packed.
  size_t PackedUntil(const Binding& b, uint64_t done) const {
    const uint64_t position = file_->PositionOf(*b.tensor);
    if (done >= position + b.tensor->size_bytes) return b.arena_bytes;
    if (done <= position || b.matrix == nullptr) return 0;
    const uint64_t panel_bytes =
        tensor::RowBytes(b.tensor->type, static_cast<size_t>(b.matrix->cols)) * kernels::kPanelRows;
    return (done - position) / panel_bytes * kernels::PanelBytes(b.tensor->type, b.matrix->cols);
  }

  std::string folder_;
  std::optional<gguf::ModelFile> file_;
  std::vector<kernels::PackedMatrix> matrices_;
  std::vector<const float*> vectors_;
  std::vector<Binding> bindings_;
  size_t arena_bytes_ = 0;
};

TEST_F(PackTensorsTest, WhatIsReportedIsPacked) {
  platform::ThreadPool alone(1, nullptr);
  const platform::HugeBuffer want = platform::HugeBuffer::Allocate(arena_bytes_).value();
  ASSERT_TRUE(PackTensors(*file_, bindings_, want.data(), alone, [](uint64_t, uint64_t) { return true; }));

  platform::ThreadPool pool(4, nullptr);
  const platform::HugeBuffer got = platform::HugeBuffer::Allocate(arena_bytes_).value();
  uint64_t before = 0;
  size_t wrong = 0;
  ASSERT_TRUE(PackTensors(*file_, bindings_, got.data(), pool, [&](uint64_t done, uint64_t) {
    for (const Binding& b : bindings_) {
      const size_t from = b.arena_offset + PackedUntil(b, before);
      const size_t to = b.arena_offset + PackedUntil(b, done);
      wrong += std::memcmp(want.data() + from, got.data() + from, to - from) != 0 ? 1 : 0;
    }
    before = done;
    return true;
  }));
  EXPECT_EQ(wrong, 0u) << "parts that were not packed when they were reported";
  EXPECT_EQ(std::memcmp(want.data(), got.data(), arena_bytes_), 0);
  for (size_t i = 0; i < bindings_.size(); ++i) {
    const void* data = bindings_[i].matrix != nullptr ? static_cast<const void*>(bindings_[i].matrix->data)
                                                      : static_cast<const void*>(*bindings_[i].vector);
    EXPECT_EQ(data, got.data() + bindings_[i].arena_offset);
  }
}

}  // namespace
}  // namespace tenfold::model
