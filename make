#!/bin/sh
# ./make VERB...   the same as `make VERB...`, for a machine that may not have make yet.
set -eu
cd "$(dirname "$0")"
tools/install_deps.sh build
exec make "$@"
