"""The files of a site for nginx: both its forms and its certificates, written and tried."""

from pathlib import PurePosixPath

from blocks.errors import Refused
from blocks.instance import Certificate, OdooInstance
from tasks.host import files
from tasks.odoo import odoo_conf
from tasks.serving import nginx
from tasks.serving.nginx import Form, Names

NGINX = PurePosixPath("/etc/nginx")
SITES = NGINX / "relevo"


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
