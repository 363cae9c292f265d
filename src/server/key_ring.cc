#include "server/key_ring.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

namespace tenfold::server {
namespace {

// The prefix keeps the log's names of keys from being looked up in tables of SHA-256.
std::array<unsigned char, 32> DigestOf(std::string_view key) {
  const std::string salted = "tenfold api key:" + std::string(key);
  std::array<unsigned char, 32> digest;
  SHA256(reinterpret_cast<const unsigned char*>(salted.data()), salted.size(), digest.data());
  return digest;
}

}  // namespace

KeyRing::KeyRing(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) keys_.push_back(DigestOf(key));
}

// Digests are of one length and tell nothing about their keys, so neither length nor first difference shows.
std::optional<std::string> KeyRing::Find(std::string_view candidate) const {
  const Digest digest = DigestOf(candidate);
  unsigned found = 0;
  for (const Digest& key : keys_) found |= CRYPTO_memcmp(key.data(), digest.data(), digest.size()) == 0 ? 1U : 0U;
  if (found == 0) return std::nullopt;
  return fmt::format("{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
}

}  // namespace tenfold::server
