#!/bin/sh
# Compares docs/configuration.md with the table of settings as the program prints it.
#   usage: check_settings_reference.sh PATH/TO/tenfold     in the repository's root
set -u
binary=$1
if ! "$binary" serve --print-reference | diff -u docs/configuration.md -; then
  echo "docs/configuration.md differs from the table in src/config/table.cc; write it anew with"
  echo "  build/release/tenfold serve --print-reference > docs/configuration.md"
  exit 1
fi
echo "docs/configuration.md is what the table of settings says"
