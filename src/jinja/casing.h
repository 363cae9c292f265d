// Upper and lower case of marked text.
#pragma once

#include "jinja/marked_text.h"

namespace tenfold::jinja {

MarkedText Uppercase(const MarkedText& text);
MarkedText Lowercase(const MarkedText& text);
MarkedText SwappedCase(const MarkedText& text);
// str.capitalize: the first character upper, the rest lower.
MarkedText Capitalized(const MarkedText& text);
// str.title: the first letter of every run of letters upper, the rest lower.
MarkedText TitleCase(const MarkedText& text);
// The filter `title`: words begin behind white space, hyphens and opening brackets.
MarkedText FilterTitle(const MarkedText& text);

}  // namespace tenfold::jinja
