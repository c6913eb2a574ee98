"""How a session begins: with settings of our own, which no database and no role can change.

What stands in the startup packet beats ALTER SYSTEM, ALTER DATABASE and ALTER ROLE (PostgreSQL
manual, "Setting Parameters"). Names are looked up in pg_catalog alone.
"""

from collections.abc import Mapping

LOCK_SECONDS = 30
IDLE_SECONDS = 120
GONE_SECONDS = 5
EVERYBODY: Mapping[str, str] = {
    "search_path": "pg_catalog,pg_temp",
    "lock_timeout": f"{LOCK_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
    # Ours wait for no standby: they are run while one is away, too.
    "synchronous_commit": "local",
    "local_preload_libraries": "",
    "role": "none",
    "row_security": "off",
    "standard_conforming_strings": "on",
    "client_min_messages": "warning",
    "DateStyle": "ISO",
    "jit": "off",
}
# Only a superuser may say these.
SUPERUSER: Mapping[str, str] = {
    "session_preload_libraries": "",
    "lc_messages": "C",
    # No statement of ours comes to stand in a log: one carries a verifier.
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_error_statement": "panic",
}
# What came later, by the release.
SINCE: Mapping[int, Mapping[str, str]] = {
    14: {
        "idle_session_timeout": f"{IDLE_SECONDS}s",
        # A statement whose asker has gone ends.
        "client_connection_check_interval": f"{GONE_SECONDS}s",
    },
}
SUPERUSER_SINCE: Mapping[int, Mapping[str, str]] = {
    13: {"log_min_duration_sample": "-1"},
    17: {"event_triggers": "off"},
}


def settings(*, version: int, superuser: bool, writes: bool, seconds: float) -> dict[str, str]:
    """What a session is told as it begins.

    >>> settings(version=17, superuser=True, writes=True, seconds=60)["event_triggers"]
    'off'
    >>> "event_triggers" in settings(version=16, superuser=True, writes=True, seconds=60)
    False
    """
    told = dict(EVERYBODY)
    told["statement_timeout"] = f"{seconds * 1000:.0f}"
    told["default_transaction_read_only"] = "off" if writes else "on"
    for release, more in SINCE.items():
        told |= more if version >= release else {}
    if superuser:
        told |= SUPERUSER
        for release, more in SUPERUSER_SINCE.items():
            told |= more if version >= release else {}
    return told


def options(told: Mapping[str, str]) -> str:
    r"""Write settings as libpq's `options`.

    >>> options({"search_path": "pg_catalog,pg_temp", "a": "b c\\"})
    '-c search_path=pg_catalog,pg_temp -c a=b\\ c\\\\'
    """
    return " ".join(
        "-c " + f"{name}={value}".replace("\\", "\\\\").replace(" ", "\\ ")
        for name, value in told.items()
    )


def superuser(version: int, *, seconds: float = 60) -> str:
    """The options of a superuser's session, for psql's PGOPTIONS too."""
    return options(settings(version=version, superuser=True, writes=True, seconds=seconds))
