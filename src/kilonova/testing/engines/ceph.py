"""Ceph: one monitor, one OSD on a sparse file and, where one wants numbers of what is stored, a manager. cephx is on: each
user has a keyring of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from kilonova.core.ceph import CephOptions, ImageBusy, Pool
from kilonova.core.clock import SYSTEM
from kilonova.testing.engines.base import LOOPBACK, START_TIMEOUT, STOP_TIMEOUT, EngineFailed, free_port, program, spawn

POOLS = ("images", "volumes", "servers")
# user → what it may do with which pool
USERS = {
    "image": "profile rbd pool=images",
    "volume": "profile rbd pool=volumes, profile rbd-read-only pool=images",
    "compute": "profile rbd pool=servers, profile rbd pool=volumes, profile rbd-read-only pool=images",
    "cloud": "profile rbd pool=images, profile rbd pool=volumes, profile rbd pool=servers",
}
DAEMON_CAPS = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
    "mgr.x": {"mon": "allow profile mgr", "osd": "allow *"},
}
GIB = 1 << 30
OSD_CAPS = {"mon": "allow profile osd", "mgr": "allow profile osd", "osd": "allow *"}
# what clients read, too
CLIENT_CONF = """\
[global]
fsid = {fsid}
mon_host = [v2:{address}:{port},v1:{address}:{old_port}]
"""
CONF = """\
public_network = {address}/8
auth_allow_insecure_global_id_reclaim = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_client_watch_timeout = 5
mon_allow_pool_size_one = true
mon_allow_pool_delete = true
mon_data_avail_warn = 1
mgr_disabled_modules = balancer crash devicehealth orchestrator pg_autoscaler progress telemetry volumes
run_dir = {folder}
admin_socket = {folder}/$name.asok
log_to_stderr = true
log_to_file = false
err_to_stderr = true
keyring = {folder}/keyring
mon_data = {folder}/mon
mgr_data = {folder}/mgr
osd_data = {folder}/osd
bluestore_block_size = {size}
bluestore_block_db_create = false
osd_memory_target = 939524096
bluestore_cache_autotune = false
bluestore_cache_size = 67108864
osd_op_num_shards = 1
osd_op_num_threads_per_shard = 1
ms_async_op_threads = 1
[client]
admin_socket =
"""


class Ceph:
    """A cluster under `folder/ceph` with the pools of POOLS and the users of USERS. `conf` is for clients, and has no secret;
    `keyring(user)` is the file with a user's key. Needs root or a folder of one's own, 1 GiB of memory at most."""

    name = "ceph"

    def __init__(
        self, folder: Path, *, tied: bool = True, address: str = LOOPBACK, size_gb: int = 8, manager: bool = False
    ) -> None:
        self.folder = folder / self.name
        self.address, self.tied, self.size_gb, self.manager = address, tied, size_gb, manager
        self.conf = self.folder / "ceph.conf"
        self._daemons_conf = self.folder / "daemons.conf"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def keyring(self, user: str) -> Path:
        return self.folder / f"client.{user}.keyring"

    def start(self) -> Self:
        """Return when images can be written. Raises EngineFailed."""
        fresh = not self.conf.exists()
        if fresh:
            self._prepare()
        self._spawn("mon", "a")
        self._wait("mon", "the monitor answers", lambda: self.command("mon stat") is not None)
        if fresh:
            self._make_osd()
        self._spawn("osd", "0")
        if self.manager:
            self._spawn("mgr", "x")
        self._wait("osd", "the OSD is up", lambda: self.command("osd stat")["num_up_osds"] == 1)
        if fresh:
            for pool in POOLS:
                self.command("osd pool create", pool=pool, pg_num=8, pgp_num=8)
                self.command("osd pool application enable", pool=pool, app="rbd")
        for user, caps in USERS.items():
            self._make_user(user, caps)
        return self

    def stop(self) -> None:
        """The OSD first: without its monitor it would wait at its end."""
        for name in ("osd", "mgr", "mon"):
            process = self.processes.pop(name, None)
            if process is not None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(STOP_TIMEOUT)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()

    def kill(self, name: str = "") -> None:
        """SIGKILL to one daemon, or to all; the data stay for the next start."""
        for one in [name] if name else list(self.processes):
            process = self.processes.pop(one)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def command(self, prefix: str, **words: Any) -> Any:
        """A command to the monitor as client.admin: its answer. Raises EngineFailed."""
        import rados

        cluster = rados.Rados(conffile=str(self._daemons_conf), name="client.admin")
        try:
            cluster.connect(timeout=START_TIMEOUT)
            code, output, words_of = cluster.mon_command(json.dumps({"prefix": prefix, "format": "json"} | words), b"")
        finally:
            cluster.shutdown()
        if code:
            raise EngineFailed(f"ceph: {prefix}: {words_of or code}")
        return json.loads(output) if output.strip() else {}

    def empty(self) -> None:
        """Remove all images of all pools, clones before what they are clones of."""
        options = CephOptions(conf=self._daemons_conf, user="admin")
        pools = [Pool(options, name) for name in POOLS]
        try:
            while any(pool.names() for pool in pools):
                for pool in pools:
                    _thin_out(pool)
        finally:
            for pool in pools:
                pool.close()

    # inside

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("mon", "osd", "mgr"):
            (self.folder / name).mkdir(exist_ok=True)
        fsid, port, old_port = SYSTEM.uuid(), free_port(self.address), free_port(self.address)
        client = CLIENT_CONF.format(fsid=fsid, address=self.address, port=port, old_port=old_port)
        daemons = CONF.format(address=self.address, folder=self.folder, size=self.size_gb * GIB)
        self._daemons_conf.write_text(client + daemons)
        keys, card = str(self.folder / "keyring"), str(self.folder / "monmap")
        for name, caps in DAEMON_CAPS.items():
            create = [] if Path(keys).exists() else ["-C"]
            words = [word for kind, cap in caps.items() for word in ("--cap", kind, cap)]
            self._run("ceph-authtool", *create, keys, "--gen-key", "-n", name, *words)
        addresses = f"[v2:{self.address}:{port},v1:{self.address}:{old_port}]"
        self._run("monmaptool", "--create", "--clobber", "--addv", "a", addresses, "--fsid", fsid, card)
        self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", card, "--keyring", keys, "-c", str(self._daemons_conf))
        self.conf.write_text(client)

    def _make_osd(self) -> None:
        (self.folder / "osd" / "block").touch()
        os.truncate(self.folder / "osd" / "block", self.size_gb * GIB)
        uuid = SYSTEM.uuid()
        self.command("osd new", uuid=uuid)
        key = self._key_of("osd.0", OSD_CAPS)
        (self.folder / "osd" / "keyring").write_text(f"[osd.0]\nkey = {key}\n")
        conf = ["-c", str(self._daemons_conf), "--keyring", str(self.folder / "osd" / "keyring")]
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", uuid, *conf)

    def _make_user(self, user: str, caps: str) -> None:
        file = self.keyring(user)
        if not file.exists():
            key = self._key_of(f"client.{user}", {"mon": "profile rbd", "osd": caps})
            file.touch(0o600)
            file.write_text(f"[client.{user}]\nkey = {key}\n")

    def _key_of(self, entity: str, caps: dict[str, str]) -> str:
        words = [word for kind, cap in caps.items() for word in (kind, cap)]
        (found,) = self.command("auth get-or-create", entity=entity, caps=words)
        return str(found["key"])

    def _spawn(self, kind: str, name: str) -> None:
        keys = ["--keyring", str(self.folder / "osd" / "keyring")] if kind == "osd" else []
        command = [program(f"ceph-{kind}"), "-f", "-i", name, "-c", str(self._daemons_conf), *keys]
        with (self.folder / f"{kind}.log").open("ab") as output:
            self.processes[kind] = spawn(command, tied=self.tied, cwd=self.folder, stdout=output, stderr=output)

    def _wait(self, kind: str, what: str, look: Callable[[], bool]) -> None:
        until = SYSTEM.monotonic() + START_TIMEOUT
        while not look():
            ended = self.processes[kind].poll() is not None
            if ended or SYSTEM.monotonic() > until:
                self.kill()
                words = (self.folder / f"{kind}.log").read_text(errors="replace").strip().splitlines()[-5:]
                raise EngineFailed(f"ceph did not start: not so that {what}: {' | '.join(words)}")
            time.sleep(0.1)

    def _run(self, name: str, *words: str) -> None:
        done = subprocess.run(
            [program(name), *words], capture_output=True, text=True, cwd=self.folder, timeout=START_TIMEOUT, check=False
        )
        if done.returncode:
            raise EngineFailed(f"ceph: {name}: {(done.stderr or done.stdout).strip()}")


def _thin_out(pool: Pool) -> None:
    """Remove what nothing depends on."""
    for name in pool.names():
        with contextlib.suppress(ImageBusy):
            pool.remove(name)
