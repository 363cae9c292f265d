// Counts how deep evaluation is nested, and refuses to go too deep.
#pragma once

#include <fmt/format.h>

#include "jinja/evaluator.h"

namespace tenfold::jinja {

class Evaluator::Nested {
 public:
  explicit Nested(Evaluator& evaluator) : evaluator_(evaluator) {
    ok_ = ++evaluator_.depth_ <= evaluator_.run_.limits().depth;
    if (!ok_) {
      evaluator_.run_.Fail(fmt::format("the template nests evaluations more than {} deep; does a macro call itself?",
                                       evaluator_.run_.limits().depth));
    }
  }
  ~Nested() { --evaluator_.depth_; }
  Nested(const Nested&) = delete;
  Nested& operator=(const Nested&) = delete;
  bool ok() const { return ok_; }

 private:
  Evaluator& evaluator_;
  bool ok_ = false;
};

}  // namespace tenfold::jinja
