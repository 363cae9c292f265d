// Result<T>: a value, or an Error that says what is wrong with the outside world and what to do about it.
//
// What it does: carries expected failures (bad file, bad request, no memory left) up to the one edge that can
// report them. What it does not: report our own bugs (base/check.h does) or normal scarcity (an enum of the room).
// Why not exceptions: an engine step must fail one request, not unwind through the loop that serves ten.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace tenfold {

// What kind of failure. The server maps each kind to one HTTP status; no other code branches on message text.
enum class ErrorCode {
  kInvalidArgument,    // the caller asked for something that makes no sense
  kNotFound,           // the named thing does not exist
  kUnsupported,        // understood, but this program does not do it
  kCorrupt,            // bytes that contradict their own format
  kIo,                 // the operating system refused a read, write or map
  kResourceExhausted,  // memory, pages, queue places
  kUnavailable,        // not now: loading, draining, unloaded
  kCancelled,          // the asker went away
  kInternal,           // a bug contained at an edge
};

// One clear sentence for a person: names the key, tensor, flag or field, and what to do when that is known.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

// Holds a T or an Error. Not thread safe; move freely.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : v_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return v_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // Needs ok(); a wrong call is our bug and stops the process with a message.
  T& value() & {
    TENFOLD_CHECK(ok(), "Result::value() on an error");
    return std::get<0>(v_);
  }
  const T& value() const& {
    TENFOLD_CHECK(ok(), "Result::value() on an error");
    return std::get<0>(v_);
  }
  T&& value() && {
    TENFOLD_CHECK(ok(), "Result::value() on an error");
    return std::get<0>(std::move(v_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& {
    TENFOLD_CHECK(!ok(), "Result::error() on a value");
    return std::get<1>(v_);
  }
  Error&& error() && {
    TENFOLD_CHECK(!ok(), "Result::error() on a value");
    return std::get<1>(std::move(v_));
  }

 private:
  std::variant<T, Error> v_;
};

// A Result without a value: `return Status{};` is success.
struct Ok {};
class [[nodiscard]] Status : public Result<Ok> {
 public:
  Status() : Result<Ok>(Ok{}) {}
  Status(Error error) : Result<Ok>(std::move(error)) {}  // NOLINT(google-explicit-constructor)
};

}  // namespace tenfold

#define TENFOLD_CONCAT_(a, b) a##b
#define TENFOLD_CONCAT(a, b) TENFOLD_CONCAT_(a, b)
// TENFOLD_TRY(auto x, SomeResult());  declares x, or returns the error to our caller.
#define TENFOLD_TRY(decl, expr) TENFOLD_TRY_IMPL_(TENFOLD_CONCAT(tenfold_try_, __LINE__), decl, expr)
#define TENFOLD_TRY_IMPL_(tmp, decl, expr)      \
  auto tmp = (expr);                            \
  if (!tmp.ok()) return std::move(tmp).error(); \
  decl = std::move(tmp).value()
// TENFOLD_TRY_STATUS(expr);  returns the error to our caller, if there is one.
#define TENFOLD_TRY_STATUS(expr)                                                                      \
  do {                                                                                                \
    if (auto tenfold_status = (expr); !tenfold_status.ok()) return std::move(tenfold_status).error(); \
  } while (0)
