#include "load/scripted_server_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "base/check.h"

namespace tenfold::load {
namespace {

// Bytes of a request that are still to come, by its Content-Length; 0 when all is there, 1 while the head is not.
size_t MissingBytes(const std::string& request) {
  const size_t head_end = request.find("\r\n\r\n");
  if (head_end == std::string::npos) return 1;
  const size_t at = request.find("Content-Length: ");
  const size_t length = at < head_end ? std::strtoul(request.c_str() + at + 16, nullptr, 10) : 0;
  const size_t whole = head_end + 4 + length;
  return whole > request.size() ? whole - request.size() : 0;
}

}  // namespace

void ScriptedServer::Peer::Send(const std::string& bytes) const {
  (void)!send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

void ScriptedServer::Peer::SleepMs(int ms) const { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

void ScriptedServer::Peer::HangUntilStopped() const {
  while (!*stopping) SleepMs(5);
}

ScriptedServer::ScriptedServer(std::vector<Script> scripts) : scripts_(std::move(scripts)) {
  listener_ = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  TENFOLD_CHECK(bind(listener_, reinterpret_cast<sockaddr*>(&address), length) == 0, "bind");
  TENFOLD_CHECK(listen(listener_, 64) == 0, "listen");
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

ScriptedServer::~ScriptedServer() {
  stopping_ = true;
  acceptor_.join();
  for (std::thread& peer : peers_) peer.join();
  close(listener_);
}

std::vector<std::string> ScriptedServer::requests() {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void ScriptedServer::Accept() {
  while (!stopping_) {
    pollfd waiting{listener_, POLLIN, 0};
    if (poll(&waiting, 1, 10) <= 0) continue;
    const int fd = accept(listener_, nullptr, nullptr);
    const std::lock_guard lock(mutex_);
    peers_.emplace_back([this, fd] { Serve(fd); });
  }
}

void ScriptedServer::Serve(int fd) {
  Peer peer{fd, "", &stopping_};
  char buffer[4096];
  while (MissingBytes(peer.request) > 0 && !stopping_) {
    pollfd waiting{fd, POLLIN, 0};
    if (poll(&waiting, 1, 10) <= 0) continue;
    const ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
    if (got <= 0) break;
    peer.request.append(buffer, static_cast<size_t>(got));
  }
  if (peer.request.starts_with("GET /v1/models")) {
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 28\r\n\r\n{\"data\":[{\"id\":\"scripted\"}]}");
  } else if (peer.request.starts_with("GET ")) {
    peer.Send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
  } else if (!peer.request.empty()) {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(peer.request);
    }
    scripts_[posts_++ % scripts_.size()](peer);
  }
  close(fd);
}

}  // namespace tenfold::load
