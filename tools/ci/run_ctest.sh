#!/bin/sh
# run_ctest.sh BUILD_DIR [ctest arguments]   runs the tests of one build tree, then says which were skipped and why.
# With CI set in the environment a skip that tools/ci/allowed_skips.txt does not name is a failure.
set -eu
build=$1
shift
top=$(cd "$(dirname "$0")/../.." && pwd)
results=$(cd "$build" && pwd)/test-results
rm -rf "$results"
mkdir -p "$results"
export GTEST_OUTPUT="xml:$results/"
export TENFOLD_TEST_RESULTS="$results"
status=0
ctest --test-dir "$build" --output-on-failure --no-tests=error "$@" </dev/null || status=$?
python3 "$top/tools/ci/check_skips.py" "$results" || status=1
exit "$status"
