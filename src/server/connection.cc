// Beast lives in this file only: one coroutine a connection.
#include "server/connection.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/sslerr.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "server/accepted.h"
#include "server/transport.h"

namespace tenfold::server {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr size_t kReadBytes = 4096;
constexpr size_t kIdleBytes = 512;               // for the first bytes of a request
constexpr int64_t kLookForEndUs = 1'000'000;     // of a client we no longer read from
constexpr size_t kMaxReadAheadBytes = 64 << 10;  // pipelined requests that wait for their turn
constexpr int64_t kLingerUs = 1'000'000;
constexpr int64_t kCancelAgainUs = 100'000;
constexpr size_t kMaxLingerBytes = 64 << 20;

// Ids go into logs and headers, so a client's own is taken only if it is short and plain.
bool IsPlainId(std::string_view id) {
  if (id.empty() || id.size() > 128) return false;
  for (char c : id) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                       c == '_' || c == '.' || c == ':';
    if (!plain) return false;
  }
  return true;
}

// Probes come every second: only who was turned away is of interest to everybody.
void LogExchange(const Exchange& exchange) {
  const HttpRequest& request = exchange.request();
  const bool refused = exchange.status() == 401 || exchange.status() == 403;
  Log(refused ? LogLevel::kInfo : LogLevel::kDebug, "request",
      {{"id", request.id},
       {"key", request.key_name.empty() ? "none" : std::string_view(request.key_name)},
       {"route", std::string_view(request.path).substr(0, 200)},
       {"method", request.method},
       {"status", int64_t{exchange.status()}},
       {"total_ms", static_cast<double>(NowUs() - request.received_us) / 1000.0}});
}

class ClientConnection final : public Connection {
 public:
  ClientConnection(tcp::socket socket, SSL_CTX* tls, ConnectionHost& host)
      : stream_(std::move(socket), tls),
        host_(host),
        deadline_(stream_.get_executor()),
        signal_(stream_.get_executor()),
        buffer_(host.limits.max_head_bytes + kMaxReadAheadBytes + kReadBytes) {
    host_.open.insert(this);
  }
  ~ClientConnection() override {
    StopServing();
    LeaveIdle();
    host_.open.erase(this);
  }

  void Start() {
    asio::co_spawn(
        stream_.get_executor(), [self = shared_from_this(), this]() -> asio::awaitable<void> { return Run(); },
        [self = shared_from_this()](std::exception_ptr e) {
          if (e) Log(LogLevel::kError, "a connection ended with an exception; it was closed");
        });
  }

  void CloseIfIdle() override {
    if (!idle_) return;
    LeaveIdle();
    SetDeadline(0);
  }

 private:
  using Parser = http::request_parser<http::string_body>;

  asio::awaitable<void> Run() {
    const bool open = co_await Open();
    while (open) {
      std::shared_ptr<Exchange> exchange = co_await Read();
      if (exchange == nullptr) break;
      ++host_.serving;
      serving_ = true;
      co_await Serve(*exchange, exchange);
      StopServing();
      exchange->on_output = nullptr;
      if (!exchange->logged()) LogExchange(*exchange);
      if (exchange->gone() || !exchange->keep_alive() || host_.draining) break;
    }
    co_await Linger();
  }

  // --- opening ---

  // Nothing to do for plain TCP. A client that speaks HTTP to an HTTPS port is told so; all others that fail here would
  // not understand a word.
  asio::awaitable<bool> Open() {
    if (stream_.broken()) co_return false;
    if (!stream_.is_tls()) co_return true;
    SetDeadline(host_.limits.handshake_us);
    auto [ec] = co_await stream_.Handshake(kTuple);
    ClearDeadline();
    if (!ec) {
      secured_ = true;
      co_return true;
    }
    Log(LogLevel::kDebug, fmt::format("TLS handshake failed: {}", ec.message()));
    if (ec.category() == asio::error::get_ssl_category() &&
        ERR_GET_REASON(static_cast<unsigned long>(ec.value())) == SSL_R_HTTP_REQUEST) {
      api::ApiError error = api::InvalidRequest("", "This port speaks HTTPS: use https:// in the address.");
      HttpResponse response = ErrorResponse(error);
      response.close = true;
      const std::string out =
          SerializeHead(response, "", static_cast<int64_t>(response.body.size()), false, false) + response.body;
      SetDeadline(host_.limits.handshake_us);
      co_await asio::async_write(stream_.socket(), asio::buffer(out), kTuple);
    } else {
      hung_up_ = true;
    }
    co_return false;
  }

