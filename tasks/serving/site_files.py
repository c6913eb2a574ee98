"""The files of a site for nginx: both its forms and its certificates, written and tried."""

from pathlib import PurePosixPath

from blocks.errors import Refused
from blocks.instance import Certificate, OdooInstance
from blocks.shell import Shell
from tasks.host import files
from tasks.install import traces
from tasks.odoo import odoo_conf
from tasks.run.step import log
from tasks.serving import nginx
from tasks.serving.nginx import Form, Names

NGINX = PurePosixPath("/etc/nginx")
SITES = NGINX / "relevo"
# Folders of which a distribution's nginx reads all files; where it does, ours goes there.
ENTRIES = NGINX / "conf.d/relevo.conf", NGINX / "sites-enabled/relevo.conf"
# What we write in the folder of a site; all else there is people's.
FORMS = ("shown.conf", "standby.conf", "serving.conf")
PAIR = ("fullchain.pem", "privkey.pem", "brought.pem")
FOLDERS = ("certificates", "trial")


def folder(instance: OdooInstance) -> PurePosixPath:
    """Where nginx has the forms of a site, and its certificates."""
    return SITES / instance.name


def chain(instance: OdooInstance, domain: str, home: PurePosixPath | None = None) -> PurePosixPath:
    """Where the chain of a domain stands on the recovery host, with its key beside it."""
    own = f"certificates/{domain}" if domain in instance.certificates else ""
    return (home or folder(instance)) / own / "fullchain.pem"


def chains(
    instance: OdooInstance, home: PurePosixPath | None = None
) -> dict[PurePosixPath, Certificate]:
    """Each certificate of an instance by its path on the recovery host."""
    found = ((chain(instance, d, home), instance.certificate_of(d)) for d in instance.domains)
    return {path: source for path, source in found if source is not None}


def rendered(instance: OdooInstance, home: PurePosixPath | None = None) -> dict[PurePosixPath, str]:
    """Both forms of a site, as the inventory and the recovery host's odoo.conf want them."""
    shell, odoo = instance.recovery.host.shell(), instance.recovery.odoo
    workers = odoo_conf.workers(files.read(shell, odoo.config))
    # With no workers Odoo opens no second port: anybody else on this host could sit there, and
    # would be sent this customer's visitors.
    longpolling = odoo.longpolling_port if workers else odoo.http_port
    ipv6 = files.exists(shell, PurePosixPath("/proc/net/if_inet6"))
    forms: tuple[Form, ...] = ("standby", "serving")
    return {
        (home or folder(instance)) / f"{form}.conf": nginx.render(
            instance=instance.name, names=_names(instance, home), http_port=odoo.http_port,
            longpolling_port=longpolling, form=form, ipv6=ipv6,
        )
        for form in forms
    }  # fmt: skip


def _names(instance: OdooInstance, home: PurePosixPath | None) -> list[Names]:
    """The domains by the certificate that they are shown with."""
    found: dict[tuple[str, str] | None, list[str]] = {}
    for domain in instance.domains:
        path = chain(instance, domain, home)
        pair = (str(path), str(path.with_name("privkey.pem")))
        found.setdefault(pair if instance.certificate_of(domain) else None, []).append(domain)
    return [Names(tuple(domains), pair) for pair, domains in found.items()]


def write(instance: OdooInstance, home: PurePosixPath) -> None:
    """Write both forms."""
    shell = instance.recovery.host.shell()
    for path, text in rendered(instance, home).items():
        files.install(shell, path, text, mode="600")


def try_alone(instance: OdooInstance, trial: PurePosixPath) -> None:
    """Let nginx read the site alone, with its certificates, before any of it replaces the old."""
    shell, alone = instance.recovery.host.shell(), trial / "alone.conf"
    files.install(shell, alone, nginx.alone(trial / "serving.conf"), mode="600")
    done = shell.run(("nginx", "-t", "-c", str(alone)), check=False)
    if done.status != 0:
        raise Refused(
            f"nginx on {instance.recovery} cannot show {instance.name}: {done.tail}",
            hint="fix what it names there, or correct domains and certificate in the inventory, "
            "then run build-service again",
        )


