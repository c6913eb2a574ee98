"""Two servers that do not fit each other are told so before the night on which it matters."""

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from flows.check import check
from tests.oracles import Pair

OTHER_GLIBC = "#!/bin/sh\necho glibc 2.99\n"
GETCONF = "/usr/local/bin/getconf"
LOCALE, NO_LOCALES = "/usr/local/bin/locale", "#!/bin/sh\necho POSIX\n"
# Odoo's own databases sort by bytes, so that another glibc does them no harm.
BY_GLIBC = """
SELECT quote_ident(collname) FROM pg_collation
WHERE collprovider = 'c' AND collcollate NOT IN ('C', 'POSIX') LIMIT 1
"""


def test_other_sorting_is_said_and_a_lacking_extension_is_refused(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    control = f"/usr/share/postgresql/{uno.lab.generation.postgres}/extension/plpgsql.control"
    collation = uno.at_origin(BY_GLIBC, "cliente1")
    uno.at_origin(f"CREATE TABLE sorted (name text COLLATE {collation} UNIQUE)", "cliente1")
    alike = check(blocks["vps_uno"]).facts["parity"]
    assert "REINDEX" not in alike
    uno.recovery.write(GETCONF, OTHER_GLIBC)
    uno.recovery.run("chmod", "755", GETCONF)
    uno.recovery.run("mv", control, f"{control}.away")
    try:
        with pytest.raises(Refused, match="cliente1 uses plpgsql, which respaldo lacks"):
            check(blocks["vps_uno"])
        uno.recovery.run("mv", f"{control}.away", control)
        said = check(blocks["vps_uno"]).facts["parity"]
    finally:
        uno.recovery.run("rm", "-f", GETCONF)
        uno.recovery.run("sh", "-c", f"[ -e {control} ] || mv {control}.away {control}")
        uno.at_origin("DROP TABLE sorted", "cliente1")
    assert "2.99" in said
    assert "REINDEX after a move (cliente1: 1 indexes of text)" in said


def test_a_locale_that_the_recovery_host_has_lost_is_red(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    """PostgreSQL lets nobody into a database whose locale its host has no more."""
    uno.recovery.write(LOCALE, NO_LOCALES, mode=0o755)
    try:
        with pytest.raises(Refused, match="respaldo lacks the locales of"):
            check(blocks["vps_uno"])
    finally:
        uno.recovery.run("rm", LOCALE)
    assert "glibc" in check(blocks["vps_uno"]).facts["parity"]
