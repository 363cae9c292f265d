#!/usr/bin/env python3
"""Prints every skipped test with its reason; with CI set in the environment, fails on one that is not on the list.

usage: check_skips.py RESULTS_DIR [--allowed FILE]

RESULTS_DIR holds GoogleTest's XML reports and the *.skips files of tests/e2e/harness.py ("test<TAB>reason" lines).
Each line of the list is a regular expression that must match the whole of "test: reason".
Why a list: a test that quietly skips on the machine that decides is a test that cannot fail.
"""
import argparse
import os
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree


def read_skips(results):
    """Yields (test, reason) of every skip under the folder, and counts the reports read."""
    skips, reports = [], 0
    for path in sorted(results.glob("*.xml")):
        reports += 1
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            skipped = case.find("skipped")
            if skipped is not None:
                # GoogleTest's message opens with file:line of the GTEST_SKIP; the reason follows.
                lines = (skipped.text or skipped.get("message") or "").strip().splitlines()
                reason = " ".join(line.strip() for line in lines if not re.match(r"^\S+\.(cc|h):\d+$", line.strip()))
                skips.append((f"{case.get('classname')}.{case.get('name')}", reason))
    for path in sorted(results.glob("*.skips")):
        reports += 1
        for line in path.read_text(encoding="utf-8").splitlines():
            test, _, reason = line.partition("\t")
            skips.append((test, reason))
    return skips, reports


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--allowed", type=pathlib.Path, default=pathlib.Path(__file__).with_name("allowed_skips.txt"))
    args = parser.parse_args()
    patterns = [line for line in args.allowed.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    skips, reports = read_skips(args.results)
    strict = os.environ.get("CI", "") not in ("", "0", "false")

    reasons = {}
    for test, reason in skips:
        reasons.setdefault(reason or "NO REASON GIVEN", []).append(test)
    for reason, tests in sorted(reasons.items()):
        more = f" and {len(tests) - 2} more" if len(tests) > 2 else ""
        print(f"skipped: {', '.join(tests[:2])}{more}: {reason}")
    if not strict:
        return 0
    bad = [f"{test}: {reason}" for test, reason in skips if not any(re.fullmatch(p, f"{test}: {reason}") for p in patterns)]
    for line in bad:
        print(f"FAILED: this skip is not on {args.allowed.name}: {line}")
    if reports == 0:
        print(f"FAILED: no test report under {args.results}")
    return 1 if bad or reports == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
