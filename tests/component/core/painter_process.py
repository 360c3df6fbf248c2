"""A process of its own that serves PaintAPI; it says what it begins, and ends nothing of it.

python -m tests.component.core.painter_process URL HOST
"""

from __future__ import annotations

import asyncio
import sys

from kilonova.core.bus import open_bus
from kilonova.core.context import RequestContext
from tests.component.core.bus_conformance import PaintAPI, Painter


class PrintingPainter(Painter):
    async def paint(self, ctx: RequestContext, color: str, seconds: float = 0) -> None:
        print("paint", flush=True)
        await super().paint(ctx, color, seconds)

    async def patient(self, ctx: RequestContext, seconds: float) -> str:
        print("patient", flush=True)
        return await super().patient(ctx, seconds)


async def main(url: str, host: str) -> None:
    bus = open_bus(url)
    await bus.open()
    painter = PrintingPainter(host)
    painter.go.clear()
    await bus.serve(PaintAPI, painter, host=host)
    print("serves", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
