// The listening socket: bound before anything slow happens, accepting once Start is called.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "server/connection.h"
#include "server/io_loop.h"
#include "server/tls_context.h"

namespace tenfold::server {

// I/O thread only, once the loop runs.
class Listener {
 public:
  Listener(IoLoop& loop, ConnectionHost& host);
  ~Listener();

  // Binds and listens; the kernel queues connections from now on. Port 0: any free one. kIo with a sentence that names
  // address and port, and what to do.
  Status Bind(const std::string& host, uint16_t port);
  // From now on connections are TLS. Before Start.
  void UseTls(TlsContext context);
  void Start();  // accept until Close
  void Close();
  uint16_t port() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Whether a server could listen there: Bind's answer, after which nothing listens.
Status ProbePort(const std::string& host, uint16_t port);

}  // namespace tenfold::server
