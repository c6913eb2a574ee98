"""The pages of docs, followed to the letter by somebody who has nothing else.

Each block is read out of its page and typed into a shell on the host that the page means, line by
line; every line has to end well. What the reader puts in the place of a page's own names stands in
the small tables here, and what he is asked in ANSWERS. The drills are one story, in this order.
"""

import re
from collections.abc import Iterator

import pytest
import yaml

from tests.documents import block, commands, filled, in_table, in_text
from tests.lab import names, runner
from tests.lab.lab import Lab
from tests.lab.machine import Machine, wait_until
from tests.oracles import Pair, one_writer
from tests.terminal import SHELL, Terminal

PASSWORD = "by-day-and-by-night"
ANSWERS = {
    r"Do you want to continue\? \[Y/n\]": "y",
    r"Is it this one\? Type yes: ": "yes",
    r"(Enter password for new role|Enter it again|New password|Re-type new password): ": PASSWORD,
    r"\(yes/no\) ": "yes",
    r"Who approves it: ": "Ana",
    r"Why \(the report keeps it\): ": "the drill cut its power",
    r"Type (\w+) to begin the [\w ]+: ": r"\1",
}
HERE = {"clone ...": f"clone {runner.REPOSITORY}"}
SERVERS = {"admin@vps2": "sysop@vps2"}  # the rest are called as on the page
PASSWORDS = {"prefect:...": f"prefect:{PASSWORD}", "relevo:...": f"relevo:{PASSWORD}"}
INVENTORY, SITE = "/etc/relevo/inventory.yaml", "https://relevo.example.com"
CLIENT = "set -a; . /etc/relevo/client.env; set +a"  # of docs/server.md
# Changes what the page says; the key is made as the file itself says.
EDITOR = f"""#!/bin/sh -e
for file; do
    key=$(sh -c "$(sed -n 's/^#   //p' "$file")")
    sed -i "s|relevo:CHANGE-ME|relevo:{PASSWORD}|; s|=CHANGE-ME|=$key|" "$file"
done
"""
FORM = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(.+\), [\w ]+ ago  [a-z-]+ +"
    r"((done|failed) after [\w ]+|no end is known) +\w.*"
)
OUTAGE = "CREATE TABLE outage AS SELECT generate_series(1, 10) AS n"
STANDS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
SAVE = "runuser -u postgres -- setsid psql -p 5544 -c 'CREATE TABLE saved()' >/dev/null 2>&1 &"


ENDED = (0, 1, 127, 143)
STOPPED: list[str] = []


@pytest.fixture(scope="session", autouse=True)
def _api() -> None:
    """Boot nothing of what the other drills share."""


@pytest.fixture(scope="module")
def new() -> Iterator[Lab]:
    """A lab that no inventory knows."""
    with Lab(f"{Lab().name}-new") as made:
        yield made


@pytest.fixture(scope="module")
def worker(new: Lab) -> Machine:
    """A machine on which nothing of Relevo is."""
    return runner.boot(new)


@pytest.fixture(autouse=True)
def _story(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tell no more once something went wrong: each drill goes on where the one before has ended."""
    if STOPPED:
        pytest.skip(f"the story has stopped in {STOPPED[0]}")
    before = request.session.testsfailed
    yield
    if request.session.testsfailed > before:
        STOPPED.append(request.node.name)


def seat(machine: Machine) -> Terminal:
    """Sit down at a host, as root, in a shell of its own."""
    return Terminal(machine.inside(*SHELL), ANSWERS)


def pair(lab: Lab, worker: Machine, name: str) -> Pair:
    """An instance as the inventory that was written on the way says."""
    ports = yaml.safe_load(worker.read(INVENTORY))["instances"][name]["recovery"]
    origin = {"vps1": lab.uno, "vps2": lab.dos}[name]
    return Pair(lab, name, origin, ports["postgres_port"], ports["http_port"])


def certificate(machine: Machine, folder: str, name: str) -> None:
    """Have a certificate of one's own, with the names that certbot gives its files."""
    machine.run("mkdir", "-p", folder)
    machine.run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "90",
        "-keyout", f"{folder}/privkey.pem", "-out", f"{folder}/fullchain.pem",
        "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
    )  # fmt: skip


