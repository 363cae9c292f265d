#include "server/tls_context.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/log.h"

namespace tenfold::server {
namespace {

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

struct CertificateDeleter {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using Certificate = std::unique_ptr<X509, CertificateDeleter>;

struct KeyDeleter {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Key = std::unique_ptr<EVP_PKEY, KeyDeleter>;

Error Wrong(std::string_view setting, const std::string& path, std::string_view what) {
  return Error{ErrorCode::kInvalidArgument, fmt::format("{}: {} {}", setting, path, what)};
}

Result<File> Open(std::string_view setting, const std::string& path) {
  File file(std::fopen(path.c_str(), "rbe"));
  if (file == nullptr) {
    return Error{ErrorCode::kIo, fmt::format("{}: cannot open {}: {}", setting, path, std::strerror(errno))};
  }
  return file;
}

std::string LastReason() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "unknown reason" : reason;
}

// Asked by OpenSSL when a key is encrypted. Nobody is there to type a password.
int NoPassword(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

Status UseChain(SSL_CTX* context, const std::string& path) {
  TENFOLD_TRY(const File file, Open("tls_cert", path));
  const Certificate own(PEM_read_X509(file.get(), nullptr, nullptr, nullptr));
  if (own == nullptr) {
    ERR_clear_error();
    return Wrong("tls_cert", path, "holds no PEM certificate (-----BEGIN CERTIFICATE-----)");
  }
  if (SSL_CTX_use_certificate(context, own.get()) != 1) {
    return Wrong("tls_cert", path, "is refused by OpenSSL: " + LastReason());
  }
  while (X509* next = PEM_read_X509(file.get(), nullptr, nullptr, nullptr)) {
    if (SSL_CTX_add0_chain_cert(context, next) != 1) {  // takes it over
      X509_free(next);
      return Wrong("tls_cert", path, "has a chain that is refused by OpenSSL: " + LastReason());
    }
  }
  ERR_clear_error();  // the end of the file is one
  if (X509_cmp_current_time(X509_get0_notAfter(own.get())) < 0) {
    Log(LogLevel::kWarn, fmt::format("tls_cert: the certificate in {} has run out; clients will refuse it", path));
  }
  return {};
}

Status UseKey(SSL_CTX* context, const TlsFiles& files) {
  TENFOLD_TRY(const File file, Open("tls_key", files.key));
  bool encrypted = false;
  const Key key(PEM_read_PrivateKey(file.get(), nullptr, NoPassword, &encrypted));
  ERR_clear_error();
  if (encrypted) {
    return Wrong("tls_key", files.key,
                 fmt::format("is encrypted; write a plain copy with: openssl pkey -in {} -out PLAIN.pem", files.key));
  }
  if (key == nullptr) return Wrong("tls_key", files.key, "holds no PEM private key (-----BEGIN PRIVATE KEY-----)");
  if (X509_check_private_key(SSL_CTX_get0_certificate(context), key.get()) != 1) {
    ERR_clear_error();
    return Wrong("tls_key", files.key, fmt::format("is not the key of the certificate in {}", files.cert));
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return Wrong("tls_key", files.key, "is refused by OpenSSL: " + LastReason());
  }
  return {};
}

}  // namespace

void TlsContextDeleter::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

Result<TlsContext> LoadTls(const TlsFiles& files) {
  TlsContext context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return Error{ErrorCode::kInternal, "OpenSSL gives no context: " + LastReason()};
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // An idle connection keeps no buffers of OpenSSL's; a write may be tried again from another place in memory.
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  TENFOLD_TRY_STATUS(UseChain(context.get(), files.cert));
  TENFOLD_TRY_STATUS(UseKey(context.get(), files));
  return context;
}

}  // namespace tenfold::server