  // --- reading ---

  // A connection that is accepted while the server drains is read from all the same: its client is owed a 503.
  // The next request; an exchange that is already answered when the bytes were no request; null to close.
  asio::awaitable<std::shared_ptr<Exchange>> Read() {
    if (buffer_.size() == 0) {
      buffer_.shrink_to_fit();  // ten thousand idle connections would keep the size of their largest request
      SetDeadline(host_.limits.idle_us);
      BecomeIdle();
      auto [ec, n] = co_await stream_.async_read_some(buffer_.prepare(kIdleBytes), kTuple);
      LeaveIdle();
      if (ec) {
        hung_up_ = true;
        co_return nullptr;
      }
      buffer_.commit(n);
    }
    Parser parser;
    parser.header_limit(host_.limits.max_head_bytes);
    parser.body_limit(host_.limits.max_body_bytes);
    SetDeadline(host_.limits.head_us);
    auto [head_ec, head_n] = co_await http::async_read_header(stream_, buffer_, parser, kTuple);
    if (head_ec) co_return Refuse(head_ec);
    const int64_t received_us = NowUs();
    if (!parser.is_done()) {
      SetDeadline(host_.limits.body_us);
      if (EqualIgnoreCase(std::string(parser.get()[http::field::expect]), "100-continue")) {
        static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
        auto [ec, n] = co_await asio::async_write(stream_, asio::buffer(kContinue), kTuple);
        if (ec) co_return nullptr;
      }
      if (auto refusal = co_await ReadBody(parser)) co_return refusal;
    }
    ClearDeadline();
    co_return MakeExchange(parser, received_us);
  }

  // Null when the whole body is there. Piece by piece, because a thousand clients that each send most of a large body
  // and then wait must not hold more memory than there is: the one that would go beyond is told to come back.
  asio::awaitable<std::shared_ptr<Exchange>> ReadBody(Parser& parser) {
    std::shared_ptr<Exchange> refusal;
    uint64_t held = 0;
    while (!parser.is_done() && refusal == nullptr) {
      auto [ec, n] = co_await http::async_read_some(stream_, buffer_, parser, kTuple);
      if (ec) {
        refusal = Refuse(ec);
        if (refusal == nullptr) break;
      }
      const uint64_t now = parser.get().body().size();
      host_.body_bytes += now - held;
      held = now;
      if (refusal == nullptr && host_.body_bytes > host_.limits.max_bodies_bytes) {
        refusal = Refusal(api::Overloaded("Too many large requests are being received.", 5));
      }
    }
    host_.body_bytes -= held;
    co_return refusal;
  }

  std::shared_ptr<Exchange> MakeExchange(Parser& parser, int64_t received_us) {
    auto& message = parser.get();
    HttpRequest request;
    request.method = std::string(message.method_string());
    const std::string target(message.target());
    request.path = target.substr(0, target.find('?'));
    for (const auto& field : message) {
      request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    }
    request.body = std::move(message.body());
    request.received_us = received_us;
    FillPeer(&request);
    return std::make_shared<Exchange>(std::move(request), message.version() >= 11,
                                      message.keep_alive() && !host_.draining, host_.limits.stream_buffer_bytes);
  }

