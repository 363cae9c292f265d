#!/bin/sh
# install_deps.sh [build|test|check]   installs what tools/packages.txt lists for that group and the groups before it.
# Says nothing and starts no network when all is there (one dpkg-query). Installs as root or through sudo; removes no
# package to do it, so that a machine set up for something else stays as it is.
set -eu
list=$(dirname "$0")/packages.txt
case ${1:-build} in
  build) groups="build" ;;
  test) groups="build test" ;;
  check) groups="build test check" ;;
  *) echo "usage: install_deps.sh [build|test|check]" >&2; exit 2 ;;
esac

wanted=""
while read -r package group condition; do
  case $package in "" | "#"*) continue ;; esac
  case " $groups " in *" $group "*) ;; *) continue ;; esac
  case $condition in unless=*) command -v "${condition#unless=}" >/dev/null && continue ;; esac
  wanted="$wanted $package"
done <"$list"

if ! command -v dpkg-query >/dev/null; then
  echo "tenfold: this is not a Debian system; the packages it needs are listed in tools/packages.txt" >&2
  exit 0
fi
# shellcheck disable=SC2086  # package names are words
installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' $wanted 2>/dev/null | sed -n 's/ installed$//p' || true)
missing=""
for package in $wanted; do
  printf '%s\n' "$installed" | grep -qxF "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
  as_root=""
elif command -v sudo >/dev/null; then
  as_root="sudo"
else
  echo "tenfold: these packages are missing; install them as root, then run this again:" >&2
  echo "  apt-get install$missing" >&2
  exit 1
fi
echo "tenfold: installing$missing"
# shellcheck disable=SC2086
apt() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" </dev/null; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086
if ! { apt update && apt install -y --no-install-recommends --no-remove $missing; } >"$log" 2>&1; then
  tail -n 25 "$log" >&2
  echo "tenfold: apt-get could not install:$missing" >&2
  exit 1
fi
