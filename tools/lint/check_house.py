#!/usr/bin/env python3
"""Checks the habits of this code base that a script can see.

usage: check_house.py [--root DIR]

- no promise left in a file (to-do marks), no path of one machine, no line of merge conflict
- a C++ file opens with a comment that says what it is for (x.cc and x_test.cc may leave that to x.h)
- rooms neither throw, print nor exit (the server's edges catch what libraries throw)
- no file over 500 lines unless long_files.txt says why; no file named after nothing (utils, helper, common, manager)
"""
import argparse
import pathlib
import re
import subprocess
import sys

SOURCE = {".cc", ".h", ".py", ".sh", ".mjs", ".ts", ".tsx", ".cmake", ".txt", ".md", ".json", ""}
CODE = {".cc", ".h", ".py", ".sh", ".mjs", ".ts", ".tsx"}
MAX_LINES = 500
EMPTY_NAMES = re.compile(r"(^|_)(utils?|helpers?|common|managers?|misc)(_|\.|$)")
PROMISE = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
ONE_MACHINE = re.compile(r"""(?<![\w./$}])/(tmp|home|root|work|mnt)/\w""")
CONFLICT = re.compile(r"^(<{7}|>{7}) ")
THROWS = re.compile(r"\bthrow\b(?!\()")
PRINTS = re.compile(r"\bstd::(cout|cerr|clog)\b|(?<![\w:.>])(std::)?(f?printf|puts|exit|_exit|quick_exit)\s*\(")
LITERALS = re.compile(r'//.*|"(?:[^"\\]|\\.)*"')


def files_of(root):
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = subprocess.run(command, check=True, capture_output=True).stdout.decode().split("\0")
        return [root / name for name in names if name and (root / name).is_file()]
    return [path for path in root.rglob("*") if path.is_file() and "build" not in path.relative_to(root).parts]


def check_lines(name, path, lines):
    """Problems that one line shows."""
    room = name.split("/")[1] if name.startswith("src/") else ""
    quiet_room = room and not name.endswith("_test.cc") and path.suffix in (".cc", ".h")
    for number, line in enumerate(lines, 1):
        where = f"{name}:{number}"
        if PROMISE.search(line):
            yield f"{where}: a promise left in the file"
        if path.suffix in CODE and ONE_MACHINE.search(line) and "XXXXXX" not in line:  # a mkdtemp template is fine
            yield f"{where}: names a path of one machine"
        if CONFLICT.search(line):
            yield f"{where}: a merge conflict"
        if quiet_room:
            code = LITERALS.sub("", line)
            if THROWS.search(code):
                yield f"{where}: rooms return Result, they do not throw"
            if room != "base" and PRINTS.search(code):
                yield f"{where}: rooms neither print nor exit"


def check_file(root, path, long_files):
    name = path.relative_to(root).as_posix()
    if path.suffix not in SOURCE:
        return
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        if path.suffix in CODE:
            yield f"{name}: not UTF-8"
        return
    if EMPTY_NAMES.search(path.name):
        yield f"{name}: a name that says nothing; call it after its noun"
    if path.suffix in CODE and len(lines) > MAX_LINES and name not in long_files:
        yield f"{name}: {len(lines)} lines; split it, or say why in tools/lint/long_files.txt"
    headers = {path.with_suffix(".h"), path.with_name(path.stem.removesuffix("_test") + ".h")}
    explained = path.suffix == ".cc" and any(header.exists() for header in headers)
    if path.suffix in (".cc", ".h") and not explained and not (lines and lines[0].startswith("//")):
        yield f"{name}: must open with a comment that says what it is for"
    yield from check_lines(name, path, lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    root = parser.parse_args().root.resolve()
    listed = root / "tools/lint/long_files.txt"
    text = listed.read_text(encoding="utf-8") if listed.exists() else ""
    long_files = {line.split()[0] for line in text.splitlines() if line.strip() and line[0] != "#"}
    paths = files_of(root)
    problems = [problem for path in sorted(paths) for problem in check_file(root, path, long_files)]
    problems += [f"tools/lint/long_files.txt: {name} is gone" for name in sorted(long_files) if not (root / name).exists()]
    print("\n".join(problems) if problems else f"{len(paths)} files keep the house's habits")
    return 1 if problems or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
