#!/bin/bash
# The virtual environment with the pinned dependencies, this project, and Debian's libvirt module linked in
# (compiling it would need a compiler and headers). Does nothing when it is up to date.
. "$(dirname "$0")/common.sh"
venv=${1:-$VENV}
stamp=$(cat pyproject.toml constraints.txt scripts/install-python.sh | sha256sum)
[ "$(cat "$venv/.stamp" 2>/dev/null)" = "$stamp" ] && exit 0
say "installing Python packages into $venv"
[ -x "$venv/bin/python" ] || /usr/bin/python3 -m venv "$venv"
"$venv/bin/pip" install -q --disable-pip-version-check -c constraints.txt -e '.[dev]' 2>&1 | grep -v '^WARNING: Location' || :
"$venv/bin/python" -c 'import kilonova, litestar, sqlalchemy' || die "pip could not install the dependencies"
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
for file in /usr/lib/python3/dist-packages/libvirt*; do [ -e "$file" ] && ln -sfn "$file" "$site/$(basename "$file")"; done
"$venv/bin/python" -c 'import libvirt' || die "Debian's python3-libvirt does not load in $venv: it wants $(/usr/bin/python3 -V)"
echo "$stamp" >"$venv/.stamp"
say "Python packages installed"
