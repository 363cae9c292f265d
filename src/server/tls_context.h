// The certificate and key of HTTPS, read and checked before the server starts. OpenSSL's own types stay in the .cc
// file; connections get their part of it through the pointer.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX

namespace tenfold::server {

struct TlsFiles {
  std::string cert;  // PEM: the certificate, then its chain
  std::string key;   // PEM, not encrypted
  bool wanted() const { return !cert.empty() || !key.empty(); }
};

struct TlsContextDeleter {
  void operator()(ssl_ctx_st* context) const;
};
using TlsContext = std::unique_ptr<ssl_ctx_st, TlsContextDeleter>;

// TLS 1.2 and newer. Errors name the file and say what is wrong with it: not there, no PEM, encrypted, or a key that is
// not this certificate's. A certificate that has run out is a warning in the log: some client may not mind.
Result<TlsContext> LoadTls(const TlsFiles& files);

}  // namespace tenfold::server