def asked(worker: Machine, who: str, path: str) -> str:
    """Give the status with which the site answers."""
    return worker.run(
        "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert",
        "/etc/ssl/relevo/fullchain.pem", "-u", f"{who}:{PASSWORD}", "--json", "{}", SITE + path,
    ).stdout  # fmt: skip


def test_a_stranger_installs_relevo_and_replicates_the_first_server(
    new: Lab, worker: Machine
) -> None:
    install, discover, prefect = commands("docs/install.md", "Step by step")
    with seat(worker) as shell:
        shell.paste(filled(install, HERE))
        for machine in (new.uno.machine, new.dos.machine, new.respaldo):
            runner.admit(machine, worker.read("/etc/relevo/id_ed25519.pub"))
        said = shell.paste(filled(discover, SERVERS), (0, 1))
        assert "added to /etc/relevo/inventory.yaml: vps1, vps2" in said, said
        assert "replicate would refuse" not in worker.read(INVENTORY)
        shell.paste(filled(prefect, PASSWORDS))
        shell.type(in_text("docs/install.md", "relevo doctor"), (0, 1))
        one = in_text("docs/install.md", "relevo run replicate NAME")
        shell.type(filled(one, {"NAME": "vps1"}))
        shell.type(in_text("docs/install.md", "relevo replicate --all --at-most 2"))
        for name in ("vps1", "vps2"):
            assert pair(new, worker, name).is_home()
        shell.type("relevo check", (0, 1))
        assert "nothing to change" in shell.type(in_text("docs/install.md", "relevo apply"))
        shell.type("kill %2; wait %2", ENDED)  # the worker first: it would wait for its server
        shell.type("kill %1; wait %1", ENDED)


def test_the_server_for_real_use_is_set_up_as_its_page_says(worker: Machine) -> None:
    certificate(worker, "/etc/ssl/relevo", "relevo.example.com")
    worker.write("/usr/local/bin/editor", EDITOR, mode=0o755)
    gone, install, login, start = commands("docs/server.md", "Once")
    with seat(worker) as shell:
        shell.paste(gone)
        shell.paste(install)
        log_in_as(worker, login)
        shell.paste(start)
        wait_until(lambda: asked(worker, "relevo", "/api/flows/filter") == "200", "TLS", 60)
        shell.type("prefect deployment run check/vps1 --watch")
    for unit in ("relevo-server", "relevo-worker", "relevo-backup.timer"):
        assert worker.run("systemctl", "is-active", unit).stdout == "active\n"


def log_in_as(worker: Machine, login: str) -> None:
    """Write the two lines into the two files that the comments above them name."""
    (folder,) = worker.run("sh", "-c", "echo /etc/postgresql/*/main").stdout.split()
    lines = dict(zip(login.splitlines()[::2], login.splitlines()[1::2], strict=True))
    (ident,) = (line for comment, line in lines.items() if "pg_ident.conf" in comment)
    (hba,) = (line for comment, line in lines.items() if "pg_hba.conf" in comment)
    worker.write(f"{folder}/pg_ident.conf", worker.read(f"{folder}/pg_ident.conf") + f"{ident}\n")
    text = worker.read(f"{folder}/pg_hba.conf")
    above = re.search(r"^local +all +all +peer$", text, re.MULTILINE)
    assert above, text
    worker.write(f"{folder}/pg_hba.conf", f"{text[: above.start()]}{hba}\n{text[above.start() :]}")


