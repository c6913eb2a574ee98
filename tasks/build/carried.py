"""Whether the recovery host's Odoo would be started as the origin's is now.

The build renders odoo.conf and environment once; an option that is added or lost later, at either
end, would be noticed first by customers.
"""

from blocks.errors import Refused
from blocks.instance import OdooInstance
from blocks.plain import plain
from tasks.build import build
from tasks.host import files
from tasks.odoo import odoo_conf, odoo_settings, odoo_start
from tasks.odoo.odoo_start import Start

SHOWN = 10


def measure(instance: OdooInstance) -> list[str]:
    """Require that all of it can be carried over, and that the last build has it all."""
    found = odoo_settings.require(instance)
    if lost := _not_carried(instance, found):
        more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
        raise Refused(
            f"Odoo of {instance.name} would be started on {instance.recovery} otherwise than on "
            f"{instance.origin}: {plain(', '.join(lost[:SHOWN]))}{more}",
            hint="run build-service, which takes them from the origin",
        )
    return odoo_settings.said(instance, found)


def _not_carried(instance: OdooInstance, found: Start) -> list[str]:
    """Name options and variables that differ; a value may be a password."""
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    conf = files.read(shell, recovery.odoo.config)
    if not conf or instance.settled != "own":  # replicate makes all of it anew
        return []
    its_conf, environment, _ = build.rendered(instance, found)
    lost = [
        f"{name} of odoo.conf"
        for name in differing(odoo_conf.parse(conf), odoo_conf.parse(its_conf))
    ]
    if found.runs:  # of one that is down, systemd's own environment is not known
        known = odoo_start.variables(files.read(shell, build.variables(instance)))
        wanted = odoo_start.variables(environment)
        lost += [f"{name} of the environment" for name in differing(known, wanted)]
    return lost


def differing(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """
    >>> differing({"workers": "2", "a": "1"}, {"a": "1", "db_filter": "x"})
    ['db_filter', 'workers']
    """
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
