"""The files of the guard that keeps a returning origin from serving."""

from pathlib import PurePosixPath

from tasks.receipts.signers import NOW, UNTIL, Signers


def drop_in(*, instance: str, guard: PurePosixPath, config: PurePosixPath, what: str) -> str:
    """Let a unit start only if the guard says yes; a no is a skipped start, not a failed one.

    At boot it waits for the network, which the watcher asks for. A later start asks for none: on a
    server with an idle interface it would wait for minutes.

    >>> print(drop_in(instance="vps_1", guard=PurePosixPath("/g"), config=PurePosixPath("/c"),
    ...     what="odoo"), end="")
    # Written by Relevo for vps_1: nothing serves here while another server has the write right.
    [Unit]
    After=network-online.target
    <BLANKLINE>
    [Service]
    ExecCondition=+/g /c odoo
    """
    return f"""\
# Written by Relevo for {instance}: nothing serves here while another server has the write right.
[Unit]
After=network-online.target

[Service]
ExecCondition=+{guard} {config} {what}
"""


def allowed_signers(signers: Signers, *, namespace: str) -> str:
    """Name the keys as ssh-keygen reads them; a retired one has a name that ends with its epoch.

    >>> print(allowed_signers(Signers(("ssh-ed25519 NEW",), {"ssh-ed25519 OLD": 7}),
    ...     namespace="relevo-receipt"), end="")
    relevo namespaces="relevo-receipt" ssh-ed25519 NEW
    relevo-until-7 namespaces="relevo-receipt" ssh-ed25519 OLD
    """
    named = [(NOW, key) for key in signers.current]
    named += [(f"{UNTIL}{epoch}", key) for key, epoch in sorted(signers.retired.items())]
    return "".join(f'{who} namespaces="{namespace}" {key}\n' for who, key in named)


def question(
    *, address: str, port: int, user: str, key: PurePosixPath, known: PurePosixPath, alias: str
) -> tuple[str, ...]:
    """How the origin reaches the recovery host: one key, one pinned host, no prompt, no patience.

    >>> question(address="10.0.0.9", port=22, user="admin", key=PurePosixPath("/k"),
    ...     known=PurePosixPath("/h"), alias="vps_1")[-3:]
    ('-p', '22', 'admin@10.0.0.9')
    """
    options = {
        "IdentityFile": str(key),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": str(known),
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": alias,
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
        "ConnectTimeout": "3",
        "ServerAliveInterval": "2",
        "ServerAliveCountMax": "2",
        "ControlPath": "none",
    }
    words = (word for name, value in options.items() for word in ("-o", f"{name}={value}"))
    return ("ssh", "-F", "/dev/null", "-T", *words, "-p", str(port), f"{user}@{address}")
