// One rendering's memory, limits and first error.
//
// What it does: owns every object made while rendering, counts steps and bytes, remembers the first thing that went
// wrong and at which line. After a failure every further call is harmless and gives undefined, so that callers need
// not look after each step; loops end because Charge() says no.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/value.h"

namespace tenfold::jinja {

// What one rendering may use. The defaults allow a conversation of a few megabytes and stop within about a second.
struct Limits {
  uint64_t steps = 20'000'000;         // evaluated nodes; copying or searching 32 bytes also counts as one
  uint64_t memory_bytes = 256u << 20;  // of all objects made, whether still in use or not
  uint64_t output_bytes = 32u << 20;
  int depth = 600;  // nested evaluations, macros included
};

class Run {
 public:
  explicit Run(const Limits& limits) : limits_(limits) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  // Remembers the first failure. Gives undefined, for `return run.Fail(...)`.
  Value Fail(std::string message);
  // The template itself refused by raise_exception.
  Value Raise(std::string message);
  bool failed() const { return failed_; }
  bool raised() const { return raised_; }
  const std::string& message() const { return message_; }
  int line() const { return line_; }
  void set_line(int line) {
    if (!failed_) line_ = line;
  }

  // False, and a failure, when the budget is used up or something failed before.
  bool Charge(uint64_t steps);
  bool ChargeBytes(uint64_t bytes) { return Charge(bytes / 32 + 1); }
  // Before memory is taken for `bytes` more; also charges steps for filling them.
  bool Reserve(uint64_t bytes);

  const Limits& limits() const { return limits_; }

  Value NewText(MarkedText text, bool is_markup = false);
  Value NewText(std::string_view text, bool is_data = false) { return NewText(MarkedText(text, is_data)); }
  Value Undefined(std::string why);
  Value NewSequence(Kind kind, std::vector<Value> items, const char* name = "");
  Value NewList(std::vector<Value> items) { return NewSequence(Kind::kList, std::move(items)); }
  Value NewTuple(std::vector<Value> items) { return NewSequence(Kind::kTuple, std::move(items)); }
  // Of equal keys the last value wins and the first place is kept. Keys must be hashable.
  Value NewDict(std::vector<std::pair<Value, Value>> entries);
  Value NewNamespace();
  Value NewCallable(Callable callable);

  // Any other object that must live as long as this rendering.
  template <class T, class... Args>
  T* Make(Args&&... args) {
    Reserve(sizeof(T));
    auto owned = std::make_shared<T>(std::forward<Args>(args)...);
    T* out = owned.get();
    others_.push_back(std::move(owned));
    return out;
  }

 private:
  Limits limits_;
  uint64_t steps_ = 0;
  uint64_t memory_bytes_ = 0;
  bool failed_ = false;
  bool raised_ = false;
  std::string message_;
  int line_ = 1;
  std::deque<Text> texts_;
  std::deque<Sequence> sequences_;
  std::deque<Dict> dicts_;
  std::deque<Namespace> spaces_;
  std::vector<std::shared_ptr<void>> others_;
};

}  // namespace tenfold::jinja
