"""The site of an instance on nginx of the recovery host.

It is there all the time, and stands by: it answers customers' paths with 503, for nobody is sent
there. A failover changes the one line in shown.conf that says in which form nginx has it.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath

from blocks.answers import understood
from blocks.errors import CommandFailed, Refused, RelevoError
from blocks.instance import OdooInstance
from blocks.plain import plain
from blocks.shell import Shell
from tasks.host import files
from tasks.odoo import http, service
from tasks.postgres.observe import observe
from tasks.run.outcome import Outcome
from tasks.run.step import log, step
from tasks.run.wait import until
from tasks.serving import nginx, nginx_read, site_files, sites
from tasks.serving.nginx import Form
from tasks.serving.site_files import ENTRIES, NGINX, SITES, folder

NGINX_SECONDS = 20
INCLUDE = f"include {SITES}/*/shown.conf;"
READS = """
said=$(nginx -T 2>&1) || { printf '%s\\n' "$said" >&2; exit 1; }
printf '%s\\n' "$said" | grep '^# configuration file '
"""
NOTHING = "# Relevo shows nothing here.\n"
ASK_SECONDS, MOST_BYTES = 30, 4 << 20
ABSENT = 127  # as a shell says of a command
SHOWN = 10  # by name
# Argument: a pattern of files.
OWN = "cat -- $1 2>/dev/null"
# A page, and where the live chat keeps its connections: an Odoo with workers has a port for those.
PATHS = ("/web/login", "/longpolling/poll", "/websocket")


@step("prepare the nginx site of {instance.name}")
def install(instance: OdooInstance) -> None:
    """Bring the certificates, render the site, and prove that nginx shows it standing by."""

    if not instance.domains:
        log().info("%s has no domains in the inventory: no nginx site", instance.name)
        _take_away(instance)
        return
    shell, shown = instance.recovery.host.shell(), folder(instance) / "shown.conf"
    from tasks.serving import renewal  # noqa: PLC0415  # it reads certificates: a failover does not

    trial, brought = folder(instance) / "trial", renewal.fetch(instance)
    try:
        renewal.put(instance, trial, brought)
        site_files.write(instance, trial)
        site_files.try_alone(instance, trial)
    finally:
        files.remove_tree(shell, trial)
    renewal.put(instance, folder(instance), brought)
    site_files.write(instance, folder(instance))
    former = files.read(shell, shown)
    try:
        _show(instance, "standby" if observe(instance.recovery).is_standby else "serving")
    except RelevoError:
        if former:
            files.install(shell, shown, former, mode="600")
        else:
            files.remove(shell, shown)
        raise
    site_files.forget_former(instance)


def read_by_nginx(shell: Shell) -> set[str]:
    """Which files nginx has in its configuration, as it would read it now."""
    done = shell.run(("sh", "-c", READS, "reads-of-nginx"), check=False)
    if done.status != 0:
        raise CommandFailed(
            f"nginx on {shell.host} does not accept its configuration: {done.tail}",
            hint="fix what it names there, then check with nginx -t",
        )
    return {line.split(maxsplit=3)[3].rstrip(":") for line in done.stdout.splitlines()}


def _enter(shell: Shell, shown: PurePosixPath) -> None:
    """Have nginx read our sites: by a file in the folder that it reads, or by its owner's line."""
    if str(shown) in read_by_nginx(shell):
        return
    for entry in ENTRIES:
        if not files.exists(shell, entry.parent) or files.exists(shell, entry):
            continue
        files.install(shell, entry, f"# Written by Relevo.\n{INCLUDE}\n")
        try:
            if str(shown) in read_by_nginx(shell):
                return
        except RelevoError:
            files.remove(shell, entry)
            raise
        files.remove(shell, entry)
    raise Refused(
        f"nginx on {shell.host} includes no folder of sites, so it would show none of ours",
        hint=f"add {INCLUDE} to the block http of {NGINX}/nginx.conf there, then run "
        "build-service again",
    )


