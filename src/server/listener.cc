// The accept loop: every connection is tuned here, and turned away here when there are too many.
#include "server/listener.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <memory>
#include <utility>

#include "base/log.h"
#include "server/accepted.h"

namespace tenfold::server {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr size_t kMaxTurnedAway = 64;  // at the same time

// The kernel's buffer would otherwise grow to megabytes for a client that does not read, beside ours. A client that is
// gone without a word (cable, power) is noticed within two minutes while nothing is sent, and as a write that makes no
// progress otherwise.
void Tune(tcp::socket& socket, const ConnectionLimits& limits) {
  const int fd = socket.native_handle();
  const auto set = [fd](int level, int name, int value) { setsockopt(fd, level, name, &value, sizeof value); };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_SNDBUF, limits.kernel_send_bytes);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 15);
  set(IPPROTO_TCP, TCP_KEEPCNT, 4);
}

}  // namespace

struct Listener::Impl {
  Impl(asio::io_context& context, ConnectionHost& host_in) : acceptor(context), retry(context), host(host_in) {}

  asio::awaitable<void> Accept() {
    while (acceptor.is_open()) {
      auto [ec, socket] = co_await acceptor.async_accept(kTuple);
      if (ec == asio::error::operation_aborted || !acceptor.is_open()) co_return;
      if (ec) {  // out of descriptors, mostly: let some connections end first
        Log(LogLevel::kWarn, fmt::format("cannot accept a connection: {}", ec.message()));
        retry.expires_after(std::chrono::milliseconds(100));
        auto [wait_ec] = co_await retry.async_wait(kTuple);
        if (wait_ec) co_return;
        continue;
      }
      Tune(socket, host.limits);
      if (host.open.size() >= host.limits.max_connections && !host.MakeRoom()) {
        TurnAway(std::move(socket));
      } else {
        StartConnection(std::move(socket), tls.get(), host);
      }
    }
  }

  // A 503 to somebody for whom there is no place. Not under TLS, whose handshake would cost more than an answer, and
  // not for more than a few at a time, because each of them holds a descriptor: those see the connection end.
  void TurnAway(tcp::socket socket) {
    if (std::exchange(warned, true) == false) {
      Log(LogLevel::kWarn, fmt::format("{} connections are open and none is idle: more are turned away "
                                       "(--max-connections)",
                                       host.open.size()));
    }
    if (host.on_turned_away) host.on_turned_away();
    if (tls != nullptr || turning_away >= kMaxTurnedAway) return;
    ++turning_away;
    asio::co_spawn(
        acceptor.get_executor(),
        [this, s = std::move(socket)]() mutable -> asio::awaitable<void> { return SayNoPlace(std::move(s)); },
        [this](std::exception_ptr) { --turning_away; });
  }

  // Its request is read and dropped for a moment, so that no reset takes the answer away.
  asio::awaitable<void> SayNoPlace(tcp::socket socket) {
    HttpResponse response = ErrorResponse(api::Overloaded("The server has as many connections as it takes.", 5));
    response.close = true;
    const std::string out =
        SerializeHead(response, "", static_cast<int64_t>(response.body.size()), false, false) + response.body;
    const auto open = std::make_shared<tcp::socket>(std::move(socket));
    asio::steady_timer limit(open->get_executor(), std::chrono::seconds(1));
    limit.async_wait([open](const error_code& ec) {
      error_code ignored;
      if (!ec) open->close(ignored);
    });
    error_code ignored;
    co_await asio::async_write(*open, asio::buffer(out), kTuple);
    open->shutdown(tcp::socket::shutdown_send, ignored);
    char dropped[1024];
    while (open->is_open()) {
      auto [ec, n] = co_await open->async_read_some(asio::buffer(dropped), kTuple);
      if (ec) break;
    }
    open->close(ignored);
  }

  tcp::acceptor acceptor;
  asio::steady_timer retry;
  size_t turning_away = 0;
  bool warned = false;
  TlsContext tls;  // null: plain HTTP
  ConnectionHost& host;
};

Listener::Listener(IoLoop& loop, ConnectionHost& host) : impl_(std::make_unique<Impl>(loop.context(), host)) {}
Listener::~Listener() = default;

void Listener::UseTls(TlsContext context) { impl_->tls = std::move(context); }

Status Listener::Bind(const std::string& host, uint16_t port) {
  error_code ec;
  asio::ip::address address = asio::ip::make_address(host, ec);
  if (ec && host == "localhost") {
    address = asio::ip::address_v4::loopback();
  } else if (ec) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("--host {} is not an IP address; use 127.0.0.1, 0.0.0.0 or ::.", host)};
  }
  const tcp::endpoint endpoint(address, port);
  tcp::acceptor& acceptor = impl_->acceptor;
  const auto failed = [&](std::string_view what) {
    const std::string where = fmt::format("{}:{}", host, port);
    if (ec == asio::error::address_in_use) {
      return Error{ErrorCode::kIo, fmt::format("Port {} on {} is in use by another program; stop it, or choose another "
                                               "with --port.",
                                               port, host)};
    }
    return Error{ErrorCode::kIo, fmt::format("Cannot {} {}: {}.", what, where, ec.message())};
  };
  acceptor.open(endpoint.protocol(), ec);
  if (ec) return failed("open a socket for");
  acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
  if (address.is_v6()) acceptor.set_option(asio::ip::v6_only(false), ec);
  acceptor.bind(endpoint, ec);
  if (ec) return failed("bind to");
  acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) return failed("listen on");
  return {};
}

void Listener::Start() {
  asio::co_spawn(
      impl_->acceptor.get_executor(), [this]() { return impl_->Accept(); }, asio::detached);
}

void Listener::Close() {
  error_code ignored;
  impl_->acceptor.close(ignored);
  impl_->retry.cancel();
}

uint16_t Listener::port() const {
  error_code ec;
  const tcp::endpoint endpoint = impl_->acceptor.local_endpoint(ec);
  return ec ? 0 : endpoint.port();
}

Status ProbePort(const std::string& host, uint16_t port) {
  IoLoop loop;
  ConnectionHost nobody;
  Listener listener(loop, nobody);
  const Status bound = listener.Bind(host, port);
  listener.Close();
  return bound;
}

}  // namespace tenfold::server
