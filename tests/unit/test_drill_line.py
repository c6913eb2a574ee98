"""How a rehearsed Odoo gets its environment: as the customer's user, and no root before it."""

import subprocess
from pathlib import Path

from tasks.odoo.odoo_start import environment_file
from tasks.readiness import drill_commands

SECRET = 'a "b" $c `d` \\e'


def test_the_environment_is_read_as_it_was_written_and_only_after_root_is_given_up(
    tmp_path: Path,
) -> None:
    """The last line of the script, with a setpriv that drops nothing."""
    variables = tmp_path / "environment"
    variables.write_text(environment_file({"STAGE": SECRET, "LD_PRELOAD": "/tmp/none.so"}))
    last = drill_commands.VIEW[drill_commands.VIEW.index("exec setpriv") :]
    dropped, _, inner = last.partition("-- sh -c")
    script = f"layer=/l folder=/usr variables=$1; shift; exec sh -c{inner}"

    said = ("sh", "-c", 'printf %s "$STAGE $HOME $PWD $1"', "x", "y")
    argv = ["sh", "-c", script, "view", str(variables), *said]

    done = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert "--no-new-privs" in dropped
    assert done.stdout == f"{SECRET} /l/home /usr y", done.stderr