def _show(instance: OdooInstance, form: Form) -> None:
    """Let nginx have the site in a form, and prove that customers would see it."""
    shell, shown = instance.recovery.host.shell(), folder(instance) / "shown.conf"
    files.install(shell, shown, f"include {folder(instance)}/{form}.conf;\n", mode="600")
    _enter(shell, shown)
    shell.run(("systemctl", "reload-or-restart", "nginx"))
    _wait_until_shown(instance, form)


def urls(instance: OdooInstance) -> dict[str, str]:
    """Where a browser goes for each domain."""
    return {
        domain: f"https://{domain}:443"
        if instance.certificate_of(domain)
        else f"http://{domain}:80"
        for domain in instance.domains
    }


def astray(instance: OdooInstance, form: Form) -> str:
    """Say which domain nginx does not show in this form; nothing when it shows all of them."""
    where = urls(instance)
    path, wanted = nginx.path(instance.name), nginx.answer(instance.name, form)
    pages = http.pages(instance.recovery, list(where.values()), path=path)
    for domain, url in where.items():
        if (page := pages[url]).words != wanted:
            sentence = page.error or f"{page.status} {page.words[:60]!r}"
            return (
                f"nginx on {instance.recovery} answers for {domain} with {sentence}, not {wanted!r}"
            )
    return ""


def _silent(instance: OdooInstance) -> str:
    """Say for which domain nginx does not bring a customer's requests to Odoo."""
    where = urls(instance)
    for path in PATHS:
        pages = http.pages(instance.recovery, list(where.values()), path=path)
        for domain, url in where.items():
            if not pages[url].works:
                return f"nginx on {instance.recovery} answers {pages[url]} for {domain}{path}"
    return ""


def _wait_until_shown(instance: OdooInstance, form: Form) -> None:
    """Wait for nginx, whose old processes answer for a moment after it was told."""
    said: list[str] = []

    def shown() -> bool:
        said.append(astray(instance, form) or (_silent(instance) if form == "serving" else ""))
        return not said[-1]

    try:
        until(shown, what=f"nginx shows {instance.name}", timeout_seconds=NGINX_SECONDS)
    except CommandFailed as error:
        raise CommandFailed(
            said[-1],
            hint=f"find out on {instance.recovery} what else listens at ports 80 and 443 (ss "
            "-ltnp) or has these names (nginx -T)",
        ) from error


@step("show {instance.name} on nginx of {instance.recovery}")
def enable(instance: OdooInstance) -> Outcome:
    """Let the site serve, and prove that nginx brings a customer's request to Odoo.

    Another site that nginx stumbles over raises nothing: it must not keep DNS waiting.
    """
    return _turn(instance, "serving")


@step("remove {instance.name} from nginx of {instance.recovery}")
def disable(instance: OdooInstance) -> Outcome:
    """Let the site stand by for the next failover."""
    return _turn(instance, "standby")


def _turn(instance: OdooInstance, form: Form) -> Outcome:
    try:
        if not instance.domains:
            _take_away(instance)
            return Outcome(done=True, sentence="no domains in the inventory: nothing to show")
        site_files.write(instance, folder(instance))
        site_files.forget_former(instance)
        _show(instance, form)
    except (CommandFailed, Refused) as error:
        log().error("%s", error)
        return Outcome(done=False, sentence=error.message)
    return Outcome(
        done=True, sentence=f"nginx on {instance.recovery} shows {instance.name} ({form})"
    )


def _take_away(instance: OdooInstance) -> None:
    """Let nginx forget a site whose domains are no more in the inventory.

    The file goes last: while it is there, the next run of a killed one reloads nginx.
    """
    shell, shown = instance.recovery.host.shell(), folder(instance) / "shown.conf"
    if files.exists(shell, shown):
        files.install(shell, shown, NOTHING, mode="600")
        read_by_nginx(shell)
        shell.run(("systemctl", "reload-or-restart", "nginx"))
        files.remove(shell, shown)


