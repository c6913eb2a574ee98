"""Links between the folders of modules: they have to lead to copies, and not to this host's files.

A customer's folders are linked with each other by absolute paths. Copied as they are, they would
lead out of the copy: to nothing, or to what another has under that path here.
"""

from pathlib import PurePosixPath

from blocks.errors import Refused
from blocks.instance import OdooInstance
from blocks.plain import plain
from tasks.host import files
from tasks.odoo import odoo_conf
from tasks.run.step import log

SHOWN = 10
# What both hosts have from packages of theirs.
PACKAGED = (PurePosixPath("/usr/lib"), PurePosixPath("/usr/share"))
# Arguments: the folder of the copies, and the folders at the origin that are copied. Links to what
# is copied lead to the copy from now on.
LEAD = """
import os, sys
sys.setrecursionlimit(10000)  # os.walk goes a call deeper for each folder
base, *sources = sys.argv[1:]
count = 0
for source in sources:
    for folder, names, others in os.walk(base + source):
        for name in names + others:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                continue
            to = os.readlink(path)
            if any(to == each or to.startswith(each + "/") for each in sources):
                fresh = path + ".relevo"
                if os.path.lexists(fresh):
                    os.unlink(fresh)
                os.symlink(base + to, fresh)
                os.replace(fresh, path)
                count += 1
print(count)
"""
# Arguments: the folder of the copies, and folders with modules. Prints each link that leads to
# something else.
ASTRAY = """
import os, sys
base, *folders = sys.argv[1:]
top = os.path.realpath(base)
for folder in folders:
    names = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    for path in [folder] + names:
        real = os.path.realpath(path)
        if os.path.islink(path) and not (real == top or real.startswith(top + "/")):
            print("%s -> %s" % (path[len(base):], real))
"""


def lead(instance: OdooInstance) -> None:
    """Let links between copied folders lead to the copies."""
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    sources = [str(source) for source in instance.origin.odoo.sources]
    if not sources:
        return
    argv = ("python3", "-I", "-S", "-c", LEAD, str(instance.directory / "sources"), *sources)
    output = shell.run(argv, user=user, timeout_seconds=600).stdout.strip()
    if output != "0":
        log().info("%s links of the sources of %s lead to their copies", output, instance.name)


def require(instance: OdooInstance) -> None:
    """Refuse folders of modules that are no copies, and links in them that lead to no copy."""
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    text = files.read(shell, instance.directory / "new" / "odoo.conf")
    named = odoo_conf.folders(odoo_conf.value(text, "addons_path"))
    base = instance.directory / "sources"
    copies = [path for path in named if path.is_relative_to(base)]
    others = [path for path in named if path not in copies and not _is_packaged(path)]
    whole = [path for path in others if path.is_absolute()]
    gone = {*files.missing(instance.origin.host.shell(), *whole)} if whole else set()
    if foreign := [path for path in others if str(path) not in gone]:
        raise Refused(
            f"addons_path of {instance.name} names {plain(', '.join(map(str, foreign)))}, which is "
            "not copied to the recovery host",
            hint="add the folder to odoo.sources in the inventory and apply it, or take it out of "
            "addons_path",
        )
    there = [path for path in copies if str(path) not in {*files.missing(shell, *copies)}]
    if not there:
        return
    argv = ("python3", "-I", "-S", "-c", ASTRAY, str(base), *map(str, there))
    lines = shell.run(argv, user=recovery.odoo.user).stdout.splitlines()
    if astray := [
        line for line in lines if not _is_packaged(PurePosixPath(line.split(" -> ")[-1]))
    ]:
        raise Refused(
            f"symbolic links in the folders of modules of {instance.name} lead outside of what is "
            f"copied: {plain('; '.join(astray[:SHOWN]))}",
            hint="add the folders that they point to to odoo.sources in the inventory, apply it "
            "and run replicate again",
        )


def _is_packaged(path: PurePosixPath) -> bool:
    return any(path.is_relative_to(each) for each in PACKAGED)
