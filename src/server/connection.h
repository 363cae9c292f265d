// One connection, TCP or TLS: HTTP/1.1 requests in, answers out, keep-alive and pipelining, limits and timeouts.
//
// Beast parses heads and bodies; answers are written by exchange.h. What it does not: know any route.
//
// What a client can make us hold is bounded: bytes by head, body, all bodies together, pipelined bytes and unread
// stream; time by head, body, idleness and a write without progress; descriptors by the number of connections.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <unordered_set>

#include "server/exchange.h"

namespace tenfold::server {

struct ConnectionLimits {
  uint32_t max_head_bytes = 16 << 10;
  uint64_t max_body_bytes = 16 << 20;
  int64_t handshake_us = 10'000'000;      // TLS
  int64_t idle_us = 75'000'000;           // between requests
  int64_t head_us = 10'000'000;           // first byte of a request to the end of its head
  int64_t body_us = 60'000'000;           // the body
  int64_t write_us = 60'000'000;          // a client that takes not one byte
  size_t stream_buffer_bytes = 1 << 20;   // of a stream that its client has not taken; more, and it counts as gone
  size_t max_connections = 10'000;        // beyond them the longest idle one goes, or the new one
  uint64_t max_bodies_bytes = 256 << 20;  // of all bodies that are being received
  int kernel_send_bytes = 128 << 10;      // of each socket, besides the stream buffer
};

class Connection;

// What all connections share. I/O thread only; outlives them.
struct ConnectionHost {
  ConnectionLimits limits;
  std::function<void(std::shared_ptr<Exchange>)> handle;  // must answer, now or later, unless the client goes
  std::function<void()> on_turned_away;                   // for lack of a place; may be empty
  bool draining = false;                                  // close connections after their current answer
  size_t serving = 0;                                     // requests whose answer is not wholly with the kernel yet
  std::unordered_set<Connection*> open;
  std::list<Connection*> idle;  // of those, that wait for a request; the longest idle first
  uint64_t body_bytes = 0;      // of requests that are being received
  uint64_t next_request = 0;
  uint64_t process_salt = 0;  // makes request ids differ between runs

  // Ends the longest idle connection: its client can come back whenever it has something to ask. False: none is idle.
  bool MakeRoom();
};

// Owned by its own coroutine; gone when that ends.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  virtual ~Connection() = default;
  // Closes the connection soon if it waits for a request; no-op otherwise.
  virtual void CloseIfIdle() = 0;
};

}  // namespace tenfold::server
