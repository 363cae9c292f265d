"""Random templates and expressions for the differential test, from a seeded generator.

Expressions know what type they aim at, so that most of them work; one in twenty aims wrong, so that failures are
compared as well.
"""
import random

STRINGS = ["", "a", "Hello world", "  spaced  ", "x,y,,z", "line1\nline2\n", "Ünïcödé 中文", "<b>&'\"", "</think>", "aAbB",
           "one two  three", "12", "-3.5", "0x1f", "{}", "%", "tab\there", "ß", "{\"k\": 1}", "abcabcabc", "\r\nmixed\r"]
CONTEXT = {
    "messages": [{"role": "system", "content": "Be  brief."}, {"role": "user", "content": "Hi <there>\n"},
                 {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "function": {
                     "name": "f", "arguments": {"city": "Köln", "days": 2, "ok": True, "x": None, "r": 0.5}}}]},
                 {"role": "tool", "content": "{\"t\": 20}"}, {"role": "user", "content": "thanks"}],
    "items_list": [3, 1, 2, 3], "words": ["pear", "Apple", "fig", "apple"], "nested": [[1, 2], [3, 4], [5, 6]],
    "mixed": [1, "a", None, 2.5, True], "empty": [], "d": {"a": 1, "b": "two", "items": [1], "c": {"d": [1, 2]}},
    "e": {}, "n": 7, "z": 0, "neg": -4, "f": 2.5, "big": 1e20, "tiny": 1.5e-7, "t": True, "no": False, "none_value": None,
    "s": "Hello World", "u": "naïve café 中文", "sp": "  pad \n", "csv": "a,b,,c",
    "people": [{"name": "Bo", "age": 30, "city": {"zip": 1}}, {"name": "al", "age": 25, "city": {"zip": 3}},
               {"name": "Cy", "age": 30, "city": {"zip": 2}}],
}


