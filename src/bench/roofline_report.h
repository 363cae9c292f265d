// A measured roofline as text for people and as JSON.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "bench/roofline.h"

namespace tenfold::bench {

// {"kind": "roofline", ...}
boost::json::object ToJson(const Roofline& roofline);
// A table, one line a loop, with a newline at the end of each. Says what one instruction a cycle means where a loop
// starts no more than that.
std::string Format(const Roofline& roofline);

}  // namespace tenfold::bench
