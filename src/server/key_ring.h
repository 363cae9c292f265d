// The API keys, compared so that the time taken tells nothing about them.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenfold::server {

// Immutable; any thread. Keeps digests, not the keys.
class KeyRing {
 public:
  explicit KeyRing(const std::vector<std::string>& keys);

  bool empty() const { return keys_.empty(); }
  // Which key this is, as the log calls it: eight hex digits of a digest, nothing from which a key could be had.
  // Nothing when it is none of ours. The candidate's digest is compared with every key's, whole, whichever matches.
  std::optional<std::string> Find(std::string_view candidate) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  std::vector<Digest> keys_;
};

}  // namespace tenfold::server
