// Every measurement of a search, in a file as it happens, and read back when the search is taken up again.
//
// What it does: stands between the search and whoever measures. Measurements that are in the file already are answered
// from it, in their order; since the search depends on nothing else, it comes to the same place and goes on measuring
// there. What it does not: mend a file of another machine, model or question: its first line is compared, and refused
// by the name of what differs.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tune/search.h"

namespace tenfold::tune {

struct Recorded {
  std::string candidate;  // Space::TextOf
  double scale = 1;
  Measured measured;
};

// What two parts of one search must agree on: name -> value, in the order in which a difference is told.
using Circumstances = std::vector<std::pair<std::string, std::string>>;

std::string HeaderLine(const Circumstances& circumstances);  // no newline
std::string LineOf(const Recorded& recorded);                // no newline

// A file's measurements. A last line that was cut off counts as not written. Errors: kInvalidArgument names the
// circumstance that differs, kCorrupt the line that is wrong. `path` for errors.
Result<std::vector<Recorded>> ParseJournal(std::string_view text, const Circumstances& here, const std::string& path);

class Journal : public Measuring {
 public:
  // `record`: called with each new measurement.
  Journal(const Space& space, std::vector<Recorded> recorded, Measuring& measuring,
          std::function<void(const Recorded&)> record)
      : space_(space), recorded_(std::move(recorded)), measuring_(measuring), record_(std::move(record)) {}

  Measured Measure(const Trial& trial) override;
  bool stopped() const override { return stopped_; }
  bool replaying() const { return next_ < recorded_.size(); }
  // The search asked for something else than the file holds next: what was left of the file is of no use.
  bool diverged() const { return diverged_; }

 private:
  const Space& space_;
  std::vector<Recorded> recorded_;
  size_t next_ = 0;
  Measuring& measuring_;
  std::function<void(const Recorded&)> record_;
  bool stopped_ = false;
  bool diverged_ = false;
};

}  // namespace tenfold::tune
