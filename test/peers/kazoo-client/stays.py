# A kazoo client that writes one node again and again, and has an ephemeral one: what it meets it prints, a line a thing, and it goes
# on. As the library does, it comes back by itself; with a new session it makes its ephemeral node anew.

import logging
import sys
import threading
import time

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError

logging.disable(logging.CRITICAL)
client = KazooClient(hosts=sys.argv[1], timeout=float(sys.argv[2]))
lost = threading.Event()
lost.set()


def say(line):
    print(line, flush=True)


def heard(state):
    say("state " + state)
    if state == KazooState.LOST:
        lost.set()


client.add_listener(heard)
client.start()
client.ensure_path("/alive")
while True:
    try:
        if lost.is_set():
            client.create("/alive/me", ephemeral=True)
            lost.clear()
            say("ephemeral")
        stat = client.set("/alive", b"beat")
        say("version %d" % stat.version)
    except (KazooException, KazooTimeoutError) as error:
        say("error " + type(error).__name__)
    time.sleep(0.05)
