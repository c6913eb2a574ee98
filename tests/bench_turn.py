"""What the judgement of a turn adds to a command over ssh.

Asked of a lab that is up: `RELEVO_LAB_NAME=... python -m tests.bench_turn`.
"""

import statistics
import sys
import time

from blocks.host import Host
from blocks.lease import HELD, Lease
from blocks.shell import Shell
from blocks.turn import Turn
from tests.lab.lab import Lab

ROUNDS = 100


def main() -> int:
    lab = Lab.attach()
    uno = lab.uno
    host = Host(
        name="uno", address=uno.address, peer_address=uno.address, port=uno.ssh_port,
        user=uno.ssh_user, key_file=lab.key, host_key=lab.host_key(uno.machine),
    )  # fmt: skip
    shell = host.shell()
    mine = Lease("bench", turn=Turn("bench", f"{time.time_ns() // 1000:019d}"))
    token = HELD.set(mine)
    begun = time.perf_counter()
    shell.run(("true",))
    print(f"| the first command of a lease on a host | {_ms(begun):.1f} | |")
    for user in ("root", "postgres"):
        bare, judged = [], []
        for _ in range(ROUNDS):  # in turns, so that what else runs here slows both alike
            HELD.reset(token)
            bare.append(_timed(shell, user))
            token = HELD.set(mine)
            judged.append(_timed(shell, user))
        for way, taken in (("no lease", bare), ("a lease", judged)):
            print(f"| {user}, {way} | {statistics.median(taken):.1f} | {max(taken):.1f} |")
    HELD.reset(token)
    return 0


def _timed(shell: Shell, user: str) -> float:
    begun = time.perf_counter()
    shell.run(("true",), user=user)
    return _ms(begun)


def _ms(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000


if __name__ == "__main__":
    sys.exit(main())
