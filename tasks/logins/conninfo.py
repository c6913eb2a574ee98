"""Connection strings of libpq, without a password: that stands in .pgpass."""

from collections.abc import Mapping


def render(**fields: str | int) -> str:
    r"""
    >>> render(host="10.0.0.1", port=5432, passfile="/var/lib/it's")
    "host='10.0.0.1' port='5432' passfile='/var/lib/it\\'s'"
    """
    return " ".join(f"{name}='{_escape(str(value))}'" for name, value in fields.items())


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def primary(
    *, host: str, port: int, user: str, passfile: str, name: str, tls: Mapping[str, str]
) -> str:
    """How a standby reaches its primary; `name` is what the primary sees it as."""
    return render(
        host=host,
        port=port,
        user=user,
        passfile=passfile,
        application_name=name,
        **tls,
        connect_timeout=10,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
    )
