// Templates that want too much: each ends with one clear sentence, soon.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "jinja/template.h"

namespace tenfold::jinja {
namespace {

std::string Repeated(const std::string& unit, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += unit;
  return out;
}

// What is wrong with the template, when it is parsed or when it is rendered.
std::string Problem(const std::string& source, const std::string& data = "\"\"") {
  const auto start = std::chrono::steady_clock::now();
  const auto parsed = Template::Parse(source);
  std::string problem;
  if (!parsed.ok()) {
    problem = parsed.error().message;
  } else {
    const RenderResult result = parsed.value().Render({{.name = "data", .json = data}}, 0);
    problem = result.ok ? "" : result.error.message;
  }
  // Generous, for sanitizers on a busy machine; what is quadratic here takes hours.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60)) << source.substr(0, 80);
  return problem;
}

void ExpectProblem(const std::string& source, const std::string& words, const std::string& data = "\"\"") {
  EXPECT_NE(Problem(source, data).find(words), std::string::npos)
      << source.substr(0, 80) << ": " << Problem(source, data);
}

TEST(HostileTemplateTest, Memory) {
  ExpectProblem("{{ 'a' * 10**9 }}", "memory");
  ExpectProblem("{{ 'a' * 10**18 }}", "memory");
  ExpectProblem("{{ [1] * 10**18 }}", "memory");
  ExpectProblem("{{ 'ab'.center(10**12) }}", "memory");
  ExpectProblem("{{ '%999999999999d' % 1 }}", "memory");
  ExpectProblem("{{ '{:999999999999}'.format(1) }}", "memory");
  ExpectProblem("{{ ('a' * 10000) | replace('', 'b' * 100000) }}", "memory");
  ExpectProblem("{% set ns = namespace(s='a') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
                "memory");
  ExpectProblem("{{ ('a\n' * 10000) | indent(1000000) }}", "memory");
  ExpectProblem("{{ ('a' * 10**7).split('a') }}", "memory");
}

TEST(HostileTemplateTest, Steps) {
  ExpectProblem("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "more than");
  ExpectProblem(
      "{% for a in range(9999) %}{% for b in 'aaaaaaaa' %}{% for c in 'aaaaaaaa' %}{% for d in 'aaaaaaaa' %}"
      "{% if a == b %}{% endif %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
      "more than");
  ExpectProblem(
      "{% for a in range(99999) %}" + Repeated("{% if a + a + a + a == 5 %}{% endif %}", 100) + "{% endfor %}",
      "steps");
  ExpectProblem("{% set x = 'a' * 100000 %}{% for a in range(99999) %}{% if 'b' in x %}{% endif %}{% endfor %}",
                "steps");
  ExpectProblem("{{ range(10**9) }}", "range");
  ExpectProblem("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}", "deep");
  ExpectProblem("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "deep");
}

TEST(HostileTemplateTest, Output) {
  ExpectProblem("{% set x = 'a' * 10**6 %}{% for i in range(99999) %}{{ x }}{% endfor %}", "prints more");
}

TEST(HostileTemplateTest, Depth) {
  ExpectProblem("{{ " + Repeated("(", 100000) + "1" + Repeated(")", 100000) + " }}", "nested");
  ExpectProblem("{{ " + Repeated("[", 100000) + Repeated("]", 100000) + " }}", "nested");
  ExpectProblem("{{ " + Repeated("-", 100000) + "1 }}", "nested");
  ExpectProblem("{{ " + Repeated("not ", 100000) + "1 }}", "nested");
  ExpectProblem("{{ a" + Repeated(".b", 100000) + " }}", "nested");
  ExpectProblem("{{ a" + Repeated("|trim", 100000) + " }}", "nested");
  ExpectProblem("{{ a" + Repeated("[0]", 100000) + " }}", "nested");
  ExpectProblem("{{ " + Repeated("1 if ", 20000) + "1 }}", "nested");
  ExpectProblem(Repeated("{% if 1 %}", 50000), "nested");
  ExpectProblem("{% for " + Repeated("(", 50000) + "x" + Repeated(")", 50000) + " in y %}", "nested");
  ExpectProblem("{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
                "nested");
  ExpectProblem(
      "{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x | tojson }}",
      "nested");
  ExpectProblem("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}", "nested");
  ExpectProblem("{{ data }}", "nested", Repeated("[", 5000) + Repeated("]", 5000));
}

TEST(HostileTemplateTest, LongChainsAreNoNesting) {
  EXPECT_EQ(Problem("{{ 1" + Repeated(" + 1", 20000) + " }}"), "");
  EXPECT_EQ(Problem("{{ 1" + Repeated(" ~ 1", 20000) + " }}"), "");
  EXPECT_EQ(Problem("{% if 0 %}" + Repeated("{% elif 0 %}", 20000) + "{% endif %}"), "");
}

TEST(HostileTemplateTest, ParsingIsLinear) {
  for (const char* unit :
       {"{{ 1 }}", "{# #}", "{", "{{ '", "{% raw %}", "{% set x = 1 %}", "{%- ", "\n ", "{% raw %}{% endra", "}} "}) {
    Problem(Repeated(unit, 100000));
  }
  ExpectProblem(std::string(kMaxSourceBytes + 1, 'a'), "bytes");
  ExpectProblem("\xff", "UTF-8");
}

TEST(HostileTemplateTest, SearchesAreLinear) {
  const std::string text = '"' + std::string(1 << 20, 'a') + '"';
  EXPECT_EQ(Problem("{{ ('a' * 500000 ~ 'b') in data }}", text), "");
  EXPECT_EQ(Problem("{{ data.find('a' * 500000 ~ 'b') }}{{ data.rfind('b' ~ 'a' * 500000) }}", text), "");
}

TEST(HostileTemplateTest, UnknownNamesAreErrorsWithTheirLine) {
  EXPECT_EQ(Problem("\n{{ x | nope }}"), "line 2: unknown filter 'nope'");
  EXPECT_EQ(Problem("\n\n{{ x is nope }}"), "line 3: unknown test 'nope'");
  EXPECT_EQ(Problem("{% nope %}"), "line 1: unknown tag 'nope'");
  EXPECT_EQ(Problem("{% include 'x' %}"), "line 1: unsupported tag 'include'");
  EXPECT_EQ(Problem("\n{{ nope() }}"), "line 2: 'nope' is undefined");
}

}  // namespace
}  // namespace tenfold::jinja
