"""Files of OpenSSH."""

from pathlib import PurePosixPath


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
