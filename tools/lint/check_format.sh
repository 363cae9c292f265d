#!/bin/sh
# check_format.sh [ROOT]   fails if clang-format would change a C++ file. `make format` mends it.
set -eu
cd "${1:-$(dirname "$0")/../..}"
if [ -e .git ]; then
  files=$(git ls-files --cached --others --exclude-standard '*.cc' '*.h')
else
  files=$(find . -name build -prune -o \( -name '*.cc' -o -name '*.h' \) -print)
fi
existing=""
for file in $files; do [ ! -f "$file" ] || existing="$existing $file"; done
[ -n "$existing" ] || { echo "no C++ file found"; exit 1; }
# shellcheck disable=SC2086  # file names here have no blanks
clang-format --dry-run -Werror --ferror-limit=1 $existing
echo "$(echo $existing | wc -w) files are formatted"
