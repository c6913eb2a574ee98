"""The site of an instance on nginx of the recovery host: prepared ahead, shown at a failover."""

from pathlib import PurePosixPath

from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance
from blocks.shell import Shell
from tasks import files, http
from tasks.policy import log, step
from tasks.text import nginx_site, odoo_conf
from tasks.wait import until

NGINX_SECONDS = 20
SITES = PurePosixPath("/etc/nginx")
# A page, and where the live chat keeps its connections: an Odoo with workers has a port for those.
PATHS = ("/web/login", "/longpolling/poll", "/websocket")


@step("prepare the nginx site of {instance.name}")
def install(instance: OdooInstance) -> None:
    """Render the site and bring its certificate; it is enabled at a failover."""
    if not instance.domains:
        log().info("%s has no domains in the inventory: no nginx site", instance.name)
        return
    shell, path = instance.recovery.host.shell(), SITES / "sites-available" / instance.name
    _copy_certificate(instance, shell)
    files.install(shell, path, _text(instance, shell))
    _try(instance, path)


def _text(instance: OdooInstance, shell: Shell) -> str:
    """The site as the inventory says, with the certificate that is here."""
    chain = certificate(instance)
    return nginx_site.render(
        instance=instance.name,
        domains=instance.domains,
        http_port=instance.recovery.odoo.http_port,
        longpolling_port=_longpolling_port(instance, shell),
        certificate=(str(chain), str(_key(chain))) if instance.certificate else None,
        ipv6=files.exists(shell, PurePosixPath("/proc/net/if_inet6")),
    )


def require_current(instance: OdooInstance) -> None:
    """Refuse a site that was made for another inventory: other domains, or other ports."""
    if not instance.domains:
        return
    shell, path = instance.recovery.host.shell(), SITES / "sites-available" / instance.name
    if files.read(shell, path) != _text(instance, shell):
        raise Refused(
            f"{path} on {instance.recovery} is not what the inventory says",
            hint="run build-service, or put the inventory back as it was and apply it",
        )


def _longpolling_port(instance: OdooInstance, shell: Shell) -> int:
    """Where Odoo answers for the live chat: with no workers it opens no second port.

    Anybody else on this host could sit there, and would be sent this customer's visitors.
    """
    odoo = instance.recovery.odoo
    workers = odoo_conf.workers(files.read(shell, odoo.config))
    return odoo.longpolling_port if workers else odoo.http_port


def _try(instance: OdooInstance, path: PurePosixPath) -> None:
    """Let nginx read the site alone, so that it is not the night itself that finds a mistake."""
    shell, alone = instance.recovery.host.shell(), certificate(instance).with_name("alone.conf")
    files.install(shell, alone, nginx_site.alone(path), mode="600")
    done = shell.run(("nginx", "-t", "-c", str(alone)), check=False)
    if done.status != 0:
        raise Refused(
            f"nginx on {instance.recovery} cannot show {instance.name}: {done.tail}",
            hint="mend what it says there, or domains and certificate in the inventory, then run "
            "build-service again",
        )


def certificate(instance: OdooInstance) -> PurePosixPath:
    """Where the chain stands on the recovery host, with its key beside it."""
    return SITES / "relevo" / instance.name / "fullchain.pem"


def _key(chain: PurePosixPath) -> PurePosixPath:
    return chain.with_name("privkey.pem")


def _copy_certificate(instance: OdooInstance, shell: Shell) -> None:
    if instance.certificate is None:
        return
    origin, chain = instance.origin.host.shell(), certificate(instance)
    targets = chain, _key(chain)
    sources = instance.certificate.chain, instance.certificate.key
    for source, path in zip(sources, targets, strict=True):
        text = files.read(origin, source)
        if not text:
            raise Refused(
                f"there is no {source} on {instance.origin}",
                hint=f"correct certificate of {instance.name} in the inventory and apply it",
            )
        files.install(shell, path, text, mode="600")


@step("show {instance.name} on nginx of {instance.recovery}")
def enable(instance: OdooInstance) -> str:
    """Enable the site and prove that nginx brings a customer's request to Odoo.

    Give what is left to do: another site that nginx stumbles over must not keep DNS waiting.
    """
    if not instance.domains:
        return ""
    shell, name = instance.recovery.host.shell(), instance.name
    link, site = SITES / "sites-enabled" / name, SITES / "sites-available" / name
    # After the inventory of now, with ports that may have changed since it was built.
    files.install(shell, site, _text(instance, shell))
    shell.run(("ln", "-sfn", str(site), str(link)))
    try:
        _reload_nginx(shell)
        for domain in instance.domains:
            for path in PATHS:
                _wait_until_shown(instance, domain, path)
    except CommandFailed as error:
        log().error("%s", error)
        return error.message
    return ""


def _wait_until_shown(instance: OdooInstance, domain: str, path: str) -> None:
    """Wait for nginx, which opens its ports a moment after it was told to."""
    said: list[str] = []

    def shown() -> bool:
        try:
            status = _status(instance, domain, path)
        except CommandFailed as error:
            said.append(error.message)
            return False
        said.append(f"nginx on {instance.recovery} answers {status} for {domain}{path}")
        return status < 500  # noqa: PLR2004

    try:
        until(shown, what=f"nginx shows {domain}{path}", timeout_seconds=NGINX_SECONDS)
    except CommandFailed as error:
        raise CommandFailed(said[-1], hint=f"nginx -t on {instance.recovery}") from error


def _status(instance: OdooInstance, domain: str, path: str) -> int:
    if instance.certificate is None:
        return http.status(instance.recovery, 80, host=domain, path=path)
    chain = certificate(instance)
    return http.secure_status(instance.recovery, host=domain, chain=chain, path=path)


@step("take {instance.name} off nginx of {instance.recovery}")
def disable(instance: OdooInstance) -> str:
    """Disable the site, which stays prepared for the next failover; give what is left to do."""
    shell = instance.recovery.host.shell()
    link = SITES / "sites-enabled" / instance.name
    if not instance.domains and not files.exists(shell, link):
        return ""
    files.remove(shell, link)  # it may have gone without nginx having been told
    try:
        _reload_nginx(shell)
    except CommandFailed as error:
        log().error("%s", error)
        return error.message
    return ""


def _reload_nginx(shell: Shell) -> None:
    shell.run(("nginx", "-t"))
    shell.run(("systemctl", "reload-or-restart", "nginx"))