def test_people_have_names_and_one_may_drill_and_nothing_more(worker: Machine) -> None:
    people, rule = commands("docs/server.md", "People with names, and what they may do")
    with seat(worker) as shell:
        shell.paste(people)
        wait_until(lambda: asked(worker, "ana", "/api/flows/filter") == "200", "a name counts", 20)
        assert asked(worker, "eva", "/api/flows/filter") == "401"
        worker.write("/etc/sudoers.d/relevo", f"{rule}\n", mode=0o440)
        worker.run("useradd", "--create-home", "luis")
        drill = rule.partition("NOPASSWD: ")[2].replace("[a-z]*", "vps1")
        as_luis = "runuser -u luis -- sudo -n -u relevo"
        shell.type(f"{as_luis} {drill}")
        shell.type(f"{as_luis} {drill.replace('drill', 'failover')}", (1,))
        shell.type("cd /")
        told = filled(in_text("docs/every-day.md", "relevo history NAME"), {"NAME": "vps1"})
        lines = shell.type(told).splitlines()
    assert re.search(r"ago  drill +done after [\w ]+ luis", lines[-1]), lines
    example = block("docs/every-day.md", "Who did what", "2026-").splitlines()
    assert not [line for line in (*example, *lines) if not FORM.fullmatch(line)]


def test_programs_read_what_relevo_says_and_shells_complete_it(worker: Machine) -> None:
    worker.run("mkdir", "-p", "/var/lib/prometheus/node-exporter")  # as node_exporter's package
    with seat(worker) as shell:
        shell.paste(block("docs/every-day.md", "For programs", "relevo completion"))
        shell.type("bash -n /usr/share/bash-completion/completions/relevo")
        shell.type("head -1 /usr/local/share/zsh/site-functions/_relevo | grep compdef")
        textfile = block("docs/monitoring/README.md", "Prometheus and Grafana", "relevo check")
        shell.paste(textfile, (0, 1))
    found = worker.read("/var/lib/prometheus/node-exporter/relevo.prom")
    assert re.search(r'^relevo_streaming\{instance="vps1"\} 1', found, re.MULTILINE), found


def test_the_night_is_as_its_page_says(new: Lab, worker: Machine) -> None:
    """Customers move, a certificate is renewed meanwhile, and they come home."""
    page, dos = "docs/night.md", pair(new, worker, "vps2")
    status, check, *moves = in_table(page, "relevo ")
    plan, out, home, switch = (filled(each, {"NAME": dos.name}) for each in moves)
    spanish, gone = (
        filled(in_text(page, each), {"NAME": dos.name})
        for each in ("relevo plan failover NAME --language es", "relevo plan recovery-is-gone NAME")
    )
    with seat(worker) as shell, one_writer(dos):
        shell.type(status)
        shell.type(check, (0, 1))
        shell.type(gone)
        dos.origin.machine.crash()
        shell.type(plan)
        assert "PostgreSQL" in shell.type(spanish)
        shell.type(out)
        dos.at_recovery(OUTAGE, "cliente1")
        renewed(new.respaldo, dos.name)
        dos.origin.machine.boot()
        shell.type(home)
        assert dos.at_origin("SELECT count(*) FROM outage", "cliente1") == "10"
        shell.type(switch)
        assert dos.at_recovery("SELECT pg_is_in_recovery()") == "f"
        shell.type(home)
    assert dos.is_home()


def renewed(recovery: Machine, name: str) -> None:
    """Renew the certificate where the customers are; certbot itself is not asked."""
    domain = f"cliente2.{names.ZONE}"
    certificate(recovery, f"/etc/letsencrypt/live/{domain}", domain)
    give = block("docs/server.md", "nginx of the recovery server, names and certificates", "cp ")
    with seat(recovery) as shell:
        shell.paste(filled(give, {"cliente1.example.com": domain, "NAME": name}))
        of = "openssl x509 -noout -fingerprint"
        ask = f"openssl s_client -connect 127.0.0.1:443 -servername {domain} </dev/null"
        shown = f"{ask} 2>/dev/null | {of}"
        said = shell.type(f"{of} -in /etc/letsencrypt/live/{domain}/fullchain.pem")
        wait_until(lambda: shell.type(shown) == said, "nginx shows it", 20)


