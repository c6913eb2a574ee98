"""What `relevo --help` says around the commands, and argparse's own words, in two languages."""

import argparse
import re
from collections.abc import Iterator

from tasks.language.reader import translated, word

DESCRIPTION = (
    "relevo: apply an inventory, and run the procedures from a shell when no server is up."
)
EPILOG = """\
examples for an emergency (none needs a Prefect server):
  relevo status                                 who serves each instance now
  relevo plan failover vps_1                    what would be done and lost, with every command
  relevo plan failback vps_1 --language es      in Spanish; so can every command
  relevo plan recovery-is-gone vps_1            the page for when the recovery host dies serving
  relevo failover vps_1                         shows the plan, and asks for the name
  relevo failover vps_1 --yes --origin-is-down --reason "hoster confirms fire"
  relevo failback vps_1
  relevo switchover vps_1                       a planned move; --to origin brings it home
  relevo check                                  all instances; Nagios reads its exit code
  relevo check vps_1 --textfile /var/lib/prometheus/node-exporter/relevo.prom

and on other days:
  relevo discover vps1 --recovery respaldo      entries of the inventory, from live servers
  relevo discover                               what of the inventory's servers has changed
  relevo doctor                                 what to fix, before a replica and after; no change
  relevo apply                                  tell Prefect what the inventory says
  relevo list                                   the instances of the inventory
  relevo history vps_1                          who did what to it, when and why
  relevo replicate --all --at-most 2            all that have no replica yet
  relevo run replicate vps_1                    any other procedure, without a server
  relevo rotate-key vps_1                       a new key for its receipts; the old one is retired
  relevo remove vps_1                           remove it; customers at home notice nothing
  relevo rename vps_1 vps_9                     give it another name; its files are not copied again

exit codes: 0 done, 1 failed, 2 bad input, 3 refused, 4 busy, 5 a host did not answer
            check: 0 all green, 1 a warning, 2 critical, 3 not known
            discover: 0 nothing is left to do, 1 something is, 5 a server did not answer
            doctor: 0 all well, 1 something to fix, 2 not all could be asked
            replicate: 0 all done, else the code of the failure, 1 if failures differ
            status: 0 all known, 1 two servers accept writes, else 5 who serves is not known
            141: the program that read the output has ended
The log is printed here and kept in /var/log/relevo/runs (or RELEVO_LOG_DIR).
"""
# A command with its arguments, and behind it what it is for; a line without one is all words.
LINE = re.compile(r"(\s*(?:relevo \S.*?  +)?)(.*)")
COMMAND = "  relevo "
# What argparse says itself, of what it says to whoever types.
ARGPARSE = (
    "usage: ", "positional arguments", "options", "show this help message and exit",
    "argument %(argument_name)s: %(message)s", "unrecognized arguments: %s",
    "not allowed with argument %s", "the following arguments are required: %s",
    "expected one argument", "expected at least one argument",
    "ambiguous option: %(option)s could match %(matches)s",
    "invalid %(type)s value: %(value)r", "invalid choice: %(value)r (choose from %(choices)s)",
)  # fmt: skip


def epilog() -> str:
    """Say what stands below the options; commands stay as one types them."""
    return "".join(f"{before}{translated(words)}\n" for before, words in _lines())


def meanings() -> Iterator[str]:
    """Give each sentence of it, for the catalogue."""
    return (words for _, words in _lines() if words)


def _lines() -> Iterator[tuple[str, str]]:
    for line in EPILOG.splitlines():
        found = LINE.fullmatch(line)
        assert found is not None, "it matches every line"
        before, words = found.groups()
        yield (line, "") if line.startswith(COMMAND) and before.isspace() else (before, words)


def _of_argparse(text: str) -> str:
    if text not in ARGPARSE:
        return text
    alone = text.strip()
    return text.replace(alone, translated(alone) if " " in alone else word(alone))


argparse._ = _of_argparse  # type: ignore[attr-defined]  # where it looks its words up
