// One request and the answer being written to it: the seam between a connection and the routes.
//
// The route answers once, whole or as a stream; the connection takes bytes out as the socket takes them. Everything
// happens on the I/O thread.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/http_message.h"

namespace tenfold::server {

class Exchange;

// The error as its client gets it: with the id under which the log has it.
api::ApiError WithId(api::ApiError error, const Exchange& exchange);

class Exchange {
 public:
  // `http11`: chunked streams and keep-alive are possible. `stream_buffer_bytes`: a client that leaves more of its
  // stream unread is treated as gone.
  Exchange(HttpRequest request, bool http11, bool keep_alive, size_t stream_buffer_bytes = 1 << 20);

  const HttpRequest& request() const { return request_; }
  HttpRequest& request() { return request_; }

  // Into the head of whatever answer follows. Needs: nothing was answered yet.
  void AddHeaders(std::vector<std::pair<std::string, std::string>> headers);
  // A whole answer. Needs: nothing was answered yet.
  void Respond(HttpResponse response);
  // A stream: head, then any number of Write, then End. `head.body` is not used.
  void BeginStream(HttpResponse head);
  void Write(std::string_view bytes);
  void End();

  bool answered() const { return answered_; }
  bool ended() const { return ended_; }
  bool gone() const { return gone_; }
  bool fell_behind() const { return fell_behind_; }  // gone because it did not read
  int status() const { return status_; }
  bool logged() const { return logged_; }
  void set_logged() { logged_ = true; }  // its line is in the log
  bool keep_alive() const { return keep_alive_; }

  // Called at most once, when the client hangs up or stops reading before the answer has ended.
  std::function<void()> on_gone;

  // For the connection:
  std::function<void()> on_output;            // called whenever there are more bytes to send or the answer ended
  std::string TakeOutput();                   // all bytes that wait
  void MarkSent(size_t bytes);                // of what was taken, the kernel has these
  void MarkGone();                            // the socket is closed
  void FallBehind() { fell_behind_ = true; }  // why MarkGone follows

 private:
  HttpRequest request_;
  bool http11_;
  bool keep_alive_;
  bool head_only_;  // HEAD: everything but the body
  bool answered_ = false;
  bool ended_ = false;
  bool gone_ = false;
  bool fell_behind_ = false;
  bool chunked_ = false;
  bool logged_ = false;
  int status_ = 0;
  std::vector<std::pair<std::string, std::string>> headers_;
  const size_t stream_buffer_bytes_;
  std::string output_;
  size_t unsent_bytes_ = 0;  // taken by the connection, not yet by the kernel
};

}  // namespace tenfold::server
