// What the measuring subcommands share: results as JSON lines in a file, and Ctrl-C that keeps what was measured.
#pragma once

#include <boost/json/object.hpp>
#include <fstream>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tenfold::apps {

// From now on the first SIGINT only makes Interrupted() true; a second one ends the process as usual.
void StopOnInterrupt();
bool Interrupted();

// A whole file of results, at most 1 GiB. Errors name the path and the reason.
Result<std::string> ReadResultText(const std::string& path);

// One JSON object a line, flushed at once: what was written survives whatever happens next.
class JsonLines {
 public:
  // path: "" for none, "-" is not special. Errors name the flag and the path.
  static Result<JsonLines> Open(std::string_view flag, const std::string& path);
  void Write(const boost::json::object& object);
  // kIo when any line could not be written.
  Status Close();

 private:
  std::string flag_;
  std::string path_;
  std::ofstream file_;
};

}  // namespace tenfold::apps
