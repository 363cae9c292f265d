#!/usr/bin/env python3
"""Checks that the container's second stage installs every library the binary is linked with.

usage: check_container.py BINARY [--dockerfile FILE]

A library that is missing there is found only when somebody builds the image, which no test here does. Which package a
library is from is asked of dpkg; what is not of a package, and what libc's own packages bring, is not looked for.
"""
import argparse
import pathlib
import re
import subprocess
import sys

# In every Debian image, however slim.
ALWAYS_THERE = {"libc6", "libgcc-s1", "libstdc++6"}


def needed_by(binary):
    """Names of the shared libraries that the binary itself asks for."""
    text = subprocess.run(["readelf", "-d", binary], check=True, capture_output=True, text=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.*)\]", text)


def packages_of(library):
    """The Debian packages that bring a library of this name (one for each architecture); empty where none does."""
    done = subprocess.run(["dpkg-query", "-S", f"*/{library}"], capture_output=True, text=True, check=False)
    return {line.split(":")[0] for line in done.stdout.splitlines()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--dockerfile", default="deploy/Dockerfile")
    options = parser.parse_args()
    last_stage = re.split(r"^FROM ", pathlib.Path(options.dockerfile).read_text(encoding="utf-8"), flags=re.M)[-1]
    installed = set(re.findall(r"[a-z0-9][a-z0-9.+-]+", last_stage))
    libraries = needed_by(options.binary)
    if not libraries:
        sys.exit(f"{options.binary} needs no shared library: is it the right file?")
    status = 0
    for library in libraries:
        packages = packages_of(library)
        if packages and not packages & (installed | ALWAYS_THERE):
            print(f"{options.dockerfile}: the last stage does not install {min(packages)}, which has {library}")
            status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
