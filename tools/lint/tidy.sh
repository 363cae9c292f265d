#!/bin/sh
# tidy.sh BUILD_DIR   clang-tidy (.clang-tidy) over $FILES, or over what differs from the main branch's merge base and is
# not committed, or, where nothing differs, over everything. Needs the compile commands of a configured build tree.
set -eu
cd "$(dirname "$0")/../.."
build=$1
files=${FILES:-}
if [ -z "$files" ]; then
  base=$(git merge-base HEAD origin/main 2>/dev/null || git rev-parse HEAD)
  files=$( (git diff --name-only --diff-filter=d "$base" -- 'src/*.cc' 'apps/*.cc'
            git ls-files --others --exclude-standard 'src/*.cc' 'apps/*.cc') | sort -u)
fi
[ -n "$files" ] || files=$(git ls-files 'src/*.cc' 'apps/*.cc')
printf '%s\n' $files | xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p "$build"
