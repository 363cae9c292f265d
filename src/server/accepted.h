// Between the listener and the connections: an accepted socket becomes one. For listener.cc and connection.cc only: it
// sees Asio.
#pragma once

#include <openssl/ssl.h>

#include <boost/asio/ip/tcp.hpp>

#include "server/connection.h"

namespace tenfold::server {

// Serves the socket until it ends. `tls`: null for plain TCP.
void StartConnection(boost::asio::ip::tcp::socket socket, SSL_CTX* tls, ConnectionHost& host);

}  // namespace tenfold::server
