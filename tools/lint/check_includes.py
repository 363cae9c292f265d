#!/usr/bin/env python3
"""Checks who includes whom: the table of rooms below, against every #include in src/ and apps/ and the CMake rooms.

usage: check_includes.py [--root DIR]

Four walls matter most: sched never sees model, api never sees sockets, kernels never see model, gate never links engine.
"""
import argparse
import pathlib
import re
import sys

# room -> rooms it may include, besides itself and base.
ALLOWED = {
    "base": set(),
    "platform": set(),
    "stats": set(),
    "tensor": set(),
    "kv": set(),
    "sampling": set(),
    "api": set(),
    "gguf": {"platform", "tensor"},
    "tokenizer": {"gguf"},
    "jinja": set(),
    "grammar": set(),
    "config": set(),
    "chat": {"tokenizer", "jinja"},
    "sched": {"kv"},
    "kernels": {"tensor"},
    "model": {"platform", "tensor", "gguf", "kernels", "kv"},
    "engine": {"platform", "stats", "tensor", "kv", "sampling", "grammar", "gguf", "tokenizer", "sched", "kernels", "model"},
    # The engine's interface speaks in tokens and sampling parameters, so its user sees those two headers as well.
    "server": {"api", "chat", "engine", "jinja", "tokenizer", "sampling", "grammar"},
    # Headers only: what the loader would make of a file and this machine, without loading.
    "inspect": {"platform", "tensor", "gguf", "tokenizer", "chat", "kv", "kernels", "model"},
    # Measures the machine (the kernels' peak loops) and the engine below HTTP: its loader, the model, draws as the loop's.
    "bench": {"stats", "platform", "tensor", "gguf", "kv", "sampling", "kernels", "model", "engine"},
    # The judge reads result files and never links the engine it judges.
    "results": {"stats"},
    "load": {"results"},
    # Tunes real servers through the load generator, as users meet them; kernels only to name the instruction set.
    "tune": {"stats", "platform", "kernels", "config", "results", "load"},
    "gate": {"stats", "results"},
    "report": {"results", "gate"},
    "doctor": {"platform"},
}
# (room, part of the file name) -> more rooms for those files only.
EXCEPTIONS = {("kernels", "isa.cc"): {"platform"}, ("kernels", "_test"): {"platform"}, ("server", "test_"): {"gguf"}}
# Headers that only the rooms named here may include.
SYSTEM = {
    re.compile(r"^(boost/(asio|beast)|sys/socket\.h|netinet/|arpa/inet\.h|netdb\.h)"): {"server", "load"},
    re.compile(r"^curl/"): {"load"},
    re.compile(r"^(iostream|print)$"): {"bench"},
    re.compile(r"^(immintrin\.h|x86intrin\.h)$"): {"kernels", "tensor", "platform"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def check_file(path, room, root):
    problems = []
    allowed = {room, "base"} | ALLOWED[room] if room else set(ALLOWED)
    if room == "base":
        allowed = {"base"}
    for (exception_room, part), more in EXCEPTIONS.items():
        if room == exception_room and part in path.name:
            allowed |= more
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, header = match.groups()
        where = f"{path.relative_to(root)}:{number}"
        if quote == '"':
            first, slash, _ = header.partition("/")
            if not slash and not room:
                continue  # apps/ includes its own headers by name
            if first not in ALLOWED and first != "apps":
                problems.append(f'{where}: "{header}" is not a path from src/')
            elif first not in allowed and not (first == "apps" and not room):
                problems.append(f"{where}: {room} may not include {first} ({header})")
        elif room:
            for pattern, rooms in SYSTEM.items():
                if pattern.search(header) and room not in rooms and not path.name.endswith("_test.cc"):
                    problems.append(f"{where}: {room} may not include <{header}>")
    return problems


def check_cmake(root):
    text = (root / "CMakeLists.txt").read_text(encoding="utf-8")
    problems = []
    for body in re.findall(r"^tenfold_room\(([^)]*)\)", text, re.M):
        words = body.split()
        room, deps, inside = words[0], set(), False
        for word in words[1:]:
            inside = word == "DEPS" or (inside and word != "LIBS")
            if inside and word != "DEPS":
                deps.add(word)
        if room not in ALLOWED:
            problems.append(f"CMakeLists.txt: room {room} is not in tools/lint/check_includes.py")
            continue
        more = set().union(*(rooms for (name, _), rooms in EXCEPTIONS.items() if name == room))
        for dep in sorted(deps - ALLOWED[room] - more - {"base"}):
            problems.append(f"CMakeLists.txt: {room} may not link {dep}")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    root = parser.parse_args().root.resolve()
    problems, files = check_cmake(root), 0
    for folder in ("src", "apps"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".cc", ".h"):
                continue
            files += 1
            room = path.relative_to(root).parts[1] if folder == "src" else ""
            if folder == "src" and room not in ALLOWED:
                problems.append(f"{path.relative_to(root)}: room {room} is not in tools/lint/check_includes.py")
            else:
                problems += check_file(path, room, root)
    print("\n".join(problems) if problems else f"{files} files keep the table of rooms")
    return 1 if problems or not files else 0


if __name__ == "__main__":
    sys.exit(main())
