"""The start of a cluster on its host, after whatever ended it."""

from blocks.instance import Place
from tasks.host import files, systemd_unit
from tasks.install.programs import LIBRARY, UNITS, install_script
from tasks.postgres.observe import observe
from tasks.run.step import step


@step("let {place} start after a power cut")
def start_afresh(place: Place) -> None:
    """Clear away what a power cut leaves, before every start of a cluster.

    Where several clusters share a host, the number in one's postmaster.pid is soon another's.
    """
    shell, program = place.host.shell(), LIBRARY / "fresh-start"
    directory, owner = observe(place).directory, place.cluster.owner
    drop_in = systemd_unit.before_start(program, directory, owner=owner)
    install_script(shell, program, "fresh_start.sh")
    files.install(shell, UNITS / f"{place.cluster.unit}.d" / "relevo-start.conf", drop_in)
    shell.run(("systemctl", "daemon-reload"))
