"""How Odoo was started at the origin: what systemd says of its unit, and the kernel of its process.

What runs counts. Of a unit that is down, its own lines are read; what they leave open is said.
"""

import base64
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

# Set by systemd itself, by a shell or by a login: no wish of whoever wrote the unit.
SYSTEMS_OWN = re.compile(
    r"INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_\w+|NOTIFY_SOCKET|WATCHDOG_\w+|LISTEN_\w+|MAINPID"
    r"|MEMORY_PRESSURE_\w+|(RUNTIME|STATE|CACHE|LOGS|CONFIGURATION|CREDENTIALS)_DIRECTORY"
    r"|HOME|LOGNAME|USER|SHELL|PWD|OLDPWD|SHLVL|TERM|_|MAIL|PATH|VIRTUAL_ENV|PREVLEVEL|RUNLEVEL"
    r"|CONSOLE|SUDO_\w+|XDG_\w+|SSH_\w+|DBUS_\w+"
)
# What Relevo decides itself on the recovery host, or carries over.
KNOWN_SETTINGS = re.compile(
    r"Type|User|Group|ExecStart|ExecCondition|ExecReload|Environment|EnvironmentFile"
    r"|WorkingDirectory|KillMode|KillSignal|SendSIGKILL|Restart|RestartSec|SyslogIdentifier"
    r"|PIDFile|StandardOutput|StandardError|Timeout\w*Sec|PermissionsStartOnly|RemainAfterExit"
    r"|GuessMainPID|SuccessExitStatus|IgnoreSIGPIPE|NoNewPrivileges|(Private|Protect|Restrict)\w+"
    r"|LockPersonality|SystemCall\w+|CapabilityBoundingSet|UMask|(Memory|Tasks)(Max|High)"
)
ROOT = PurePosixPath("/")


@dataclass(frozen=True)
class Started:
    """The words, the environment and the folder with which Odoo runs, or would.

    `settings` are those of its unit that nobody carries over, and `unclear` what cannot be read of
    a unit that is down.
    """

    words: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    folder: PurePosixPath = ROOT
    user: str = ""
    runs: bool = True
    settings: tuple[str, ...] = ()
    unclear: str = ""


def read(text: str) -> Started:
    """Read what the script STARTED (tasks/odoo/odoo_settings.py) says."""
    facts = dict(line.partition("=")[::2] for line in text.splitlines())
    unit = _unpacked(facts.get("unit", ""))
    settings = tuple(dict.fromkeys(_settings(unit)))
    if "cmdline" in facts:
        words = _parts(facts["cmdline"])
        environment = dict(each.partition("=")[::2] for each in _parts(facts.get("environ", "")))
        folder = PurePosixPath(facts.get("cwd") or "/")
        return Started(words, _wishes(environment), folder, facts.get("owner", ""), True, settings)
    words, unclear = _planned(facts.get("ExecStart", ""))
    if facts.get("EnvironmentFiles"):
        unclear = unclear or f"EnvironmentFile={facts['EnvironmentFiles'].split(' ')[0]}"
    declared = shlex.split(facts.get("Environment", ""))
    environment = dict(each.partition("=")[::2] for each in declared)
    folder = PurePosixPath(facts.get("WorkingDirectory", "").lstrip("!") or "/")
    user = facts.get("User", "")
    return Started(words, _wishes(environment), folder, user, False, settings, unclear)


def _wishes(environment: dict[str, str]) -> dict[str, str]:
    """
    >>> _wishes({"HOME": "/root", "ODOO_STAGE": "production", "INVOCATION_ID": "1"})
    {'ODOO_STAGE': 'production'}
    """
    return {name: value for name, value in environment.items() if not SYSTEMS_OWN.fullmatch(name)}


def argv(said: str) -> str:
    """Find the words of ExecStart= as systemctl shows them, in no more time than their length.

    >>> argv("{ path=/a ; argv[]=/a -c b ; pid=0 }"), argv("argv[]=argv[]=/a")
    ('/a -c b', '')
    """
    line, ends, _ = said.partition("argv[]=")[2].partition(" ; ")
    return line if ends else ""


def _planned(said: str) -> tuple[tuple[str, ...], str]:
    """Take the words of ExecStart= as systemctl shows them: parted by blanks, without quotes.

    >>> _planned("{ path=/usr/bin/odoo ; argv[]=/usr/bin/odoo -c /etc/odoo.conf ; pid=0 }")
    (('/usr/bin/odoo', '-c', '/etc/odoo.conf'), '')
    >>> _planned("{ path=/usr/bin/odoo ; argv[]=/usr/bin/odoo --db-filter=^a$ ; pid=0 }")[1]
    ''
    >>> _planned("{ path=/usr/bin/odoo ; argv[]=/usr/bin/odoo $OPTIONS ; pid=0 }")[1]
    'ExecStart=/usr/bin/odoo $OPTIONS'
    """
    line = argv(said)
    varies = re.search(r"\$[A-Za-z_{]", line)
    return tuple(line.split()), f"ExecStart={line}" if varies else ""


def _unpacked(output: str) -> str:
    return base64.b64decode(output).decode(errors="surrogateescape")


def _parts(said: str) -> tuple[str, ...]:
    """Part what the kernel ends with a zero each.

    >>> _parts(base64.b64encode(b"/usr/bin/odoo\\0-c\\0\\0").decode())
    ('/usr/bin/odoo', '-c', '')
    """
    text = _unpacked(said)
    return tuple(text.removesuffix("\0").split("\0")) if text else ()


def _settings(unit: str) -> Iterator[str]:
    r"""Name the settings of a unit's [Service] that are neither known nor carried over.

    >>> list(_settings("[Unit]\nAfter=a\n[Service]\nUser=o\nExecStartPre=/x \\\n y=1\nNice=5\n"))
    ['ExecStartPre', 'Nice']
    """
    section, continued = "", False
    for line in unit.splitlines():
        follows, continued = continued, line.endswith("\\")
        if follows or line.startswith(("#", ";")):
            continue
        if line.startswith("["):
            section = line.strip()
        name, equals, _ = line.partition("=")
        if equals and section == "[Service]" and not KNOWN_SETTINGS.fullmatch(name.strip()):
            yield name.strip()