class Generator:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.scope = []
        self.macros = []

    def pick(self, *options):
        return self.r.choice(options)

    def literal(self, text):
        escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
        return "'" + escaped.replace("'", "\\'") + "'" if self.r.random() < 0.7 else '"' + escaped.replace('"', '\\"') + '"'

    def expr(self, kind, depth):
        if self.r.random() < 0.05:
            kind = self.pick("int", "float", "str", "bool", "list", "dict", "any")
        if kind == "any":
            kind = self.pick("int", "float", "str", "str", "bool", "list", "dict")
        simple = depth <= 0 or self.r.random() < 0.2
        if self.r.random() < 0.08 and not simple:
            return self.common(kind, depth)
        return getattr(self, "atom_" + kind if simple else "deep_" + kind)(depth - 1)

    def common(self, kind, depth):
        a, b, c = self.expr(kind, depth - 1), self.expr("bool", depth - 1), self.expr(kind, depth - 1)
        return self.pick(f"({a} if {b} else {c})", f"({a} or {c})", f"({a} and {c})", f"({a})", f"(undefined_name | default({a}))",
                         f"[{a}, {c}][{self.pick('0', '1', '-1')}]", f"({a} | default({c}, true))",
                         f"({{'k': {a}}}).k", f"({{'k': {a}}})['k']", f"({a}, {c})[1]", f"({a} if {b})")

    def atom_int(self, depth):
        return self.pick("0", "1", "2", "-1", "3", "10", "1_000", "n", "z", "neg", "(loop.index0 | default(0))", "items_list[0]")

    def deep_int(self, depth):
        i, j = self.expr("int", depth), self.expr("int", depth)
        return self.pick(f"({i} + {j})", f"({i} - {j})", f"({i} * {j})", f"{i} // {j}", f"({i} % {j})", f"(-{i})",
                         f"({i} ** {self.pick('0', '1', '2', '3')})", f"({self.expr('list', depth)} | length)",
                         f"({self.expr('str', depth)} | length)", f"({self.expr('str', depth)} | int)",
                         f"({self.expr('float', depth)} | int)", f"({self.expr('list', depth)} | sum)",
                         f"({i} | abs)", f"{self.expr('str', depth)}.find({self.expr('str', 0)})",
                         f"{self.expr('str', depth)}.count({self.expr('str', 0)})", f"({self.expr('str', depth)} | wordcount)",
                         f"({i} | round)", f"(+{i})", f"(items_list | max)", f"([{i}, {j}] | min)",
                         f"people[{self.pick('0', '1', '2')}].age", f"(people | sum(attribute='age'))", f"d.a",
                         f"({self.expr('bool', depth)} + {i})", f"{self.expr('list', depth)}.count({i})")

    def atom_float(self, depth):
        return self.pick("0.5", "2.0", "1e3", "1.5e-7", "f", "big", "tiny", "0.1", "3.14159", "100.0", "1e16", "123456.789")

    def deep_float(self, depth):
        a, b = self.expr(self.pick("float", "int"), depth), self.expr("float", depth)
        return self.pick(f"({a} + {b})", f"({a} - {b})", f"({a} * {b})", f"({a} / {b})", f"({b} // {a})", f"({b} % {a})",
                         f"({b} | round)", f"({b} | round({self.pick('1', '2', '0', '3')}))", f"({b} | abs)",
                         f"({self.expr('str', depth)} | float)", f"({b} | round(1, '{self.pick('ceil', 'floor')}'))",
                         f"({self.expr('int', depth)} / {self.expr('int', depth)})", f"(-{b})", f"({a} | float)")

    def atom_bool(self, depth):
        return self.pick("true", "false", "True", "t", "no", "(x is defined)", "(n is defined)", "(none_value is none)")

    def deep_bool(self, depth):
        kind = self.pick("int", "float", "str")
        a, b = self.expr(kind, depth), self.expr(kind, depth)
        anything = self.expr("any", depth)
        test = self.pick("string", "number", "integer", "float", "boolean", "none", "defined", "undefined", "mapping", "iterable",
                         "sequence", "true", "false", "callable")
        return self.pick(f"({a} == {b})", f"({a} != {b})", f"({a} < {b})", f"({a} <= {b})", f"({a} > {b})", f"({a} >= {b})",
                         f"(not {anything})", f"({a} < {b} < {a})", f"({anything} is {test})", f"({anything} is not {test})",
                         f"({self.expr('str', depth)} in {self.expr('str', depth)})",
                         f"({self.expr('any', depth)} in {self.expr('list', depth)})",
                         f"({self.expr('str', depth)} not in {self.expr('dict', depth)})",
                         f"({self.expr('int', depth)} is {self.pick('odd', 'even', 'divisibleby 3', 'divisibleby(2)', 'eq 1', 'in [1, 2]', 'gt(2)', 'lt 3')})",
                         f"{self.expr('str', depth)}.startswith({self.expr('str', 0)})",
                         f"{self.expr('str', depth)}.endswith({self.expr('str', 0)})",
                         f"({self.expr('str', depth)} is {self.pick('lower', 'upper')})",
                         f"{self.expr('str', depth)}.{self.pick('isdigit', 'isalpha', 'isspace', 'isupper', 'islower', 'isalnum')}()",
                         f"({anything} == {self.expr('any', depth)})")

    def atom_str(self, depth):
        return self.pick("s", "u", "sp", "csv", "messages[1].content", "messages[0]['role']", "d.b", "words[0]",
                         *[self.literal(s) for s in self.r.sample(STRINGS, 6)])

    def deep_str(self, depth):
        a, b = self.expr("str", depth), self.expr("str", depth)
        anything = self.expr("any", depth)
        flat = self.pick(self.expr("dict", depth), self.expr("list", depth), self.expr("str", depth), self.expr("int", depth))
        i, j = self.expr("int", 0), self.expr("int", 0)
        one = self.literal(self.pick("a", ",", " ", "lo", "\n", "l", "</think>", "b"))
        return self.pick(
            f"({a} + {b})", f"({a} ~ {anything})", f"({anything} ~ {b} ~ {i})", f"({a} * {self.pick('0', '1', '2', '3')})",
            f"{a}[{i}]", f"{a}[{i}:{j}]", f"{a}[:{i}]", f"{a}[::-1]", f"{a}[{i}:{j}:{self.pick('1', '2', '-1')}]",
            f"({a} | {self.pick('upper', 'lower', 'title', 'capitalize', 'trim', 'string', 'reverse', 'first', 'last', 'safe', 'escape', 'e', 'urlencode')})",
            f"({flat} | tojson)", f"({flat} | tojson(indent={self.pick('2', '4', '0')}))", f"({flat} | string)",
            f"({a} | replace({one}, {b}))", f"({a} | replace({one}, {b}, 1))", f"({self.expr('list', depth)} | join({one}))",
            f"({self.expr('list', depth)} | join)", f"(people | join({one}, attribute='name'))", f"({a} | indent)",
            f"({a} | indent({self.pick('2', '3', 'width=1')}, {self.pick('true', 'false')}))", f"({a} | indent(2, blank=true))",
            f"({a} | truncate({self.pick('5', '8', '10')}{self.pick('', ', true', ', leeway=0')}))", f"({a} | center({self.pick('9', '12', '20')}))",
            f"{a}.{self.pick('strip', 'lstrip', 'rstrip', 'upper', 'lower', 'title', 'capitalize', 'swapcase')}()",
            f"{a}.{self.pick('strip', 'lstrip', 'rstrip')}({self.literal(self.pick('a', ' H', chr(10), 'xyz', 'é中'))})",
            f"{a}.replace({one}, {b})", f"{a}.replace({one}, {b}, {self.pick('1', '-1')})", f"{one}.join({self.pick('words', 'csv', a)})",
            f"{a}.split({one})[{self.pick('0', '-1')}]", f"'%s|%5s|%-4s' % ({a}, {b}, {i})", f"'%d %05d %+d %x' % ({i}, {j}, {i}, 255)",
            f"'%.2f %8.3f %e %g' % ({self.expr('float', depth)}, f, f, {self.expr('float', 0)})", f"'%(a)s-%(b)r' % d",
            f"('%s=%r' | format({a}, {flat}))", f"'{{}} {{}}'.format({a}, {i})", f"'{{0:>6}}|{{0:<6}}|{{0:^7}}'.format({a})",
            f"'{{:05d}} {{:,}} {{:x}}'.format({i}, 1234567, 255)", f"'{{x:.2f}} {{y!r}}'.format(x={self.expr('float', 0)}, y={a})",
            f"{a}.{self.pick('center', 'ljust', 'rjust')}({self.pick('8', '3', '15')}{self.pick('', chr(44) + chr(39) + '*' + chr(39))})",
            f"{i}.__class__" if self.r.random() < 0.05 else f"({i} | string).zfill(5)", f"({self.expr('float', depth)} | string)",
            f"{a}.removeprefix({one})", f"{a}.removesuffix({one})", f"{a}.partition({one})[{self.pick('0', '1', '2')}]",
            f"{a}.rsplit({one}, 1)[{self.pick('0', '-1')}]", f"({a} | default('x'))", f"(none_value | default('x', {self.pick('true', 'false')}))",
            f"messages[{i}].role", f"messages[{i}].content", f"({a} | list | join('-'))", f"({a} | forceescape)",
            f"(({a}) | safe + {b})", f"(messages | map(attribute='role') | join(','))", f"({anything} | tojson | length | string)")

    def atom_list(self, depth):
        return self.pick("items_list", "words", "nested", "empty", "[1, 2, 3]", "['a', 'b']", "(1, 2)", "[]", "mixed", "people")

    def deep_list(self, depth):
        a, b = self.expr("list", depth), self.expr("list", depth)
        s, i = self.expr("str", depth), self.expr("int", 0)
        return self.pick(
            f"[{self.expr('any', depth)}, {self.expr('any', depth)}]", f"({a} + {b})", f"{a}[{i}:]", f"{a}[::-1]", f"{a}[:{i}]",
            f"({a} | list)", f"({a} | reverse | list)", f"(items_list | sort)", f"(words | sort)", f"(words | sort(case_sensitive=true, reverse=true))",
            f"({a} | sort)", f"({a} | unique | list)", f"({a} | map('{self.pick('string', 'upper', 'length', 'int', 'tojson', 'trim')}') | list)",
            f"(people | map(attribute='{self.pick('name', 'age', 'city.zip', 'nope')}') | list)", f"(people | map(attribute='nope', default=0) | list)",
            f"({a} | select('{self.pick('string', 'number', 'none', 'defined', 'odd')}') | list)", f"({a} | select | list)",
            f"({a} | reject('{self.pick('string', 'number', 'none')}') | list)", f"(people | selectattr('age', '{self.pick('gt', 'eq', '==', 'lt', 'in')}', {self.pick('25', '30', '[25]')}) | map(attribute='name') | list)",
            f"(messages | selectattr('role', 'equalto', 'user') | list | length)", f"(messages | rejectattr('content') | map(attribute='role') | list)",
            f"(people | sort(attribute='{self.pick('name', 'age', 'city.zip', 'age,name')}') | map(attribute='name') | list)",
            f"{s}.split({self.pick('', chr(39) + ',' + chr(39), chr(39) + ' ' + chr(39), chr(39) + 'l' + chr(39) + ', 1')})", f"{s}.splitlines({self.pick('', 'true')})",
            f"{s}.rsplit({self.pick('none, 1', chr(39) + 'l' + chr(39))})", f"(range({self.pick('3', '1, 4', '5, 0, -2', i)}) | list)", f"range({self.pick('3', '2, 5')})",
            f"({a} * {self.pick('0', '1', '2')})", f"(d | items | list)", f"(d | dictsort)", f"({self.expr('dict', depth)}.keys() | list)",
            f"{self.expr('dict', depth)}.items()", f"({self.expr('dict', depth)}.values() | list)", f"({a} | batch(2{self.pick('', ', 0')}) | list)", f"({a} | slice(2{self.pick('', ', 0')}) | list)",
            f"(people | groupby('age') | map(attribute='grouper') | list)", f"(people | groupby('age') | map('first') | list)", f"(words | map('upper') | map('lower') | list)",
            f"({s} | list)", f"(d | list)", f"(words | unique | list)")

    def atom_dict(self, depth):
        return self.pick("d", "e", "{}", "{'a': 1}", "messages[0]", "people[1]", "messages[2].tool_calls[0].function", "{1: 'x', 'y': none}")

    def deep_dict(self, depth):
        a = self.expr("any", depth)
        return self.pick(f"{{'k': {a}, {self.expr('str', 0)}: {self.expr('any', depth)}}}", f"dict(a={a})", f"dict(d, z={a})", "d.c", "d['c']",
                         f"{{{self.expr('int', 0)}: {a}}}", f"dict([('p', {a})])", "messages[2].tool_calls[0]", f"(people | first)", f"(people | last)")

    # Statements.
    def sign(self):
        return self.r.choice(["", "", "", "-"])

    def tag(self, body):
        left, right = self.r.choice(["", "", "-", "+"]), self.r.choice(["", "", "-", "+"])
        return "{%" + left + " " + body + " " + right + "%}"

    def text(self):
        return self.pick("", " ", "\n", "text ", "  \n  ", "a\n", "\n\n", "}{", "<|x|>", "  - ")

    def output(self, depth):
        return "{{" + self.sign() + " " + self.expr(self.pick("str", "int", "any", "float", "bool", "list"), depth) + " " + self.sign() + "}}"

    def statements(self, depth, count=None):
        out = []
        for _ in range(count or self.r.randint(1, 3)):
            out.append(self.text())
            out.append(self.statement(depth))
        out.append(self.text())
        return "".join(out)

    def statement(self, depth):
        if depth <= 0:
            return self.output(2)
        which = self.pick("output", "output", "if", "for", "for", "set", "setblock", "macro", "ns", "filter", "call", "with", "comment", "raw",
                          "generation", "break", "recursive")
        return getattr(self, "make_" + which)(depth - 1)

    def make_output(self, depth):
        return self.output(3)

    def make_if(self, depth):
        out = self.tag("if " + self.expr("bool", 2)) + self.statements(depth)
        if self.r.random() < 0.4:
            out += self.tag("elif " + self.expr("any", 1)) + self.statements(depth)
        if self.r.random() < 0.5:
            out += self.tag("else") + self.statements(depth)
        return out + self.tag("endif")

    def make_for(self, depth):
        target, items = self.r.choice([("x", self.expr("list", 2)), ("x", "messages"), ("k, v", "d.items()"), ("k, v", "d | items"), ("a, b", "nested"),
                                       ("x", self.expr("str", 1)), ("x", "range(3)"), ("x", "d"), ("x", "words"), ("i, (a, b)", "[(1, (2, 3)), (4, (5, 6))]")])
        condition = self.pick("", "", f" if {target[0]} {self.pick('is defined', 'is string', 'not in [1]', '!= 2')}")
        body = self.statements(depth) + self.pick("", "{{ loop.index }}", "{{ loop.first }}{{ loop.last }}", "{{ loop.length }}/{{ loop.revindex }}",
                                                  "{{ loop.cycle('a', 'b') }}", "{{ loop.previtem is defined }}{{ loop.nextitem is defined }}",
                                                  "{{ loop.changed(x) }}", "{{ loop.depth }}{{ loop.revindex0 }}", "{% if loop.first %}1{% endif %}")
        other = self.tag("else") + "none" if self.r.random() < 0.2 else ""
        return self.tag(f"for {target} in {items}{condition}") + "{{ " + target[0] + " is string }}" + body + other + self.tag("endfor")

    def make_break(self, depth):
        return (self.tag(f"for y in {self.expr('list', 1)}") + self.tag(f"if {self.pick('loop.index == 2', 'y is string', 'loop.last', 'y')}") +
                self.tag(self.pick("break", "continue")) + self.tag("endif") + "{{ y }};" + self.tag("endfor"))

    def make_recursive(self, depth):
        return "{% for q in [[1, [2, [3]]], [4]] recursive %}{{ loop.depth }}{% if q is iterable %}({{ loop(q) }}){% else %}{{ q }}{% endif %}{% endfor %}"

    def make_set(self, depth):
        name = self.pick("x", "y", "k", "acc")
        return self.pick(self.tag(f"set {name} = {self.expr('any', 2)}") + "{{ " + name + " }}",
                         self.tag(f"set p, q = {self.expr('any', 1)}, {self.expr('int', 1)}") + "{{ p }}{{ q }}",
                         self.tag(f"set {name} = {name} ~ 'x'") + "{{ " + name + " }}")

    def make_setblock(self, depth):
        return self.tag(self.pick("set blk", "set blk | upper", "set blk | trim | length")) + self.statements(depth) + self.tag("endset") + "[{{ blk }}]"

    def make_macro(self, depth):
        name = self.pick("m1", "m2")
        body = self.statements(0) + "{{ a }}{{ b }}" + self.pick("", "{{ varargs }}", "{{ kwargs }}", "{{ x }}")
        call = self.pick("(1)", "(1, 2)", "(a=3)", "(b='q', a=1)", "()", "(1, 2, 3)", "(1, c=4)", "(*[1, 2])", "(**{'a': 5})")
        return self.tag(f"macro {name}(a, b={self.expr('any', 1)})") + body + self.tag("endmacro") + "{{ " + name + call + " }}"

    def make_ns(self, depth):
        return (self.tag(f"set ns = namespace(v={self.expr('int', 1)}, w='')") + self.tag(f"for i in {self.pick('range(3)', 'items_list', 'words')}") +
                self.tag(f"set ns.v = ns.v + {self.pick('1', 'i', 'loop.index')}") + self.tag("set ns.w = ns.w ~ i") + self.tag("endfor") + "{{ ns.v }}{{ ns.w }}{{ ns.nope is defined }}")

    def make_filter(self, depth):
        return self.tag("filter " + self.pick("upper", "trim", "replace('a', 'b') | title", "indent(2)", "length", "escape")) + self.statements(depth) + self.tag("endfilter")

    def make_call(self, depth):
        return ("{% macro wrap(t) %}<{{ t }}>{{ caller(" + self.pick("", "1") + ") }}</{{ t }}>{% endmacro %}" + self.tag(self.pick("call wrap('p')", "call(v='d') wrap('q')")) +
                self.statements(depth) + self.pick("", "{{ v }}") + self.tag("endcall"))

    def make_with(self, depth):
        return self.tag(f"with x = {self.expr('any', 1)}, y = x") + "{{ x }}{{ y }}" + self.statements(depth) + self.tag("endwith") + "{{ y is defined }}"

    def make_comment(self, depth):
        return self.pick("{# note #}", "{#- note -#}", "{#\n multi\n#}", "{#+ x +#}", "{##}")

    def make_raw(self, depth):
        return self.pick("{% raw %}{{ not }} {% this %}{% endraw %}", "{%- raw -%} x {%- endraw -%}\n", "  {% raw %}\n y\n  {% endraw %}\n")

    def make_generation(self, depth):
        return self.tag("generation") + self.statements(depth) + self.tag("endgeneration")


def random_template(seed):
    generator = Generator(seed)
    if generator.r.random() < 0.5:
        return "{{ " + generator.expr("any", 4) + " }}"
    return generator.statements(3)
