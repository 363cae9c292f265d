// One call as models write it, {"name": "f", "arguments": {…}}, understood byte by byte so that arguments can be
// streamed before the object is complete.
//
// The object has three stages. Header: up to where the arguments begin; keys may be "name", "arguments" or
// "parameters", "type" and "id", in any order; anything else is not a call. Arguments: from the moment the name is
// known to be one that was offered, the value's text is passed on as it is; a value that is a JSON string is taken for
// JSON in a string and its content is passed on. Tail: more members, which are ignored, up to the closing brace. Why
// our own machine: a parser of whole documents cannot say that a text has just stopped being a call, and the text held
// back until then must be as short as can be.
#pragma once

#include <string>
#include <vector>

#include "chat/json_value_scanner.h"

namespace tenfold::chat {

inline constexpr size_t kMaxToolNameBytes = 64;

// What the bytes of a tool's name are made of.
bool IsToolNameByte(char c);

// Undoes the escapes of a JSON string; what is no valid escape stays as it is.
class JsonStringDecoder {
 public:
  // `c`: a byte between the quotes. Appends what became certain.
  void Push(char c, std::string& out);
  // The string has ended: half an escape stays as it is.
  void Finish(std::string& out);

 private:
  void PushEscape(char c, std::string& out);
  void AppendCodeUnit(std::string& out);

  std::string escape_;           // "", or from the backslash on
  unsigned high_surrogate_ = 0;  // waiting for its other half
};

class CallObject {
 public:
  enum class Stage { kHeader, kArguments, kTail, kDone, kRejected };

  // `names`: of the tools offered; must outlive this.
  explicit CallObject(const std::vector<std::string>& names) : names_(&names) {}

  // The first byte must be '{'. Not to be called in kDone or kRejected.
  Stage Push(char c);

  Stage stage() const { return stage_; }
  // Known from kArguments on.
  const std::string& name() const { return name_; }
  // Text of the arguments that Push has found since the last call; only in and after kArguments.
  std::string TakeArguments();
  // The last byte pushed belongs to the tail, not to the arguments.
  bool last_byte_in_tail() const { return last_byte_in_tail_; }
  // The next byte is inside a string.
  bool in_string() const;

 private:
  enum class At { kOpen, kFirstKey, kNextKey, kKey, kColon, kValue, kName, kInValue, kAfterValue };
  enum class Member { kName, kArguments, kOther };

  void PushKey(char c);
  void EndKey();
  void BeginValue(char c);
  void PushName(char c);
  void PushValue(char c);
  void Close();
  void Reject() { stage_ = Stage::kRejected; }

  const std::vector<std::string>* names_;
  Stage stage_ = Stage::kHeader;
  At at_ = At::kOpen;
  Member member_ = Member::kOther;
  std::string key_;
  bool key_escaped_ = false;
  std::string name_;
  bool name_known_ = false;
  bool has_arguments_ = false;
  bool arguments_are_string_ = false;
  bool last_byte_in_tail_ = false;
  JsonValueScanner value_;
  JsonStringDecoder decoder_;
  std::string arguments_;
};

}  // namespace tenfold::chat
