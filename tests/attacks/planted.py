"""Secrets of everybody else, planted where an attacker would look for them."""

import secrets
from dataclasses import dataclass, field

from blocks.instance import OdooInstance
from tests.attacks import identity
from tests.oracles import Pair

ROOT_FILES = ("/root/relevo-planted", "/etc/relevo-planted")
TABLE = "relevo_planted"
PLANT = """
set -e
folder=$1 path=$2
install -d -o "$(stat -c %U "$folder")" -g "$(stat -c %G "$folder")" -m 750 "${path%/*}"
cat >"$path"
chown --reference="$folder" "$path"
chmod 600 "$path"
"""
APPEND = 'sed -i /PLANTED/d "$1" && cat >>"$1"'


@dataclass
class Planted:
    """What must not come into an attacker's hands: a name, and the words by which it is known."""

    words: dict[str, str] = field(default_factory=dict)

    def found_in(self, text: str) -> list[str]:
        return sorted(name for name, word in self.words.items() if word in text)


def token(whose: str, what: str) -> str:
    """
    >>> token("dos", "row")[:16]
    'PLANTED-dos-row-'
    """
    return f"PLANTED-{whose}-{what}-{secrets.token_hex(6)}"


def plant(victim: Pair, attacker: Pair, block: OdooInstance) -> Planted:
    """Plant secrets of the victim, of root, and of other origins, on all hosts."""
    planted, recovery = Planted(), victim.recovery
    folder = f"{identity.BASE}/respaldo_filestore/{victim.name}"
    for number, path in enumerate(ROOT_FILES):
        word = planted.words[f"root's {path}"] = token("root", f"file{'ab'[number]}")
        recovery.write(path, f"{word}\n", owner="root", mode=0o600)
    word = planted.words[f"a document of {victim.name}"] = token("dos", "file")
    data = f"{folder}/data_dir"
    document = f"{data}/filestore/cliente1/ff/planted"
    recovery.run("sh", "-c", PLANT, "plant", data, document, stdin=word)
    word = planted.words[f"odoo.conf of {victim.name}"] = token("dos", "conf")
    recovery.run("sh", "-c", APPEND, "append", identity.conf(victim), stdin=f"; {word}\n")
    for pair in (victim, attacker):
        word = token("dos" if pair is victim else "own", "row")
        pair.at_origin(
            f"DROP TABLE IF EXISTS {TABLE}; CREATE TABLE {TABLE} (secret text); "
            f"ALTER TABLE {TABLE} OWNER TO odoo; INSERT INTO {TABLE} VALUES ('{word}')",
            "cliente1",
        )
        if pair is victim:
            planted.words[f"the rows of {victim.name}"] = word
    for path in identity.keys(victim):
        planted.words[f"the key {path}"] = recovery.read(path).splitlines()[2]
    planted.words[f"the key of TLS of {victim.name}"] = recovery.read(
        f"/etc/nginx/relevo/{victim.name}/privkey.pem"
    ).splitlines()[2]
    planted.words[f"the login that streams from {victim.name}"] = (
        block.replication.password.get_secret_value()
    )
    planted.words[f"the login that rewinds {victim.name}"] = (
        block.replication.rewind_password.get_secret_value()
    )
    return planted
