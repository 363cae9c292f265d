// A client's byte stream: TCP, or TLS over TCP. One type for both, so that what is written over it (connection.cc) is
// compiled once. For connection.cc only: it sees Asio.
#pragma once

#include <openssl/ssl.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <optional>
#include <utility>

namespace tenfold::server {

// Models Asio's AsyncReadStream and AsyncWriteStream. One read and one write may be under way at a time.
class Transport {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using executor_type = Socket::executor_type;

  // `tls`: null for plain TCP; else Handshake comes before anything else.
  Transport(Socket socket, SSL_CTX* tls) : socket_(std::move(socket)) {
    SSL* ssl = tls == nullptr ? nullptr : SSL_new(tls);
    if (ssl != nullptr) tls_.emplace(socket_, ssl);
    broken_ = tls != nullptr && ssl == nullptr;
  }

  executor_type get_executor() { return socket_.get_executor(); }
  Socket& socket() { return socket_; }
  bool is_tls() const { return tls_.has_value(); }
  bool broken() const { return broken_; }  // no memory for TLS: close it

  template <class Token>
  auto Handshake(Token&& token) {
    return tls_->async_handshake(boost::asio::ssl::stream_base::server, std::forward<Token>(token));
  }
  // Says that no more will come, and waits for the client to say so too.
  template <class Token>
  auto Shutdown(Token&& token) {
    return tls_->async_shutdown(std::forward<Token>(token));
  }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    if (tls_) return tls_->async_read_some(buffers, std::forward<Token>(token));
    return socket_.async_read_some(buffers, std::forward<Token>(token));
  }
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    if (tls_) return tls_->async_write_some(buffers, std::forward<Token>(token));
    return socket_.async_write_some(buffers, std::forward<Token>(token));
  }

 private:
  Socket socket_;
  std::optional<boost::asio::ssl::stream<Socket&>> tls_;
  bool broken_ = false;
};

}  // namespace tenfold::server
