#!/usr/bin/env python3
"""Templates rendered by tenfold and by python3-jinja2 in Hugging Face's settings: both give the same text, or both fail.

usage: differential_test.py [--seed N] [--count N]

Random templates (random_templates.py), hand-written ones for what random ones seldom reach, and the real chat templates
under TENFOLD_TEST_DATA rendering a conversation with tools.
"""
import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys

try:
    import jinja2
    import jinja2.ext
    import jinja2.nodes
    import jinja2.sandbox
except ImportError:
    print("SKIP: python3-jinja2 is not installed")
    sys.exit(77)

from random_templates import CONTEXT, random_template

NOW = 1_700_000_000
HANDWRITTEN = [
    "{{ 2**3**2 }} {{ -2**2 }} {{ 7 // -2 }} {{ -7 % 3 }} {{ 7.5 // -2 }} {{ -0.0 }} {{ 1e16 }} {{ 123456789012345678 }}",
    "{{ 'a' if false }}|{{ nope }}|{{ nope is defined }}|{{ [1, 2,] }}|{{ (1,) }}|{{ () }}|{{ {} }}",
    "{{ nope.attribute }}", "{{ d.nope.deeper }}", "{{ 'a' + 1 }}", "{{ nope + 'a' }}", "{{ none.x }}", "{{ [].append(1) }}",
    "{{ 'x' is string and 1 is number or false }} {{ not 1 == 2 }} {{ 1 < 2 < 3 }} {{ 1 in [1] not in [true] }}",
    "{% for x in none %}{% endfor %}", "{% for a, b in [[1]] %}{% endfor %}", "{{ range(200000) | length }}", "{{ 1 / 0 }}",
    "{{ raise_exception('no') }}", "{{ strftime_now('%Y-%m-%d %H:%M') }}", "{% if x %}", "{% endif %}", "{{ }}", "{{ 1 2 }}",
    "{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}",
    "{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(5) }}", "{% set ns = namespace() %}{% set ns.x = 1 %}{{ ns.x }}",
    "{% set d.x = 1 %}", "{{ messages | tojson }}", "{{ messages | tojson(indent=2) }}", "{{ mixed | tojson(sort_keys=true) }}",
    "{{ d | tojson(separators=(',', ':')) }}", "{{ 'é\x7f中\u2028' | tojson }}{{ 'é' | tojson(ensure_ascii=true) }}",
    "{{ ['é', 'it\\'s', '\\n', '\\x00', 'q\"'] }}", "{{ 1.0 }} {{ 1e-5 }} {{ 0.0001 }} {{ 1e15 }} {{ 1e22 }} {{ 1/3 }}",
    "  {% if true %}\n  a\n  {% endif %}\nb\n", "{%- if true -%}\n a \n{%- endif -%}\n b", "a {#- c -#} b\n", "{%+ if true +%}\nx{% endif +%}\n\n",
    "{% raw %}{{ x }}{% endraw %}\n", "x\r\ny\r\n", "{{ 'a\r\nb' }}", "trailing\n\n", "{{ \"\\u00e9\\x41\\101\\q\" }}",
    "{{ words | sort(attribute=0) }}", "{{ d.items() }} {{ d['items'] }}",
    "{{ d.keys() }}{{ d.values() }}", "{% for x in words %}{{ loop.nextitem }}{{ loop.previtem }}{{ loop.changed(x[0]) }}{% endfor %}",
    "{% for x in items_list if x != ns_missing %}{{ loop.length }}{% endfor %}",
    "{% set ns = namespace(stop=false) %}{% for x in items_list if not ns.stop %}{{ x }}{% set ns.stop = true %}{% endfor %}",
    "{{ ('<' | safe) + '<' }}{{ '<' + ('<' | safe) }}{{ ('<' | safe) ~ '<' }}{{ ('%s' | safe) % '<' }}{{ ('a' | e).join(['<', '>']) }}",
    "{{ 'abc' | batch(2) | list }}{{ [1, 2, 3] | slice(2) | list }}", "{{ people | groupby('age') }}", "{% for g in people | groupby('age') %}{{ g.grouper }}{{ g.list | length }}{% endfor %}",
    "{{ foo | no_such_filter }}", "{{ foo is no_such_test }}", "{% no_such_tag %}", "{{ no_such_function() }}", "{{ s.no_such_method() }}",
    "{{ (1, 2) == (1, 2) }}{{ [1] == (1,) }}{{ 1 == 1.0 == true }}{{ {'a': 1} == {'a': 1.0} }}{{ none == false }}", "{{ [1, [2, 'x']] < [1, [3]] }}",
    "{{ 'x' * -1 }}{{ [1] * 2 }}{{ 2 * 'ab' }}", "{{ '%5.1f|%-6d|%+d|%x|%o|%e|%c|%%' % (3.14159, 42, 7, 255, 8, 12345.678, 'z') }}", "{{ '%s' % none }}{{ '%d' % 3.7 }}",
    "{{ '%d' % 'x' }}", "{{ '%s %s' % 'x' }}", "{{ '%s' % (1, 2) }}", "{{ '{:>8.3f}|{:<5}|{:^7}|{:+}|{:,}'.format(3.14159, 'ab', 'mid', 5, 1234567) }}",
    "{{ 'a,b,c'.split(',', 1) }}{{ 'a  b'.split() }}{{ ' a b '.rsplit(none, 1) }}{{ ''.split() }}{{ ''.split(',') }}{{ 'aXbXc'.rsplit('X', 1) }}",
    "{{ 'x'.split('') }}", "{{ 'hello'.find('l', 3) }}{{ 'hello'.startswith(('x', 'he')) }}{{ 'héllo'.index('l') }}{{ 'hello'.rfind('l') }}",
    "{{ 'x' | int }}{{ '42' | int }}{{ '0x1f' | int(base=16) }}{{ '4.7' | int }}{{ none | int(9) }}{{ ' 5 ' | int }}{{ '1e3' | float }}",
    "{{ 2.5 | round }}{{ 3.5 | round }}{{ 2.675 | round(2) }}{{ 42 | round }}{{ -2.5 | round }}{{ 1234.5 | round(-2) }}{{ 2.1 | round(0, 'ceil') }}{{ -0.5 | round(0, 'ceil') }}",
    "{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent(1, blank=true) }}", "{{ 'hello world foo' | truncate(9) }}{{ 'hello world foo' | truncate(9, true, '') }}",
    "{% call(x) m() %}{{ x }}{% endcall %}", "{% macro m() %}[{{ caller(1) }}]{% endmacro %}{% call(x) m() %}{{ x }}!{% endcall %}{% call m() %}{% endcall %}",
    "{{ loop }}", "{{ x is sameas(x) }}", "{{ 'ab'[5] }}", "{{ 'abc'[0] ~ 'abc'[-1] ~ 'abc'[5:] }}",
    "{{ messages[99] }}", "{{ messages[99].role }}", "{{ [3, 1] | sort | first }}{{ [] | first }}{{ [] | last }}{{ [] | max }}", "{{ [1, 'a'] | sort }}", "{{ {'b': 1, 'a': 2} | dictsort }}",
    "{% generation %}{% set inner = 1 %}{{ inner }}{% endgeneration %}{{ inner is defined }}", "{% with %}{% set a = 1 %}{% endwith %}{{ a is defined }}",
    "{{ [[1, 2], [3]] | sum(start=[]) }}", "{{ ['a'] | sum }}", "{{ [1, 2, 3][1:] }}{{ (1, 2, 3)[::-1] }}{{ 'abc'[::2] }}{{ 'abc'[::0] }}",
    "{{ dict(a=1, **{'b': 2}) }}{{ dict([['x', 1]]) }}", "{{ {1: 'a', true: 'b', 1.0: 'c'} }}", "{{ {[1]: 2} }}", "{{ none | tojson }}{{ nope | tojson }}",
    "{% break %}", "{% for x in [1, 2, 3] %}{% if x == 2 %}{% continue %}{% endif %}{{ x }}{% else %}e{% endfor %}", "{% for x in [] %}{% else %}e{% endfor %}",
    "{% set x %}a{{ 1 }}{% endset %}{{ x }}", "{% set x | upper | replace('A', 'b') %}a{% endset %}{{ x }}", "{% filter upper %}a{{ 'b' }}{% endfilter %}",
    "{{ 'a' 'b' }}{{ [1, 2] | join('-') }}{{ 'a' in 'abc' }}{{ 1 in 'abc' }}", "{{ 1 is in [1] }}{{ 3 is divisibleby 3 }}{{ 'x' is eq 'x' }}", "{{ -1 | abs }}{{ (-1) | abs }}{{ +1 }}{{ - 1 }}",
    "{{ people | map(attribute='name') | map('lower') | sort | join(', ') }}", "{{ people | selectattr('nope') | list }}", "{{ people | selectattr('age', 'no_such_test') | list }}",
    "{{ d | length }}{{ 5 | length }}", "{{ 'İ' | length }}{{ '👍🏽' | length }}{{ '👍'[0] }}", "{{ 'abc' | reverse }}{{ [1, 2] | reverse | list }}", "{{ [1, 1.0, true, 'a', 'A'] | unique | list }}",
    "{{ 1_000 + 0x10 + 0b11 + 0o17 }}{{ 1_0.5e1 }}", "{{ a.b.c if a is defined else 'none' }}", "{{ d.c.d.0 }}{{ d['c']['d'][1] }}{{ d.get('a') }}{{ d.get('q', 5) }}", "{{ s.upper().lower().title() }}",
    "{{ namespace(a=1).a }}{{ namespace({'q': 2}).q }}{{ namespace() is mapping }}", "{{ x.y = 1 }}", "{{ {'a': 1}.a }}{{ {'a': {'b': 2}}.a.b }}", "{{ [1, 2, 3] | map('string') | join }}",
]


