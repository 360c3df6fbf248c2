"""What every image store must do; a new one is added to STORES here."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from uuid import UUID, uuid4

import pytest

from kilonova.core.ceph import Pool
from kilonova.core.config import ConfigError
from kilonova.image.stores import STORES, make_store
from tests.eventually import eventually

IMAGE, UPLOAD = uuid4(), uuid4()


MARKS = {"rbd": [pytest.mark.ceph]}


@pytest.fixture(params=[pytest.param(name, marks=MARKS.get(name, ())) for name in sorted(STORES)])
def store(request, tmp_path):
    ceph = request.getfixturevalue("ceph_options")("image") if request.param == "rbd" else None
    made = make_store(request.param, tmp_path / "store", ceph)
    made.prepare()
    yield made
    made.close()


@pytest.fixture
def held(request, store, tmp_path):
    """What the back end has, under its own names."""
    if store.name == "file":
        return lambda: [str(path) for path in (tmp_path / "store").rglob("*") if path.is_file()]
    options = request.getfixturevalue("ceph_options")("image")
    return Pool(options, options.image_pool).names


def fill(store, image_id: UUID, data: bytes) -> None:
    upload = store.begin(image_id, uuid4())
    upload.start()
    upload.write(data)
    upload.commit()
    upload.close()


def test_data_come_back_whole_and_in_parts(store):
    data = os.urandom(3_000_000)
    fill(store, IMAGE, data)
    reader = store.open(IMAGE)
    assert reader.size == len(data)
    assert reader.read(0, len(data)) == data
    assert reader.read(1_000_000, 10) == data[1_000_000:1_000_010]
    assert reader.read(len(data) - 5, 100) == data[-5:]
    assert reader.read(len(data), 1) == b""
    reader.close()
    reader.close()
    assert reader.read(0, 1) == b""


def test_nothing_is_seen_before_commit(store):
    upload = store.begin(IMAGE, UPLOAD)
    upload.start()
    upload.write(b"x")
    assert store.open(IMAGE) is None
    assert list(store.images()) == []
    upload.commit()
    assert [(item.image_id, item.size) for item in store.images()] == [(IMAGE, 1)]
    upload.close()
    assert store.prepare() == []
    assert [item.image_id for item in store.images()] == [IMAGE]


@pytest.mark.parametrize("steps", [[], ["start"], ["start", "write"], ["start", "write", "commit"]])
def test_abort_leaves_nothing(store, held, steps):
    upload = store.begin(IMAGE, UPLOAD)
    for step in steps:
        getattr(upload, step)(*([b"data"] if step == "write" else []))
    upload.abort()
    upload.abort()
    upload.start()
    upload.write(b"too late")
    assert store.open(IMAGE) is None
    assert held() == []


def test_abort_of_an_old_upload_spares_newer_data(store):
    old = store.begin(IMAGE, UPLOAD)
    old.start()
    old.commit()
    store.delete(IMAGE)
    fill(store, IMAGE, b"new")
    old.abort()
    assert store.open(IMAGE).read(0, 10) == b"new"


def test_abort_while_another_thread_writes(store):
    upload = store.begin(IMAGE, UPLOAD)
    upload.start()
    stop = threading.Event()

    def writing() -> None:
        while not stop.is_set():
            upload.write(b"x" * 100_000)

    thread = threading.Thread(target=writing)
    thread.start()
    upload.abort()
    stop.set()
    thread.join()
    assert store.prepare() == []


def test_delete(store, held):
    fill(store, IMAGE, b"data")
    reader = store.open(IMAGE)
    assert store.delete(IMAGE)
    assert not store.delete(IMAGE)
    assert store.open(IMAGE) is None
    assert reader.read(0, 10) == b"data"
    reader.close()
    assert store.prepare() == []
    assert held() == []


def test_usage(store):
    usage = store.usage()
    assert 0 < usage.free <= usage.total


CHILD = """
import os, sys, uuid
from pathlib import Path
from kilonova.image.stores import make_store
from kilonova.core.ceph import CephOptions
ceph = CephOptions(conf=sys.argv[6], user="image", keyring=sys.argv[7]) if sys.argv[6:] else None
store = make_store(sys.argv[1], Path(sys.argv[2]), ceph)
upload = store.begin(uuid.UUID(sys.argv[3]), uuid.UUID(sys.argv[4]))
upload.start(); upload.write(b"half")
if sys.argv[5] == "committed":
    upload.commit()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("when", ["writing", "committed"])
def test_uploads_of_other_processes_stay_until_those_die(request, store, tmp_path, when):
    args = [store.name, str(tmp_path / "store"), str(IMAGE), str(UPLOAD), when]
    if store.name == "rbd":
        options = request.getfixturevalue("ceph_options")("image")
        args += [str(options.conf), options.keyring]
    with subprocess.Popen([sys.executable, "-c", CHILD, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"ready\n"
        assert store.in_progress(IMAGE, UPLOAD)
        assert store.prepare() == []
        child.kill()
    eventually(lambda: not store.in_progress(IMAGE, UPLOAD), "the upload of a dead process is still held")
    assert store.prepare() == ([str(UPLOAD)] if when == "writing" else [])


def test_an_unknown_store():
    with pytest.raises(ConfigError, match=r"store.*tape.*known are file, rbd"):
        make_store("tape", None)
