"""Images up and down through the API, beside `cp` of the same bytes on the same disk."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.clouds import Cloud, one_process, workplace
from benchmarks.results import Row

SIZE_MB, PART = 256, 1 << 20


def run(rounds: int) -> list[Row]:
    up, down, copy = [], [], []
    with workplace() as folder, one_process(hosts=1) as cloud:
        source = folder / "image"
        source.write_bytes(os.urandom(PART) * SIZE_MB)
        digest = hashlib.sha512(source.read_bytes()).hexdigest()
        for _ in range(rounds):
            began = time.perf_counter()
            shutil.copyfile(source, folder / "copy")
            copy.append(_rate(began))
            image, rate = _upload(cloud, source)
            up.append(rate)
            began = time.perf_counter()
            if _download(cloud, image) != digest:
                raise RuntimeError("the image is not what was uploaded")
            down.append(_rate(began))
            cloud.api.ok("DELETE", "image", f"/images/{image}")
    return [
        Row(what=f"upload of {SIZE_MB} MiB (raw; three checksums)", unit="MiB/s", samples=up, more_is_better=True),
        Row(what=f"download of {SIZE_MB} MiB (and its checksum)", unit="MiB/s", samples=down, more_is_better=True),
        Row(what="the same bytes copied by the file system", unit="MiB/s", samples=copy, more_is_better=True),
    ]


def _rate(began: float) -> float:
    return SIZE_MB / (time.perf_counter() - began)


def _upload(cloud: Cloud, source: Path) -> tuple[str, float]:
    wanted = {"name": "bench", "disk_format": "raw", "container_format": "bare"}
    image = str(cloud.api.ok("POST", "image", "/images", wanted)["id"])

    def parts() -> Iterator[bytes]:
        with source.open("rb") as file:
            while part := file.read(PART):
                yield part

    began = time.perf_counter()
    answer = cloud.api.http.put(
        f"{cloud.api.urls['image']}/images/{image}/file", content=parts(), timeout=300,
        headers={"X-Auth-Token": str(cloud.api.token), "Content-Type": "application/octet-stream"},
    )  # fmt: skip
    answer.raise_for_status()
    return image, _rate(began)


def _download(cloud: Cloud, image: str) -> str:
    digest = hashlib.sha512()
    url = f"{cloud.api.urls['image']}/images/{image}/file"
    with cloud.api.http.stream("GET", url, headers={"X-Auth-Token": str(cloud.api.token)}, timeout=300) as answer:
        answer.raise_for_status()
        for part in answer.iter_bytes():
            digest.update(part)
    return digest.hexdigest()
