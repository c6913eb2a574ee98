"""What the Python of the recovery host's Odoo imports: asked of itself, as the night will ask.

That its packages lie there proves nothing. A newer Python does not look into the folders of an
older one, a link to a Python that was removed leads nowhere, and a compiled package ends where a
library that it was built with is gone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from blocks import answers
from blocks.errors import Refused
from blocks.instance import OdooInstance
from blocks.plain import plain
from tasks.build import apart
from tasks.host import confine

SECONDS = 120
SHOWN, LONGEST = 10, 200
# Arguments: the folder of Odoo's program, which Python would search first; the environment, and
# modules. Prints which Python this is, for which ones the environment was made, whether it shares
# the system's packages or which it has, and which of the modules cannot be imported.
IMPORT = """
import glob, importlib, importlib.util, json, os, sys
from importlib import metadata
sys.path[0], venv, *names = sys.argv[1:]
python, lost, has = "%d.%d" % sys.version_info[:2], {}, []
libraries = glob.glob(os.path.join(venv, "lib", "python*", "site-packages"))
if os.path.realpath(sys.prefix) != os.path.realpath(venv):
    libraries = []
with open(os.path.join(venv, "pyvenv.cfg")) as cfg:
    shares = "include-system-site-packages = true" in cfg.read(4096)
if not shares:
    for each in metadata.distributions(path=libraries):
        has.append("%s==%s" % (each.metadata["Name"], each.version))
for name in names:
    try:
        importlib.import_module(name)
    except BaseException as error:
        lost[name] = ("%s: %s" % (type(error).__name__, error))[:500]
print("\\nRELEVO " + json.dumps({
    "python": python, "of": [each.split("/")[-2][6:] for each in libraries], "shares": shares,
    "packages": has, "lost": lost, "pip": importlib.util.find_spec("pip") is not None}))
"""


@dataclass(frozen=True)
class Imported:
    """What a Python says of itself; `of` are those that its environment was made for.

    `lost` says of modules why they cannot be imported, and `died` how one that says nothing ended.
    """

    python: str = ""
    of: tuple[str, ...] = ()
    shares: bool = False
    packages: str = ""
    lost: dict[str, str] = field(default_factory=dict)
    pip: bool = False
    died: str = ""

    @property
    def wrong(self) -> str:
        """Why Odoo would not start with it, and of packages which.

        >>> Imported("3.13", of=("3.11",)).wrong
        'its Python is 3.13 now, and its environment was made for 3.11'
        >>> Imported("3.11", of=("3.11",), lost={"lxml": "ImportError: libxml2.so.2"}).wrong
        'it has lost Python packages that it imports: lxml (ImportError: libxml2.so.2)'
        >>> Imported("3.11", of=("3.11",)).wrong
        ''
        """
        if self.died:
            return f"its environment has a Python that does not work: {self.died}"
        if self.python not in self.of:
            others = " and ".join(self.of) or "none"
            return f"its Python is {self.python} now, and its environment was made for {others}"
        if not self.lost:
            return ""
        shown = [f"{name} ({why})" for name, why in list(self.lost.items())[:SHOWN]]
        more = f" and {len(self.lost) - SHOWN} more" if len(self.lost) > SHOWN else ""
        return f"it has lost Python packages that it imports: {', '.join(shown)}{more}"


def ask(instance: OdooInstance, environment: PurePosixPath, names: Sequence[str]) -> Imported:
    """Let the Python of an environment import modules, as Odoo's user and with Odoo's variables."""
    folder = instance.copied(instance.origin.odoo.program).parent
    python = str(environment / "bin" / "python")
    at_home = str(instance.directory).startswith(confine.HOMES)  # which is hidden otherwise
    done = apart.run(
        instance, (python, "-c", IMPORT, str(folder), str(environment), *names), seconds=SECONDS,
        environment=instance.directory / "environment",
        properties=("Nice=19", *(("ProtectHome=read-only",) if at_home else ())),
    )  # fmt: skip
    verdict = re.search(r"^RELEVO (.*)$", done.stdout, re.MULTILINE)
    if not verdict:
        last = next(iter(done.tail.splitlines()[-1:]), f"it ended with status {done.status}")
        return Imported(died=plain(last, longest=LONGEST))
    return _read(answers.facts(verdict[1], f"what {python} on {instance.recovery} imports"))


def _read(facts: dict[str, object]) -> Imported:
    """Read what a customer's code may have said in our program's name."""
    lost = facts.get("lost")
    return Imported(
        python=plain(str(facts.get("python")), longest=LONGEST),
        of=tuple(plain(each, longest=LONGEST) for each in _words(facts.get("of"))),
        shares=facts.get("shares") is True,
        packages="\n".join(_words(facts.get("packages"))),
        lost=dict(map(_lost, lost.items())) if isinstance(lost, dict) else {},
        pip=facts.get("pip") is True,
    )


def _lost(said: tuple[object, object]) -> tuple[str, str]:
    name, why = (plain(" ".join(str(each).split()), longest=LONGEST) for each in said)
    return name, why


def _words(said: object) -> list[str]:
    return [str(each) for each in said] if isinstance(said, list) else []


def require(instance: OdooInstance, said: Imported) -> None:
    """Refuse an environment with which Odoo would end at its first import."""
    if not said.wrong:
        return
    again = "run build-service, which makes a new environment beside this one"
    if said.lost and said.shares:
        again = (
            f"install them on {instance.recovery} again (Debian calls them python3-NAME), or run "
            "build-service, which installs those of the origin"
        )
    raise Refused(
        f"Odoo of {instance.name} would not start on {instance.recovery}: {said.wrong}", hint=again
    )
