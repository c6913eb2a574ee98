"""What sshd says of its settings (sshd -T), and what ssh says where it does not get in."""

import re
from pathlib import PurePosixPath

# What ssh says, and what is to be seen to then; the first that is said counts.
HINTS = (
    ("Host key verification failed", "run replicate, which pins the host keys of {there} again"),
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "run replicate, which pins the host keys again"),
    (
        "Permission denied",
        "read in the log of sshd on {there} why it refuses {user} (AllowUsers, a Match, a mode)",
    ),
    ("Connection refused", "see that sshd on {there} listens at {address} port {port}"),
    ("timed out", "let {here} reach {address} port {port} through every firewall between them"),
    ("No route to host", "let {here} reach {address} port {port} through every firewall"),
    ("Network is unreachable", "let {here} reach {address} port {port}"),
    ("Could not resolve", "correct peer_address of {there} in the inventory"),
)
OTHERWISE = "log in by hand as {user} from {here} to {address} port {port}, and see what it says"


def keys_file(said: str, *, user: str, home: PurePosixPath) -> PurePosixPath | None:
    """Read where sshd looks for keys first (sshd_config, AuthorizedKeysFile); none for nowhere.

    >>> home = PurePosixPath("/home/juan")
    >>> def asked(said): return str(keys_file(said, user="juan", home=home))
    >>> asked("port 22\\nauthorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2\\n")
    '/home/juan/.ssh/authorized_keys'
    >>> asked("authorizedkeysfile /etc/ssh/keys/%u"), asked("authorizedkeysfile %h/keys")
    ('/etc/ssh/keys/juan', '/home/juan/keys')
    >>> asked("authorizedkeysfile none"), asked("port 22")
    ('None', 'None')
    """
    line = re.search(r"^authorizedkeysfile (\S+)", said, re.MULTILINE)
    if line is None or line[1] == "none":
        return None
    tokens = {"%%": "%", "%u": user, "%h": str(home)}
    path = re.sub(r"%[%uh]", lambda token: tokens[token[0]], line[1])
    return home / path


def hint(said: str, **names: object) -> str:
    """What to do after what ssh has said.

    >>> hint("admin@10.0.0.1: Permission denied (publickey).", there="uno", user="admin")
    ... # doctest: +ELLIPSIS
    'read in the log of sshd on uno why it refuses admin ...'
    """
    found = (advice for words, advice in HINTS if words in said)
    return next(found, OTHERWISE).format(**names)
