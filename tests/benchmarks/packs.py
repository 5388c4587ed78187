"""Each schema pack from nothing, against the two seconds that it may take."""

from __future__ import annotations

from harness import Check, NotMeasured, Place, agentdb
from servers import Server

from agentdb_cli import packs

_ROUNDS = 5
_SECONDS = 2.0


def from_nothing(server: Server) -> Check:
    """All packs, one after the other; the time is that of the slowest."""

    def run(place: Place) -> tuple[float, str]:
        slowest, which = 0.0, ""
        for name in packs.names():
            server.recreate("pack")
            command = [agentdb(), "migrate", "--pack", name, "--url", server.url("pack")]
            seconds = place.time(command)
            if seconds > slowest:
                slowest, which = seconds, name
        return slowest, f"{which} took {slowest:.2f} s" if slowest > _SECONDS else ""

    if not packs.names():
        raise NotMeasured("there are no packs")
    return Check("packs", run, _ROUNDS)