def test_the_server_is_restored_from_its_backup(worker: Machine) -> None:
    runs = "runuser -u postgres -- psql -Atc 'SELECT count(*) FROM flow_run' prefect"
    restore = block("docs/server.md", "Backup, restore", "cd /")
    with seat(worker) as shell:
        shell.type("systemctl start relevo-backup")  # as the timer does
        before = int(shell.type(f"cd / && {runs}"))
        (dump,) = shell.type("cd /var/backups/relevo && ls prefect-*.dump").split()
        shell.paste(filled(restore, {"prefect-1.dump": dump}))
        assert 0 < before <= int(shell.type(runs))
        shell.type(CLIENT)
        assert "nothing to change (2 instances)" in shell.type("relevo apply")


def test_an_upgrade_brings_the_newest_commit_and_everything_runs(worker: Machine) -> None:
    """It stops the worker, which waits for the procedure that runs."""
    upgrade = block("docs/server.md", "Upgrade", "systemctl stop relevo-worker")
    newest = runner.commit(worker)
    run = "flow run 'replicate vps1 to respaldo'"
    with seat(worker) as shell:
        shell.type(CLIENT)
        shell.type("prefect deployment run replicate/vps1")
        wait_until(lambda: f"Beginning {run}" in journal(worker), "a procedure runs", 60)
        shell.paste(upgrade)
        assert re.search(rf"(?i){run} - Finished in state Completed", journal(worker))
        assert shell.type("git -C /opt/relevo rev-parse HEAD").strip() == newest
        shell.type("prefect deployment run replicate/vps1 --watch")


def journal(worker: Machine) -> str:
    return worker.run("journalctl", "--unit", "relevo-worker", "--no-pager").stdout


def test_commits_wait_and_are_released_by_hand(new: Lab, worker: Machine) -> None:
    dos = pair(new, worker, "vps2")
    wish = block(
        "docs/synchronous.md", "Synchronous commits: wait for the recovery host", "replication:"
    )
    release = block("docs/synchronous.md", "By hand", "/usr/local/lib/relevo/synchronous")
    document = yaml.safe_load(worker.read(INVENTORY))
    document["instances"][dos.name] |= yaml.safe_load(wish)
    worker.write(INVENTORY, yaml.safe_dump(document, sort_keys=False))
    with seat(worker) as shell:
        shell.type("relevo run replicate vps2")
    assert dos.name in dos.at_origin("SHOW synchronous_standby_names")
    new.respaldo.crash()
    dos.origin.machine.run("sh", "-c", SAVE)
    wait_until(lambda: dos.at_origin(STANDS) == "1", "a commit stands still", 20)

    with seat(dos.origin.machine) as shell:
        shell.paste(filled(release, {"NAME": dos.name}))

    saved = "SELECT to_regclass('saved') IS NOT NULL"
    wait_until(lambda: dos.at_origin(saved) == "t", "the commit was made", 20)
    new.respaldo.boot()
    wait_until(dos.is_home, "it follows again", 120)


def test_a_server_is_taken_out_as_its_page_says(new: Lab, worker: Machine) -> None:
    uno = pair(new, worker, "vps1")
    with seat(worker) as shell:
        shell.type(CLIENT)
        take_out = block("docs/take-out.md", "Remove a server", "relevo remove")
        shell.paste(filled(take_out, {"NAME": uno.name}))
        document = yaml.safe_load(worker.read(INVENTORY))
        del document["instances"][uno.name]
        worker.write(INVENTORY, yaml.safe_dump(document, sort_keys=False))
        shell.type(in_text("docs/take-out.md", "relevo apply"))
        assert uno.name not in shell.type("relevo list")
    assert uno.at_origin("SELECT count(*) FROM pg_replication_slots") == "0"
    assert uno.name not in new.respaldo.run("pg_lsclusters").stdout
    assert pair(new, worker, "vps2").is_home()