def forget_former(instance: OdooInstance) -> None:
    """Remove the site of Relevo 0.1, which had the same names."""
    places = (NGINX / place / instance.name for place in ("sites-enabled", "sites-available"))
    files.remove(instance.recovery.host.shell(), *places)


def of_people(instance: OdooInstance) -> list[str]:
    """Name what people wrote in the folder of a site: directives of theirs, which nobody else has.

    As they are below that folder; nothing is changed.
    """
    shell, home = instance.recovery.host.shell(), folder(instance)
    if not files.exists(shell, home):
        return []
    argv = ("find", str(home), "-mindepth", "1", "!", "-type", "d", "-printf", r"%P\0")
    said = shell.run(argv).stdout.split("\0")
    return sorted(each for each in said if each and not _is_ours(each))


def _is_ours(name: str) -> bool:
    """
    >>> _is_ours("serving.conf"), _is_ours("certificates/a.com/privkey.pem")
    (True, True)
    >>> _is_ours("own/limits.conf"), _is_ours("own/serving.conf")
    (False, False)
    """
    return name in {*FORMS, *PAIR} or name.split("/", maxsplit=1)[0] in FOLDERS


def waiting(former: str, name: str) -> PurePosixPath:
    """Where the site of an instance that gets another name waits for it; nginx shows none there.

    >>> waiting("vps_1", "vps_2")
    PurePosixPath('/etc/nginx/relevo/vps_2.of-vps_1')
    """
    return SITES / f"{name}.of-{former}"


def leave(instance: OdooInstance, *, heir: str, delete_kept: bool) -> None:
    """Take the files of a site away, or let them wait for the name that it gets.

    The line by which nginx reads our sites goes with the last of them.
    """
    shell, home = instance.recovery.host.shell(), folder(instance)
    if heir and files.exists(shell, home):
        _set_aside(shell, home, waiting(instance.name, heir))
    elif delete_kept:
        files.remove_tree(shell, home)
    else:
        files.remove(shell, *(home / each for each in (*FORMS, *PAIR)))
        for each in FOLDERS:
            files.remove_tree(shell, home / each)
    traces.forget_empty(shell, (home / "own", home, SITES))
    if not heir and not _shown(shell):
        files.remove(shell, *ENTRIES)


def _set_aside(shell: Shell, home: PurePosixPath, target: PurePosixPath) -> None:
    if files.exists(shell, target):  # of a run that was cut off; what is here was made anew since
        files.remove_tree(shell, home)
        return
    files.remove(shell, *(home / each for each in FORMS))
    files.move(shell, home, target)


def _shown(shell: Shell) -> bool:
    """Tell whether any site of ours is still there."""
    if not files.exists(shell, SITES):
        return False
    argv = ("find", str(SITES), "-mindepth", "2", "-maxdepth", "2", "-name", FORMS[0])
    return bool(shell.run(argv).stdout)


def adopt(instance: OdooInstance, former: str) -> None:
    """Put the site that waits in its place: certificates, and what people wrote of it."""
    shell, home, there = (
        instance.recovery.host.shell(),
        folder(instance),
        waiting(former, instance.name),
    )
    if not files.exists(shell, there):
        return
    if files.exists(shell, home):
        log().warning("%s stays there: %s has a site of its own", there, instance.name)
        return
    files.move(shell, there, home)
    for each in of_people(instance):
        _rename_in(shell, home / each, former, instance.name)


def _rename_in(shell: Shell, path: PurePosixPath, former: str, name: str) -> None:
    """Let directives lead to the Odoo of the new name, as ours do."""
    if path.suffix == ".conf":
        text = files.read(shell, path)
        if (changed := nginx.renamed(text, former, name)) != text:
            files.install(shell, path, changed, mode="600")
