"""The programs and fonts that the origin's Odoo finds, held against those of the recovery host."""

from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from tasks.build import programs_compared as judge
from tasks.build.programs_compared import Tools

# Arguments: programs. Prints where each is, what wkhtmltopdf says of itself, and the fonts.
FOUND = """
for name; do command -v "$name" >/dev/null && echo "program $name"; done
! command -v wkhtmltopdf >/dev/null || echo "version $(wkhtmltopdf --version 2>&1 | head -n 1)"
command -v fc-list >/dev/null && fc-list : family | sort -u | head -n 2000 | sed 's/^/font /'
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
    return [str(recovery), *judge.remarks(origin, recovery, str(instance.recovery))]


def _tools(place: Place) -> Tools:
    argv = ("sh", "-c", FOUND, "tools", *judge.PROGRAMS)
    return judge.read(place.host.shell().run(argv, user=place.odoo.user).stdout)