class Generation(jinja2.ext.Extension):
    """{% generation %}, as transformers' AssistantTracker parses it."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    @jinja2.pass_eval_context
    def _body(self, context, caller):
        return caller()


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation])

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda format: datetime.datetime.fromtimestamp(NOW).strftime(format)
    return env


class Judge:
    def __init__(self, program):
        self.env = environment()
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")
        self.same = self.failed = 0
        self.problems = []

    def ours(self, template, context):
        self.process.stdin.write(json.dumps({"template": template, "context": context, "now": NOW}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def theirs(self, template, context):
        try:
            return self.env.from_string(template).render(**json.loads(json.dumps(context))), None
        except Exception as error:  # whatever Python raises is a failure of the template
            return None, error

    def compare(self, name, template, context):
        text, error = self.theirs(template, context)
        answer = self.ours(template, context)
        # Texts with an address in them can be the same for nobody.
        if text is not None and (" at 0x" in text or "<class " in text):
            return
        # Python's integers have no end; ours say so.
        if "64 bits" in answer.get("error", ""):
            return
        # jinja2 folds constants by other rules than it runs by: a slice of a number is undefined only then.
        if "cannot be sliced" in answer.get("error", ""):
            return
        if answer.get("text") == text:
            self.same += text is not None
            self.failed += text is None
            return
        self.problems.append(f"{name}: {template!r}\n  jinja2: {text!r} {type(error).__name__ if error else ''} {error or ''}\n  tenfold: {answer}")


TOOLS = [{"type": "function", "function": {
    "name": "book_table", "description": "Book a table – für zwei", "parameters": {"type": "object", "properties": {
        "place": {"type": "string", "description": "Where", "enum": ["bar", "terrace"]}, "guests": {"type": "integer", "description": "How many"},
        "tags": {"type": "array", "items": {"type": "string"}, "description": "Wishes"}, "when": {"type": ["string", "null"], "description": " Any time "}},
        "required": ["place", "guests"]}, "return": {"type": "string", "description": "A number"}}},
         {"type": "function", "function": {"name": "weather", "description": "Look outside", "parameters": {"type": "object", "properties": {}}}}]
CONVERSATION = [
    {"role": "system", "content": "You are a waiter."}, {"role": "user", "content": "A table for 3?"},
    {"role": "assistant", "content": "", "reasoning_content": "They want a table.", "tool_calls": [{"id": "call_1", "type": "function", "function": {
        "name": "book_table", "arguments": {"place": "terrace", "guests": 3, "tags": ["quiet", "süß"], "when": None}}}]},
    {"role": "tool", "tool_call_id": "call_1", "name": "book_table", "content": "booked as \"Nr. 7\""},
    {"role": "assistant", "content": "<think>\nfine\n</think>\n\nDone."}, {"role": "user", "content": "And the weather?"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "call_2", "type": "function", "function": {"name": "weather", "arguments": {}}}]},
    {"role": "tool", "tool_call_id": "call_2", "content": "sunny"}]


def real_templates(judge, folder):
    names = sorted(path for path in (folder / "templates").glob("*.jinja"))
    for path in names:
        source = path.read_text(encoding="utf-8")
        for tools in (TOOLS, None):
            for turns in (2, 4, len(CONVERSATION)):
                for prompt in (True, False):
                    for thinking in ({}, {"enable_thinking": False}, {"enable_thinking": True}):
                        context = {"messages": CONVERSATION[:turns], "tools": tools, "add_generation_prompt": prompt, "bos_token": "<s>",
                                   "eos_token": "</s>", "documents": None, **thinking}
                        judge.compare(path.name, source, {k: v for k, v in context.items() if v is not None or k != "tools"})
    return len(names)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    args = parser.parse_args()
    judge = Judge(os.environ["TENFOLD_JINJA_RENDER"])
    for template in HANDWRITTEN:
        judge.compare("handwritten", template, CONTEXT)
    for i in range(args.count):
        judge.compare(f"random {args.seed} {i}", random_template(f"{args.seed}/{i}"), CONTEXT)
    random_same, random_failed = judge.same, judge.failed
    data = os.environ.get("TENFOLD_TEST_DATA")
    real = real_templates(judge, pathlib.Path(data)) if data else 0
    if not data:
        print("without TENFOLD_TEST_DATA: no real templates")
    judge.process.stdin.close()
    judge.process.wait()
    print("\n".join(judge.problems[:20]))
    print(f"seed {args.seed}: {random_same} of {args.count + len(HANDWRITTEN)} templates the same, {random_failed} failed in both, "
          f"{real} real templates, {len(judge.problems)} differ (jinja2 {jinja2.__version__})")
    if random_same < args.count // 3:
        print("too few templates render at all: the generator is broken")
        return 1
    return 1 if judge.problems or judge.process.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
