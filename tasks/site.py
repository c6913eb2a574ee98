"""The site of an instance on nginx of the recovery host: prepared ahead, shown at a failover."""

from pathlib import PurePosixPath

from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance
from blocks.shell import Shell
from tasks import files, http
from tasks.policy import log, step
from tasks.text import nginx_site
from tasks.wait import until

NGINX_SECONDS = 20
SITES = PurePosixPath("/etc/nginx")


@step("prepare the nginx site of {instance.name}")
def install(instance: OdooInstance) -> None:
    """Render the site and bring its certificate; it is enabled at a failover."""
    if not instance.domains:
        log().info("%s has no domains in the inventory: no nginx site", instance.name)
        return
    shell = instance.recovery.host.shell()
    text = nginx_site.render(
        instance=instance.name,
        domains=instance.domains,
        http_port=instance.recovery.odoo.http_port,
        longpolling_port=instance.recovery.odoo.longpolling_port,
        certificate=_copy_certificate(instance, shell),
    )
    files.install(shell, SITES / "sites-available" / instance.name, text)


def _copy_certificate(instance: OdooInstance, shell: Shell) -> tuple[str, str] | None:
    if instance.certificate is None:
        return None
    origin = instance.origin.host.shell()
    paths = []
    for source, name in (
        (instance.certificate.chain, "fullchain.pem"),
        (instance.certificate.key, "privkey.pem"),
    ):
        text = files.read(origin, source)
        if not text:
            raise Refused(
                f"there is no {source} on {instance.origin}",
                hint=f"correct certificate of {instance.name} in the inventory and apply it",
            )
        path = SITES / "relevo" / instance.name / name
        files.install(shell, path, text, mode="600")
        paths.append(str(path))
    return paths[0], paths[1]


@step("show {instance.name} on nginx of {instance.recovery}")
def enable(instance: OdooInstance) -> None:
    """Enable the site and prove that nginx brings a customer's request to Odoo."""
    if not instance.domains:
        return
    shell, name = instance.recovery.host.shell(), instance.name
    link, site = SITES / "sites-enabled" / name, SITES / "sites-available" / name
    shell.run(("ln", "-sfn", str(site), str(link)))
    _reload_nginx(shell)
    port = 443 if instance.certificate else 80
    if port == 443:  # noqa: PLR2004  # redirects are all that plain HTTP shows then
        return
    for domain in instance.domains:
        _wait_until_shown(instance, port, domain)


def _wait_until_shown(instance: OdooInstance, port: int, domain: str) -> None:
    """Wait for nginx, which opens its ports a moment after it was told to."""
    said: list[str] = []

    def shown() -> bool:
        try:
            status = http.status(instance.recovery, port, host=domain)
        except CommandFailed as error:
            said.append(error.message)
            return False
        said.append(f"nginx on {instance.recovery} answers {status} for {domain}")
        return status < 500  # noqa: PLR2004

    try:
        until(shown, what=f"nginx shows {domain}", timeout_seconds=NGINX_SECONDS)
    except CommandFailed as error:
        raise CommandFailed(said[-1], hint=f"nginx -t on {instance.recovery}") from error


@step("take {instance.name} off nginx of {instance.recovery}")
def disable(instance: OdooInstance) -> None:
    """Disable the site; it stays prepared for the next failover."""
    shell = instance.recovery.host.shell()
    link = SITES / "sites-enabled" / instance.name
    if files.exists(shell, link):
        files.remove(shell, link)
        _reload_nginx(shell)


def _reload_nginx(shell: Shell) -> None:
    shell.run(("nginx", "-t"))
    shell.run(("systemctl", "reload-or-restart", "nginx"))
