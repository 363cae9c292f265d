// A blocking HTTP client for tests that shows exactly what came over the wire. Not part of the server.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace tenfold::server {

struct TestResponse {
  int status = 0;  // 0: the connection ended before a head came
  std::string head;
  std::string body;  // chunks joined

  // The value of a header, or "".
  std::string Header(const std::string& name) const {
    const size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const size_t begin = at + name.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
};

// One connection. Reads give up after 20 s, so that no test hangs.
class TestClient {
 public:
  explicit TestClient(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    const timeval limit{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    const int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  ~TestClient() { Close(); }
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  bool connected() const { return connected_; }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  void Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }

  void Request(const std::string& method, const std::string& path, const std::string& body = "",
               const std::string& headers = "") {
    Send(method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers +
         (body.empty() && method != "POST" ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n") + "\r\n" +
         body);
  }

  // The next whole answer. `head_only`: it answers a HEAD.
  TestResponse Read(bool head_only = false) {
    TestResponse response;
    const size_t end = Await("\r\n\r\n");
    if (end == std::string::npos) return response;
    response.head = buffer_.substr(0, end + 2);
    buffer_.erase(0, end + 4);
    response.status = std::atoi(response.head.c_str() + 9);
    if (head_only || response.status == 204 || response.status == 100) return response;
    if (response.Header("Transfer-Encoding") == "chunked") {
      ReadChunks(&response.body);
    } else if (const std::string length = response.Header("Content-Length"); !length.empty()) {
      while (buffer_.size() < std::stoul(length) && Fill()) {
      }
      response.body = buffer_.substr(0, std::stoul(length));
      buffer_.erase(0, response.body.size());
    } else {
      while (Fill()) {
      }
      response.body.swap(buffer_);
    }
    return response;
  }

  TestResponse Ask(const std::string& method, const std::string& path, const std::string& body = "",
                   const std::string& headers = "") {
    Request(method, path, body, headers);
    return Read(method == "HEAD");
  }

  // Waits until `text` has come, without taking it out; npos when the connection ends first.
  size_t Await(std::string_view text) {
    size_t at;
    while ((at = buffer_.find(text)) == std::string::npos) {
      if (!Fill()) return std::string::npos;
    }
    return at;
  }

  // True when the server ends the connection with nothing more to say.
  bool AwaitEnd() {
    while (Fill()) {
    }
    return ended_ && buffer_.empty();
  }
  const std::string& buffer() const { return buffer_; }

 private:
  bool Fill() {
    char bytes[4096];
    const ssize_t n = recv(fd_, bytes, sizeof bytes, 0);
    if (n <= 0) {
      ended_ = n == 0;
      return false;
    }
    buffer_.append(bytes, static_cast<size_t>(n));
    return true;
  }

  void ReadChunks(std::string* body) {
    while (true) {
      const size_t line = Await("\r\n");
      if (line == std::string::npos) return;
      const size_t size = std::strtoul(buffer_.c_str(), nullptr, 16);
      while (buffer_.size() < line + 2 + size + 2) {
        if (!Fill()) return;
      }
      body->append(buffer_, line + 2, size);
      buffer_.erase(0, line + 2 + size + 2);
      if (size == 0) return;
    }
  }

  int fd_;
  bool connected_ = false;
  bool ended_ = false;
  std::string buffer_;
};

}  // namespace tenfold::server