def forget(instance: OdooInstance, *, heir: str = "", delete_kept: bool = False) -> Outcome:
    """Take the site away, with its certificates; tell whether nginx has forgotten it.

    What people wrote in its folder stays, unless it is to be deleted. For another name all waits.
    """
    forgotten = Outcome(
        done=True, sentence=f"nginx on {instance.recovery} no longer shows {instance.name}"
    )
    try:
        _take_away(instance)
    except CommandFailed as error:
        log().error("%s", error)
        forgotten = Outcome(done=False, sentence=error.message)
    site_files.forget_former(instance)
    site_files.leave(instance, heir=heir, delete_kept=delete_kept)
    return forgotten


def judge(instance: OdooInstance, form: Form) -> str:
    """Require that nginx shows a site in a form, and would after a reload or a boot."""
    if not instance.domains:
        return "no domains in the inventory"
    shell, shown = instance.recovery.host.shell(), folder(instance) / "shown.conf"
    for path, text in site_files.rendered(instance).items():
        if files.read(shell, path) != text:
            raise Refused(f"{path} on {instance.recovery} is not what the inventory wants")
    read = read_by_nginx(shell)
    if lacking := [p for p in (shown, folder(instance) / f"{form}.conf") if str(p) not in read]:
        raise Refused(f"nginx on {instance.recovery} does not read {lacking[0]}")
    if sentence := astray(instance, form) or (_silent(instance) if form == "serving" else ""):
        raise Refused(sentence)
    if not service.starts_at_boot(shell, "nginx.service"):
        raise Refused(
            f"nginx on {instance.recovery} would not start at its next boot",
            hint="run systemctl enable nginx there",
        )
    return f"nginx shows {len(instance.domains)} domains ({form})"


def beside(instance: OdooInstance) -> list[str]:
    """Say what nginx at the origin does for this Odoo that the recovery host would not do."""
    origin, recovery = instance.origin, instance.recovery
    done = origin.host.shell().run(
        ("nginx", "-T"), check=False, timeout_seconds=ASK_SECONDS, limit_bytes=MOST_BYTES
    )
    if not instance.domains:
        return ["no domains in the inventory"]
    if done.status == ABSENT:
        return [f"{origin} has no nginx, so nothing was read"]
    if done.status:
        return [f"nginx on {origin} does not accept its configuration, so it was not read"]
    with understood(f"the configuration of nginx on {origin}"):
        read = nginx_read.read(done.stdout)
    at = {origin.host.address, origin.host.peer_address, origin.host.public_address or ""}
    ports = {origin.odoo.http_port, origin.odoo.longpolling_port}
    found = sites.beside(read, ports, {str(each) for each in at}, instance.domains)
    count = len(instance.domains)
    said = [f"the configuration of nginx on {origin} was read for {count} domains"]
    if found.names:
        said.append(
            f"nginx on {origin} leads {_some(found.names)} to Odoo, which domains of "
            f"{instance.name} lacks: a failover would leave them behind; add them in the "
            "inventory, apply it and run build-service"
        )
    if rules := [rule for rule in found.rules if rule not in _own_rules(instance)]:
        said.append(
            f"nginx on {origin} has for {instance.name} what {recovery} would not have: "
            f"{_some(rules)}; write it into {nginx.own(instance.name)} there and run build-service"
        )
    return said


def _own_rules(instance: OdooInstance) -> set[str]:
    argv = ("sh", "-c", OWN, "own-of-nginx", nginx.own(instance.name))
    done = instance.recovery.host.shell().run(argv, check=False, limit_bytes=MOST_BYTES)
    return {*sites.rules(nginx_read.parse(done.stdout))}


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return plain(", ".join(names[:SHOWN]), longest=600) + more
