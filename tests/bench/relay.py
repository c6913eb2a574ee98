"""A link with a round trip and a bandwidth of its own, in user space: `relay PORT TO RTT MBIT`."""

import asyncio
import sys
import time
from collections import deque

CHUNK = 1 << 16


class Lane:
    """One direction: what comes in goes out after half a round trip, no faster than the line."""

    def __init__(self, delay: float, rate: float) -> None:
        self.delay, self.rate = delay, rate
        self.queue: deque[tuple[float, bytes]] = deque()
        self.wake = asyncio.Event()
        self.free = 0.0

    async def read(self, reader: asyncio.StreamReader) -> None:
        while True:
            part = await reader.read(CHUNK)
            self.free = max(self.free, time.monotonic()) + len(part) / self.rate
            self.queue.append((self.free + self.delay, part))
            self.wake.set()
            if not part:
                return
            if len(self.queue) > 400:
                await asyncio.sleep(0.002)

    async def write(self, writer: asyncio.StreamWriter) -> None:
        while True:
            while not self.queue:
                self.wake.clear()
                await self.wake.wait()
            at, part = self.queue.popleft()
            if (left := at - time.monotonic()) > 0:
                await asyncio.sleep(left)
            if not part:
                writer.close()
                return
            writer.write(part)
            await writer.drain()


async def serve(port: int, to: int, rtt: float, mbit: float) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", to)
        out, home = (Lane(rtt / 2, mbit * 125000) for _ in range(2))
        await asyncio.gather(
            out.read(reader), out.write(back), home.read(there), home.write(writer),
            return_exceptions=True,
        )  # fmt: skip

    server = await asyncio.start_server(client, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
