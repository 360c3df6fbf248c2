"""Fetch the JavaScript of the console pages from the npm registry, and keep what browsers load of it, unchanged, as one archive
for each package, with its licence and version.

usage: python -m tools.vendor_pages             the versions of PACKAGES, which must give the archives that are there
       python -m tools.vendor_pages --renew     the same, and the archives are replaced
Needs npm. Nothing of a package is run.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

TARGET = Path(__file__).parents[1] / "src/kilonova/compute/console_proxy/packages"
PACKAGES = {
    "novnc": ("@novnc/novnc", "1.7.0", r"(core|vendor)/.*\.js|vendor/.*/LICENSE|docs/LICENSE\.MPL.*"),
    "xterm": ("@xterm/xterm", "6.0.0", r"lib/xterm\.mjs|css/xterm\.css"),
    "addon-fit": ("@xterm/addon-fit", "0.11.0", r"lib/addon-fit\.mjs"),
}
"""Name in URLs → npm's name, version, the files that are kept beside ALWAYS."""
ALWAYS = r"LICENSE(\.txt)?|AUTHORS|package\.json"
EPOCH = (1980, 1, 1, 0, 0, 0)


def archive_of(npm_name: str, version: str, wanted: str) -> bytes:
    """The same bytes each time."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["npm", "pack", "--silent", "--ignore-scripts", f"{npm_name}@{version}"],
            cwd=folder, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        (packed,) = Path(folder).glob("*.tgz")
        files = {}
        with tarfile.open(packed) as tar:
            for member in tar:
                name = member.name.partition("/")[2]
                if (
                    member.isfile()
                    and re.fullmatch(f"{wanted}|{ALWAYS}", name)
                    and (content := tar.extractfile(member)) is not None
                ):
                    files[name] = content.read()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), files[name], zipfile.ZIP_DEFLATED, 9)
    return target.getvalue()


def contents(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def main() -> None:
    differ = []
    for name, (npm_name, version, wanted) in PACKAGES.items():
        path, made = TARGET / f"{name}.zip", archive_of(npm_name, version, wanted)
        if "--renew" in sys.argv:
            TARGET.mkdir(parents=True, exist_ok=True)
            path.write_bytes(made)
        elif contents(path.read_bytes()) != contents(made):
            differ.append(name)
        print(f"{name} {version}: {len(made)} bytes")
    if differ:
        sys.exit(f"not as in the registry: {', '.join(differ)}; --renew replaces them")


if __name__ == "__main__":
    main()
