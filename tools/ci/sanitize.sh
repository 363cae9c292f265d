#!/bin/sh
# sanitize.sh PRESET [ctest selection]   builds the tests the selection names under a CMake preset and runs them.
# The preset "fuzz" is address + undefined sanitizers with coverage: one tree serves the unit tests and the fuzz targets.
set -eu
preset=$1
shift
build=build/$preset
mkdir -p "$build"
cmake --preset "$preset" >"$build/configure.log" 2>&1 || { cat "$build/configure.log"; exit 1; }
# ctest names a unit test after its room; its program is room_test. End-to-end tests run the server.
targets=$(ctest --test-dir "$build" -N "$@" | sed -n -e 's/^ *Test *#[0-9]*: e2e\..*$/tenfold/p' -e 's/^ *Test *#[0-9]*: \([^.]*\)$/\1_test/p')
[ -n "$targets" ] || { echo "no test matches $*"; exit 1; }
memory_jobs=$(awk '/^MemAvailable/ { print int($2 / 2000000) + 0 }' /proc/meminfo)
jobs=$(nproc)
[ "$memory_jobs" -ge "$jobs" ] || jobs=$memory_jobs
[ "$jobs" -ge 1 ] || jobs=1
# shellcheck disable=SC2086  # target names are words
ninja -C "$build" -j "$jobs" --quiet $targets
export ASAN_OPTIONS="detect_stack_use_after_return=1:strict_string_checks=1:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS:-}"
export TSAN_OPTIONS="second_deadlock_stack=1:${TSAN_OPTIONS:-}"
exec tools/ci/run_ctest.sh "$build" -j "$jobs" "$@"
