"""aioapns, unpatched, driven by crates/cli/benches/compare, which has the lines in and out.

It knows an answer by its `apns-id`. The server reads no header and answers with the number of the stream, so that
pushes get those numbers as their identifiers: they take their streams in the order in which they are sent, as long as
fewer are under way than streams are allowed.
"""

import asyncio
import json
import ssl
import sys
import time

from aioapns import APNs, NotificationRequest, PushType

TOKENS = [f"{n:08x}" * 8 for n in range(1000)]


class Loop(asyncio.SelectorEventLoop):
    """Finds every host at the server. aioapns keeps Apple's host names, in TLS as well."""

    port = 0

    async def getaddrinfo(self, host, port, **hints):
        return await super().getaddrinfo("127.0.0.1", self.port, **hints)


class Sender:
    def __init__(self, options):
        self.options = options
        self.stream = -1
        self.times = []
        self.accepted = 0
        self.left = 0
        self.apns = APNs(
            key=options["key"],
            key_id=options["key_id"],
            team_id=options["team_id"],
            topic=options["topic"],
            use_sandbox=True,
            ssl_context=ssl.create_default_context(cadata=options["ca"]),
            max_connections=1,
        )

    async def one_after_the_other(self):
        while self.left > 0:
            self.left -= 1
            self.stream += 2
            request = NotificationRequest(
                device_token=TOKENS[(self.stream // 2) % len(TOKENS)],
                message={"aps": {"alert": self.options["alert"]}},
                notification_id=f"00000000-0000-4000-8000-{self.stream:012d}",
                push_type=PushType.ALERT,
            )
            asked = time.perf_counter()
            result = await self.apns.send_notification(request)
            self.times.append((time.perf_counter() - asked) * 1e6)
            if not result.is_successful:
                raise RuntimeError(f"{result.status}: {result.description}")
            self.accepted += 1

    async def send(self, pushes):
        self.times, self.accepted, self.left = [], 0, pushes
        # One less than allowed, so that none waits for a stream.
        width = min(pushes, self.options["in_flight"] - 1)
        await asyncio.gather(*(self.one_after_the_other() for _ in range(width)))
        self.times.sort()

        def part(of):
            return self.times[min(pushes - 1, pushes * of // 100)]

        return {"accepted": self.accepted, "p50_us": part(50), "p99_us": part(99)}


async def main(loop):
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    options = json.loads(await lines.readline())
    loop.port = options["port"]
    sender = Sender(options)
    await sender.send(1)
    print("ready", flush=True)
    while line := await lines.readline():
        print(json.dumps(await sender.send(json.loads(line))), flush=True)


loop = Loop()
asyncio.set_event_loop(loop)
loop.run_until_complete(main(loop))
