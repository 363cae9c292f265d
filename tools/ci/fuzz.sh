#!/bin/sh
# fuzz.sh BUILD_DIR SECONDS   replays each fuzz target's corpus (fuzz/corpus/<room>/), then lets it search for SECONDS.
# What it finds is left in BUILD_DIR/crashes/ and named; new corpus entries go to BUILD_DIR/corpus/, never into the repo.
set -eu
build=$1
seconds=$2
sources=$(find fuzz -maxdepth 1 -name '*_fuzz.cc')
[ -n "$sources" ] || { echo "no fuzz target"; exit 1; }
names=$(for source in $sources; do basename "$source" .cc; done)
# shellcheck disable=SC2086  # target names are words
ninja -C "$build" -j "$(nproc)" --quiet $names
status=0
for name in $names; do
  mkdir -p "$build/corpus/$name" "$build/crashes"
  seeds=fuzz/corpus/${name%_fuzz}
  [ -d "$seeds" ] || { echo "$name has no corpus: $seeds is missing"; status=1; continue; }
  echo "-- $name: $(find "$seeds" -type f | wc -l) seeds, $seconds s"
  log=$build/$name.log
  if ! "$build/fuzz/$name" "$build/corpus/$name" "$seeds" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="$build/crashes/$name-" -print_final_stats=1 >"$log" 2>&1; then
    tail -n 40 "$log"
    status=1
  fi
  grep -h stat::number_of_executed_units "$log" || true
done
exit "$status"
