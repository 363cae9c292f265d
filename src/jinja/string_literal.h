// The escapes of string literals, as Python's "unicode-escape" reads them.
#pragma once

#include <string>
#include <string_view>

namespace tenfold::jinja {

// The value of what stands between the quotes. Null, or what is wrong.
const char* UnescapeLiteral(std::string_view literal, std::string* out);

}  // namespace tenfold::jinja
