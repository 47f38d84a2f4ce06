"""aioapns 4.0, unpatched, driven by tests/foreign_peers: one JSON object a line in, one a line out.

  in   {"port":number,"ca":PEM,"key":PEM,"key_id":text,"team_id":text,"topic":text}     first, once
       {"push":{"token":text,"alert":text,"id":UUID?,"ttl":seconds?,"priority":number?,"collapse_id":text?}}
  out  {"event":"answer","token":text,"id":UUID,"status":number,"reason":text?,"timestamp":ms?}
       {"event":"trouble","message":text}                aioapns gave up without an answer

Pushes are not waited for: those that come together are under way together. Ends with its standard input.
"""

import asyncio
import json
import ssl
import sys

from aioapns import APNs, NotificationRequest, PushType


class Loop(asyncio.SelectorEventLoop):
    """Finds every host at the simulator. aioapns keeps Apple's host names, in TLS as well."""

    port = 0

    async def getaddrinfo(self, host, port, **hints):
        return await super().getaddrinfo("127.0.0.1", self.port, **hints)


def say(line):
    print(json.dumps(line), flush=True)


async def refused(request, result):
    """Nothing: the answer says it. Without this aioapns logs it."""


def client(options):
    trust = ssl.create_default_context(cadata=options["ca"])
    # The default from Python 3.13 on.
    trust.verify_flags |= ssl.VERIFY_X509_STRICT
    return APNs(
        key=options["key"],
        key_id=options["key_id"],
        team_id=options["team_id"],
        topic=options["topic"],
        use_sandbox=True,
        ssl_context=trust,
        err_func=refused,
    )


async def push(apns, asked):
    request = NotificationRequest(
        device_token=asked["token"],
        message={"aps": {"alert": asked["alert"]}},
        notification_id=asked.get("id"),
        time_to_live=asked.get("ttl"),
        priority=asked.get("priority"),
        collapse_key=asked.get("collapse_id"),
        push_type=PushType.ALERT,
    )
    try:
        result = await apns.send_notification(request)
    except Exception as error:
        say({"event": "trouble", "message": repr(error)})
        return
    say(
        {
            "event": "answer",
            "token": asked["token"],
            "id": result.notification_id,
            "status": int(result.status),
            "reason": result.description,
            "timestamp": result.timestamp,
        }
    )


async def main(loop):
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    options = json.loads(await lines.readline())
    loop.port = options["port"]
    apns = client(options)
    pushes = set()
    while line := await lines.readline():
        task = loop.create_task(push(apns, json.loads(line)["push"]))
        pushes.add(task)
        task.add_done_callback(pushes.discard)


loop = Loop()
asyncio.set_event_loop(loop)
loop.run_until_complete(main(loop))
