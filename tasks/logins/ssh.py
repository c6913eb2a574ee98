"""Files of OpenSSH."""

import re
from pathlib import PurePosixPath

from blocks.errors import Refused

# A line of OpenSSH's: its kind and its content; no option, no second line.
PUBLIC_KEY = re.compile(
    r"((?:sk-)?(?:ssh|ecdsa)-[a-z0-9@.-]{1,60}) ([A-Za-z0-9+/]{40,2000}={0,2})(?: [^\r\n]*)?\n?"
)


def public_key(text: str, *, where: str) -> str:
    """Take the key out of a file that a peer could have written; refuse whatever else is there.

    What stands in authorized_keys decides who is root: a second line would be a key of theirs.

    >>> public_key("ssh-ed25519 " + "A" * 68 + " me@there\\n", where="uno")[:16]
    'ssh-ed25519 AAAA'
    >>> public_key("ssh-ed25519 " + "A" * 68 + "\\nssh-ed25519 " + "B" * 68, where="uno")
    Traceback (most recent call last):
    blocks.errors.Refused: what is in the place of a public key on uno is not one
    HINT: find out who wrote it, remove it there with its private half, then run replicate
    """
    found = PUBLIC_KEY.fullmatch(text)
    if not found:
        raise Refused(
            f"what is in the place of a public key on {where} is not one",
            hint="find out who wrote it, remove it there with its private half, then run replicate",
        )
    return f"{found[1]} {found[2]}"


def known_hosts(text: str, *, alias: str) -> str:
    """Name a host's own keys, as it shows them; what is no key is passed over.

    >>> known_hosts("ssh-ed25519 " + "A" * 68 + " root@x\\nnonsense\\n", alias="vps_1")[:22]
    'vps_1 ssh-ed25519 AAAA'
    """
    keys = filter(None, (PUBLIC_KEY.fullmatch(line) for line in text.split("\n")))
    return "".join(f"{alias} {each[1]} {each[2]}\n" for each in keys)


def authorized_key(
    *, public_key: str, gate: PurePosixPath, peer: str, login: str, user: str
) -> str:
    """Admit a key from one address, for one command, which runs as another user.

    >>> print(authorized_key(public_key="ssh-rsa AA", gate=PurePosixPath("/g"),
    ...     peer="10.0.0.9", login="admin", user="odoo"), end="")
    restrict,from="10.0.0.9",command="sudo -n -u odoo -- /g \\"$SSH_ORIGINAL_COMMAND\\"" ssh-rsa AA
    """
    become = f"runuser -u {user}" if login == "root" else f"sudo -n -u {user}"
    command = f'{become} -- {gate} \\"$SSH_ORIGINAL_COMMAND\\"'
    return f'restrict,from="{peer}",command="{command}" {public_key.strip()}\n'


def host_entry(
    *, name: str, address: str, port: int, user: str, key: PurePosixPath, known: PurePosixPath
) -> str:
    """
    >>> print(host_entry(name="vps_1", address="10.0.0.1", port=5253, user="odoo",
    ...     key=PurePosixPath("/k"), known=PurePosixPath("/h")), end="")
    Host vps_1
        HostName 10.0.0.1
        Port 5253
        User odoo
        IdentityFile /k
        IdentitiesOnly yes
        UserKnownHostsFile /h
        HostKeyAlias vps_1
        StrictHostKeyChecking yes
        BatchMode yes
        ConnectTimeout 10
        ServerAliveInterval 5
        ServerAliveCountMax 3
    """
    return f"""\
Host {name}
    HostName {address}
    Port {port}
    User {user}
    IdentityFile {key}
    IdentitiesOnly yes
    UserKnownHostsFile {known}
    HostKeyAlias {name}
    StrictHostKeyChecking yes
    BatchMode yes
    ConnectTimeout 10
    ServerAliveInterval 5
    ServerAliveCountMax 3
"""
