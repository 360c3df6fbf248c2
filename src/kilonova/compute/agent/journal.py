"""The agent's journal: what was begun and how it ended, append-only, local to the process that acts.

A line is written before a step begins and when it failed, so that a process which starts again knows what an earlier one left
half done. That a step succeeded is of interest to people only: it is written with the next line. Lines survive a killed
process; a torn last line is ignored. One file serves all hosts of a process.

What users keep secret (passwords, user data, files for the guest) is not written down: a resumed build gets it from the
conductor. A move alone has it from nowhere else while it lasts; its end takes it out of the file.
"""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

import msgspec

from kilonova.compute.models import ServerBuild, StepRecord
from kilonova.core.clock import Clock

COMPACT_AFTER = 8 << 20
encode = msgspec.json.Encoder().encode


class Line(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`build` opens a run, `step` reports one of its steps, `closed` ends it."""

    host: str
    run: str
    build: ServerBuild | None = None
    step: StepRecord | None = None
    resumes: int = 0
    closed: bool = False


class Run(msgspec.Struct):
    """An open run: a build that began and has not ended. `steps` holds each step's newest record, in order."""

    host: str
    build: ServerBuild
    resumes: int
    steps: dict[str, StepRecord]


def without_secrets(build: ServerBuild) -> ServerBuild:
    """The build as it may be kept for long."""
    replace, move, rescue = msgspec.structs.replace, build.move, build.spec.rescue
    return replace(
        build,
        server=replace(build.server, user_data=None),
        spec=replace(
            build.spec,
            admin_pass=None,
            personality=[],
            rescue=replace(rescue, admin_pass=None) if rescue is not None else None,
        ),
        move=replace(move, admin_pass=None) if move is not None else None,
    )


class Journal:
    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._name, self._numbers = clock.hex_id(), count()  # of records: no two journals have the same
        self._open: dict[str, Run] = {}
        self._later: list[bytes] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._read()
        self._compact()

    def _read(self) -> None:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return
        for raw in data.split(b"\n"):
            try:
                line = msgspec.json.decode(raw, type=Line)
            except msgspec.DecodeError:
                continue  # the torn last line of a killed process
            self._take(line)

    def _take(self, line: Line) -> None:
        if line.closed:
            self._open.pop(line.run, None)
        elif line.build is not None:
            build = line.build if line.build.move is not None else without_secrets(line.build)
            self._open[line.run] = Run(line.host, build, line.resumes, {})
        elif line.step is not None and line.run in self._open:
            self._open[line.run].steps[line.step.key] = line.step

    def _compact(self) -> None:
        """Keep only what is open; also makes the file anew while it is running, when it grew large."""
        fresh = self._path.with_suffix(".new")
        lines: list[Line] = []
        for run, held in self._open.items():
            lines.append(Line(host=held.host, run=run, build=held.build, resumes=held.resumes))
            lines.extend(Line(host=held.host, run=run, step=step) for step in held.steps.values())
        with open(fresh, "wb", opener=_private) as file:
            file.write(b"".join(map(_encoded, lines)))
        os.replace(fresh, self._path)
        self._file = self._path.open("ab", buffering=0)
        self._size = self._path.stat().st_size

    def _write(self, line: Line, *, later: bool = False) -> None:
        self._take(line)
        self._later.append(_encoded(line))
        if later:
            return
        self._flush()
        if self._size > COMPACT_AFTER + 4096 * len(self._open):
            self._anew()

    def _anew(self) -> None:
        self._file.close()
        self._compact()

    def _flush(self) -> None:
        data = b"".join(self._later)
        self._later.clear()
        self._file.write(data)
        self._size += len(data)

    def open_run(self, host: str, build: ServerBuild, *, resumes: int = 0) -> str:
        """Begin a run; its name."""
        run = f"{build.server.uuid}/{build.request_id}/{build.attempt}/{build.action}"
        kept = build if build.move is not None else without_secrets(build)
        self._write(Line(host=host, run=run, build=kept, resumes=resumes))
        return run

    def begin(self, host: str, run: str, build: ServerBuild, step: str) -> StepRecord:
        record = StepRecord(
            key=f"{self._name}-{next(self._numbers):x}",
            server_uuid=build.server.uuid,
            request_id=build.request_id,
            action=build.action,
            step=step,
            component="compute",
            host=host,
            attempt=build.attempt,
            started_at=self._clock.row_time(),
        )
        self._write(Line(host=host, run=run, step=record))
        return record

    def end(self, run: str, record: StepRecord, result: str, detail: str | None = None) -> StepRecord:
        """`result` is Success, Error or Undone."""
        done = msgspec.structs.replace(record, finished_at=self._clock.row_time(), result=result, detail=detail)
        self._write(Line(host=record.host or "", run=run, step=done), later=result == "Success")
        return done

    def close_run(self, host: str, run: str) -> None:
        held = self._open.get(run)
        self._write(Line(host=host, run=run, closed=True))
        if held is not None and held.build != without_secrets(held.build):
            self._anew()

    def steps(self, run: str) -> list[StepRecord]:
        held = self._open.get(run)
        return list(held.steps.values()) if held is not None else []

    def cut_off(self, run: Run, reason: str) -> list[StepRecord]:
        """The steps of a run that an earlier process began: the one that it was cut off in has failed now, for this reason."""
        failed = {"finished_at": self._clock.row_time(), "result": "Error", "detail": reason}
        return [step if step.result else msgspec.structs.replace(step, **failed) for step in run.steps.values()]

    def unfinished(self, host: str) -> dict[str, Run]:
        """Open runs of a host, by name."""
        return {name: run for name, run in self._open.items() if run.host == host}

    def close(self) -> None:
        self._flush()
        self._file.close()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _encoded(line: Line) -> bytes:
    return encode(line) + b"\n"
