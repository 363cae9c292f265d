// Values of the template language: Python's few types as templates see them.
//
// Objects behind a value live in the Heap of one rendering and die with it, all at once: no reference counts, no cycles
// to find, no recursion when deep values are freed. Everything but namespaces is immutable once made, as in the sandbox
// that Hugging Face renders templates in.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/marked_text.h"

namespace tenfold::jinja {

struct Text;
struct Sequence;
struct Dict;
struct Namespace;
struct Callable;
struct LoopState;

enum class Kind : uint8_t {
  kMissing,    // an argument nobody gave; templates never see it
  kUndefined,  // text: why, or null
  kNone,
  kBool,
  kInt,
  kFloat,
  kText,
  kList,
  kTuple,
  kRange,
  kView,       // dict.keys(), dict.values(), dict.items()
  kGenerator,  // what map, select, ... give: can be walked once
  kDict,
  kNamespace,
  kCallable,
  kLoop,
};

// A small copyable handle; what it points to belongs to a Heap.
struct Value {
  Kind kind = Kind::kUndefined;
  bool is_data = false;  // a bool or number that came from request data
  union {
    bool boolean;
    int64_t integer = 0;
    double number;
    const Text* text;  // also kUndefined
    Sequence* sequence;
    const Dict* dict;
    Namespace* space;
    const Callable* callable;
    LoopState* loop;
  };

  bool Is(Kind k) const { return kind == k; }
  bool IsSequence() const { return kind >= Kind::kList && kind <= Kind::kGenerator; }
  bool IsInteger() const { return kind == Kind::kInt || kind == Kind::kBool; }  // as in Python
  bool IsNumber() const { return IsInteger() || kind == Kind::kFloat; }
  int64_t AsInteger() const { return kind == Kind::kBool ? boolean : integer; }
  double AsDouble() const { return kind == Kind::kFloat ? number : static_cast<double>(AsInteger()); }

  static Value None() { return Of(Kind::kNone); }
  static Value Missing() { return Of(Kind::kMissing); }
  static Value Bool(bool b, bool is_data = false) {
    Value v = Of(Kind::kBool, is_data);
    v.boolean = b;
    return v;
  }
  static Value Int(int64_t i, bool is_data = false) {
    Value v = Of(Kind::kInt, is_data);
    v.integer = i;
    return v;
  }
  static Value Float(double d, bool is_data = false) {
    Value v = Of(Kind::kFloat, is_data);
    v.number = d;
    return v;
  }
  static Value Of(Kind kind, bool is_data = false) {
    Value v;
    v.kind = kind;
    v.is_data = is_data;
    return v;
  }
};

struct Text {
  MarkedText marked;
  bool is_markup = false;  // result of `safe` or `escape`: `+` escapes what it is joined with
  size_t characters = 0;
  const std::string& bytes() const { return marked.bytes(); }
};

// kList, kTuple, kRange, kView, kGenerator.
struct Sequence {
  std::vector<Value> items;
  bool consumed = false;         // kGenerator
  int64_t range[3] = {0, 0, 0};  // kRange: start, stop, step
  const char* name = "";         // kView: "dict_items"; kGenerator: what made it
};

// Keys are texts, numbers, none or tuples of them. Order is that of insertion.
struct Dict {
  std::vector<std::pair<Value, Value>> entries;
  std::vector<uint32_t> by_key;  // indices into entries, sorted by key: found in O(log n), whatever the keys
};

struct Namespace {
  std::map<std::string, Value, std::less<>> attributes;
};

// Python's name of the type, for messages: "str", "dict", "NoneType".
std::string_view TypeName(const Value& value);

// False for undefined, none, zero and what is empty.
bool Truthy(const Value& value);

// The length that Python's len() gives, or -1 where there is none.
int64_t LengthOf(const Value& value);

}  // namespace tenfold::jinja
