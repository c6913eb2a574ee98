"""The programs and fonts that the origin's Odoo finds, held against those of the recovery host."""

from collections.abc import Iterator

from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from blocks.plain import plain
from tasks.build import programs_compared as judge
from tasks.build.programs_compared import Tools
from tasks.host import files
from tasks.odoo import customers, odoo_conf

SHOWN = 10
# Which databases send their mail by the server that they are on? Parameter: whether odoo.conf
# names that one, which counts where a database names none (odoo/addons/base, ir_mail_server).
BY_ITS_SERVER = """
SELECT CASE WHEN count(*) = 0 THEN $1::boolean
    ELSE bool_or(smtp_host IN ('localhost', '127.0.0.1', '::1')) END AS local
FROM public.ir_mail_server WHERE active
"""
# Arguments: programs. Prints which are there, what wkhtmltopdf says of itself, the fonts, where
# somebody listens, and to what processes of this user are connected.
FOUND = """
for name; do command -v "$name" >/dev/null && echo "program $name"; done
! command -v wkhtmltopdf >/dev/null || echo "version $(wkhtmltopdf --version 2>&1 | head -n 1)"
command -v fc-list >/dev/null && fc-list : family | sort -u | head -n 2000 | sed 's/^/font /'
ss -Hltn | sed 's/^[^ ]* *[^ ]* *[^ ]* *\\([^ ]*\\).*/listens \\1/'
ss -Htnp state established | grep 'users:' | head -n 1000 |
    sed 's/^[^ ]* *[^ ]* *\\([^ ]*\\) *\\([^ ]*\\).*/connected \\1 \\2/'
exit 0
"""


def measure(instance: OdooInstance) -> list[str]:
    """Require what reports are printed with; name what else only the origin has."""
    origin, recovery = (_tools(place) for place in (instance.origin, instance.recovery))
    wrong = judge.wrong(origin, recovery)
    if wrong:
        raise Refused(
            f"{instance.recovery} lacks what Odoo on {instance.origin} finds: {'; '.join(wrong)}",
            hint=f"install it on {instance.recovery} from the same source as on {instance.origin}",
        )
    said = [str(recovery), *judge.remarks(origin, recovery, str(instance.recovery))]
    taken = judge.MAIL in origin.listens and judge.MAIL not in recovery.listens
    return [*said, *_lonely(instance, origin, recovery), *(_mails(instance) if taken else ())]


def _lonely(instance: OdooInstance, origin: Tools, recovery: Tools) -> Iterator[str]:
    """Say which services of its own host Odoo uses that the recovery host has not."""
    place = instance.origin
    known = {place.cluster.port, place.odoo.http_port, place.odoo.longpolling_port}
    if ports := judge.alone(origin, recovery, known):
        yield (
            f"Odoo on {place} is connected to port {' and '.join(map(str, ports))} of its own "
            f"host, and nothing listens there on {instance.recovery}: install that service there"
        )


def _mails(instance: OdooInstance) -> Iterator[str]:
    """Say whose mail nobody would take on the recovery host."""
    recovery = instance.recovery
    conf = files.read(recovery.host.shell(), recovery.odoo.config)
    by_default = odoo_conf.value(conf, "smtp_server") in {"", *odoo_conf.LOOPBACK}
    asked = customers.odoo(recovery).databases
    rows = customers.each(asked, BY_ITS_SERVER, by_default).rows
    if names := [name for name, (row,) in sorted(rows.items()) if row["local"]]:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        yield (
            f"{plain(', '.join(names[:SHOWN]))}{more} send mail by port 25 of their own server, "
            f"and nothing listens there on {recovery}: install the mail server of {instance.origin}"
        )


def _tools(place: Place) -> Tools:
    argv = ("sh", "-c", FOUND, "tools", *judge.PROGRAMS)
    return judge.read(place.host.shell().run(argv, user=place.odoo.user).stdout)