  void FillPeer(HttpRequest* request) {
    const tcp::endpoint peer = stream_.socket().remote_endpoint(ignored_);
    const asio::ip::address address = peer.address();
    request->peer = address.to_string();
    request->loopback_peer =
        address.is_loopback() || (address.is_v6() && address.to_v6().is_v4_mapped() &&
                                  asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).is_loopback());
    const std::string_view given = request->Header("x-request-id");
    request->id = IsPlainId(given) ? std::string(given)
                                   : fmt::format("req-{:08x}{:08x}", static_cast<uint32_t>(host_.process_salt),
                                                 static_cast<uint32_t>(++host_.next_request));
  }

  // What to say about bytes that are no request: a status and a sentence, or nothing when nobody is left to hear it.
  std::shared_ptr<Exchange> Refuse(const error_code& ec) {
    ClearDeadline();
    if (!timed_out_ && (ec.category() != make_error_code(http::error::end_of_stream).category() ||
                        ec == http::error::end_of_stream || ec == http::error::partial_message)) {
      hung_up_ = true;
      return nullptr;
    }
    api::ApiError error;
    if (timed_out_) {
      error = api::InvalidRequest("", "The request did not arrive in time.");
      error.status = 408;
    } else if (ec == http::error::body_limit) {
      error = api::BodyTooLarge(host_.limits.max_body_bytes);
    } else if (ec == http::error::header_limit || ec == http::error::buffer_overflow) {
      error = api::InvalidRequest(
          "", fmt::format("The request head is larger than the limit of {} bytes.", host_.limits.max_head_bytes));
      error.status = 431;
    } else {
      error = api::InvalidRequest("", fmt::format("This is not an HTTP/1.1 request: {}.", ec.message()));
    }
    return Refusal(error);
  }

  // An exchange that is answered with this, and the last one here.
  std::shared_ptr<Exchange> Refusal(const api::ApiError& error) {
    ClearDeadline();
    HttpRequest request;
    request.received_us = NowUs();
    FillPeer(&request);
    auto exchange = std::make_shared<Exchange>(std::move(request), true, false, host_.limits.stream_buffer_bytes);
    HttpResponse response = ErrorResponse(WithId(error, *exchange));
    response.close = true;
    exchange->Respond(std::move(response));
    return exchange;
  }

  // --- answering ---

  asio::awaitable<void> Serve(Exchange& exchange, const std::shared_ptr<Exchange>& shared) {
    exchange.on_output = [this, &exchange] {
      if (exchange.gone()) Cancel();  // a write to a client that does not read would go on for ever
      Wake();
    };
    if (!exchange.answered()) host_.handle(shared);
    if (!exchange.ended()) Watch(shared);
    while (true) {
      const std::string out = exchange.TakeOutput();
      if (!out.empty()) {
        co_await Write(exchange, out);
        continue;
      }
      if (exchange.gone() || exchange.ended()) break;
      co_await WaitForWake(watching_ ? 0 : kLookForEndUs);
      if (!watching_ && ClientHasEnded()) {
        hung_up_ = true;
        exchange.MarkGone();
      }
    }
    stop_watch_ = true;
    // Under TLS a read whose record has come in part goes on in spite of being cancelled: hence the deadline.
    if (watching_) SetDeadline(host_.limits.idle_us);
    if (watching_) Cancel();
    while (watching_) co_await WaitForWake();
    ClearDeadline();
    stop_watch_ = false;
  }

  // The deadline is for each piece that the client takes, not for the whole: slow is allowed, standing still is not.
  asio::awaitable<void> Write(Exchange& exchange, const std::string& out) {
    size_t sent = 0;
    while (sent < out.size() && !exchange.gone()) {
      SetDeadline(host_.limits.write_us);
      auto [ec, n] = co_await stream_.async_write_some(asio::buffer(out.data() + sent, out.size() - sent), kTuple);
      const bool late = timed_out_;
      ClearDeadline();
      if (ec) {
        hung_up_ = true;
        if (late) exchange.FallBehind();
        exchange.MarkGone();
        co_return;
      }
      sent += n;
      exchange.MarkSent(n);
    }
  }

  // For a client that has pipelined so much that we no longer read, and so do not see its end of file.
  bool ClientHasEnded() {
    tcp_info info{};
    socklen_t length = sizeof info;
    if (getsockopt(stream_.socket().native_handle(), IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return true;
    return info.tcpi_state != TCP_ESTABLISHED;
  }

  // Reads while an answer is under way: what comes is kept for the next request, and an end of file means that the
  // client hung up, so that the work behind the answer can stop at once.
  void Watch(const std::shared_ptr<Exchange>& exchange) {
    watching_ = false;
    if (stop_watch_ || buffer_.size() >= kMaxReadAheadBytes) return Wake();
    watching_ = true;
    stream_.async_read_some(buffer_.prepare(kReadBytes),
                            [this, self = shared_from_this(), exchange](const error_code& ec, size_t n) {
                              buffer_.commit(n);
                              if (!ec) return Watch(exchange);
                              watching_ = false;
                              if (!stop_watch_ && ec != asio::error::operation_aborted) {
                                hung_up_ = true;
                                exchange->MarkGone();
                              }
                              Wake();
                            });
  }

  // --- ending ---

  // Closing with unread input would send a reset, which can take our last answer from the client before it is read. So:
  // say that we are done, read what is still on its way for a moment, then close.
  asio::awaitable<void> Linger() {
    ClearDeadline();
    tcp::socket& socket = stream_.socket();
    if (!hung_up_) {
      SetDeadline(kLingerUs);
      if (secured_) co_await stream_.Shutdown(kTuple);  // fails where the client still sends: what follows reads that
      socket.shutdown(tcp::socket::shutdown_send, ignored_);
      size_t total = 0;
      while (total < kMaxLingerBytes && !timed_out_) {
        buffer_.clear();
        auto [ec, n] = co_await socket.async_read_some(buffer_.prepare(kReadBytes), kTuple);
        if (ec) break;
        total += n;
      }
    }
    ClearDeadline();
    socket.close(ignored_);
  }

  void BecomeIdle() {
    idle_ = true;
    idle_at_ = host_.idle.insert(host_.idle.end(), this);
  }

  void LeaveIdle() {
    if (std::exchange(idle_, false)) host_.idle.erase(idle_at_);
  }

  void StopServing() {
    if (std::exchange(serving_, false)) --host_.serving;
  }

  void Cancel() { stream_.socket().cancel(ignored_); }

  void SetDeadline(int64_t us) {
    timed_out_ = false;
    WaitForDeadline(us, ++deadline_number_);
  }

  // A cancellation that meets an operation between two of its steps (a record of TLS, a piece of a head) does not end
  // it: cancelled again until somebody clears the deadline.
  void WaitForDeadline(int64_t us, uint64_t number) {
    deadline_.expires_after(std::chrono::microseconds(us));
    deadline_.async_wait([this, self = weak_from_this(), number](const error_code& ec) {
      if (ec || self.expired() || number != deadline_number_) return;
      timed_out_ = true;
      Cancel();
      WaitForDeadline(kCancelAgainUs, number);
    });
  }

  void ClearDeadline() {
    ++deadline_number_;
    deadline_.cancel();
  }

  void Wake() {
    woken_ = true;
    signal_.cancel();
  }

  // `most_us`: 0 for no limit.
  asio::awaitable<void> WaitForWake(int64_t most_us = 0) {
    if (!woken_) {
      if (most_us > 0) {
        signal_.expires_after(std::chrono::microseconds(most_us));
      } else {
        signal_.expires_at(asio::steady_timer::time_point::max());
      }
      auto [ec] = co_await signal_.async_wait(kTuple);
      (void)ec;
    }
    woken_ = false;
  }

  Transport stream_;
  ConnectionHost& host_;
  asio::steady_timer deadline_;
  asio::steady_timer signal_;
  boost::beast::flat_buffer buffer_;
  error_code ignored_;
  uint64_t deadline_number_ = 0;
  bool timed_out_ = false;
  bool secured_ = false;  // the handshake is done
  bool idle_ = false;     // and in host_.idle at
  std::list<Connection*>::iterator idle_at_;
  bool serving_ = false;  // counted in host_.serving
  bool watching_ = false;
  bool stop_watch_ = false;
  bool hung_up_ = false;
  bool woken_ = false;
};

}  // namespace

bool ConnectionHost::MakeRoom() {
  if (idle.empty()) return false;
  idle.front()->CloseIfIdle();
  return true;
}

void StartConnection(tcp::socket socket, SSL_CTX* tls, ConnectionHost& host) {
  std::make_shared<ClientConnection>(std::move(socket), tls, host)->Start();
}

}  // namespace tenfold::server
