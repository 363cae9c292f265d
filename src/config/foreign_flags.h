// llama-server's flags that have no row in our table: what to say to the people whose scripts carry them.
//
// Taken with a warning: those that ask for what happens here anyway, or only for speed by means that do not apply. All
// others would be missed if they did nothing, so they are refused, each with the reason and what to do.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace tenfold::config {

enum class Argument { kNone, kOne, kMaybeSwitchWord };  // the last: on, off or auto may follow

struct ForeignFlag {
  std::vector<std::string_view> flags;
  Argument argument = Argument::kNone;
  bool accepted = false;
  std::string_view reason;  // the rest of "--jinja has no effect: ..." or "--lora is not supported: ..."
};

std::span<const ForeignFlag> ForeignFlags();
const ForeignFlag* FindForeignFlag(std::string_view flag);  // null without one

}  // namespace tenfold::config
