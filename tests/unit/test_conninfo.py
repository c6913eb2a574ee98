"""Connection strings, read back by libpq itself."""

from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from tasks.logins.conninfo import primary, render

VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@settings(max_examples=60, deadline=None)
@given(host=VALUES, passfile=VALUES)
def test_libpq_reads_the_very_values_that_were_written(host: str, passfile: str) -> None:
    assert conninfo_to_dict(render(host=host, passfile=passfile)) == {
        "host": host,
        "passfile": passfile,
    }


def test_a_standby_speaks_tls_notices_a_dead_primary_and_carries_no_password() -> None:
    facts = conninfo_to_dict(
        primary(
            host="10.0.0.1", port=5432, user="r", passfile="/p", name="vps_1",
            tls={"sslmode": "verify-ca", "sslrootcert": "/c"},
        )
    )  # fmt: skip

    assert facts["sslmode"] == "verify-ca"
    assert facts["sslrootcert"] == "/c"
    assert facts["application_name"] == "vps_1"
    assert {"connect_timeout", "keepalives_idle", "keepalives_interval"} <= facts.keys()
    assert "password" not in facts
