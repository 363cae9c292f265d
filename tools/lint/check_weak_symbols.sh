#!/bin/sh
# check_weak_symbols.sh BUILD_DIR   fails if an object built for a wide instruction set defines a weak or unique symbol.
# Why: the linker keeps one copy of an inline function. If it keeps the AVX-512 copy, the baseline path dies with SIGILL
# on an older CPU. DW.ref.__gxx_personality_v0 is data, the same in every object, and may stay.
set -eu
objects=$(find "$1" -name '*.o' | grep -E '/kernels/(avx2|avxvnni|avx512vnni)/' || true)
if [ -z "$objects" ]; then
  echo "no object under $1 is built for a wide instruction set: build first"
  exit 1
fi
status=0
for object in $objects; do
  weak=$(nm --defined-only -C "$object" | grep -E ' [WVu] ' | grep -v ' DW\.ref\.__gxx_personality_v0$' || true)
  if [ -n "$weak" ]; then
    echo "$object defines:"
    printf '%s\n' "$weak" | sed 's/^[0-9a-f ]*/  /' | head -20
    status=1
  fi
done
[ "$status" != 0 ] || echo "$(printf '%s\n' "$objects" | wc -l) wide objects define no weak symbol"
exit "$status"
