"""Certificates of two places: the origin's, which a build brings, and one renewed here since.

While the recovery host serves, nobody renews at the origin: its certbot proves names that lead
elsewhere. What was renewed here then must outlive the failback, and its next builds.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

from blocks.errors import Refused
from blocks.instance import Certificate, OdooInstance
from tasks.host import files
from tasks.run.step import log
from tasks.serving import site_files
from tasks.serving.x509 import Chain, today

WARN_DAYS, LEAST_DAYS = 21, 3
BROUGHT = "brought.pem"  # the origin's chain as a build brought it last, beside the one in use


@dataclass(frozen=True)
class Pair:
    """A chain and its private key, as PEM."""

    chain: str
    key: str

    @property
    def parsed(self) -> Chain | None:
        """The chain, if it is one and its key is its own."""
        try:
            found = Chain.parse(self.chain)
        except ValueError:
            return None
        return found if found.fits(self.key) else None


@dataclass(frozen=True)
class Brought:
    """With what a certificate's domains are to be shown, and what the origin has for them."""

    shown: Pair
    origin: Pair


def fetch(instance: OdooInstance) -> list[Brought]:
    """Read the certificates of both places, and once: an origin may answer otherwise then.

    What was tried has to be what nginx gets, which shows no site of anybody's with a torn one.
    """
    found = []
    for live, source in site_files.chains(instance).items():
        theirs = Pair(_of_origin(instance, source.chain), _of_origin(instance, source.key))
        found.append(Brought(_chosen(instance, live, theirs), theirs))
    return found


def put(instance: OdooInstance, home: PurePosixPath, found: list[Brought]) -> None:
    """Put into a folder the certificates with which the site is to be shown."""
    shell = instance.recovery.host.shell()
    for target, each in zip(site_files.chains(instance, home), found, strict=True):
        texts = {
            target: each.shown.chain,
            target.with_name("privkey.pem"): each.shown.key,
            target.with_name(BROUGHT): each.origin.chain,
        }
        for path, text in texts.items():
            files.install(shell, path, text, mode="600")


def _of_origin(instance: OdooInstance, source: PurePosixPath) -> str:
    text = files.read(instance.origin.host.shell(), source)
    if not text:
        raise Refused(
            f"there is no {source} on {instance.origin}",
            hint=f"correct certificate of {instance.name} in the inventory and apply it",
        )
    return text


def _chosen(instance: OdooInstance, live: PurePosixPath, theirs: Pair) -> Pair:
    """The origin's pair, unless the one here was issued later and was not brought from there."""
    shell = instance.recovery.host.shell()
    chain = files.read(shell, live)
    if not chain or chain in {theirs.chain, files.read(shell, live.with_name(BROUGHT))}:
        return theirs
    ours = Pair(chain, files.read(shell, live.with_name("privkey.pem")))
    here, there = ours.parsed, theirs.parsed
    if here is None or there is None or here.issued <= there.issued:
        return theirs
    if not all(here.is_for(each) for each in _domains(instance, live)):
        return theirs
    log().warning("%s", _kept(instance, live, there))
    return ours


def _domains(instance: OdooInstance, live: PurePosixPath) -> list[str]:
    return [each for each in instance.domains if site_files.chain(instance, each) == live]


def _kept(instance: OdooInstance, live: PurePosixPath, there: Chain) -> str:
    days, domain = there.days_left(today()), _domains(instance, live)[0]
    return (
        f"the certificate for {domain} was renewed on {instance.recovery}, and the one on "
        f"{instance.origin} has {days} days left: renew it on {instance.origin}, or copy "
        f"{live} and its privkey.pem there"
    )


def remarks(instance: OdooInstance) -> list[str]:
    """Name the certificates that are newer here than at the origin, as the last build found them.

    Customers see the origin's: it serves again, and shows the one of before.
    """
    shell, said = instance.recovery.host.shell(), []
    for live in site_files.chains(instance):
        brought = files.read(shell, live.with_name(BROUGHT))
        if brought and brought != files.read(shell, live) and (there := _parsed(brought)):
            said.append(_kept(instance, live, there))
    return said


def _parsed(text: str) -> Chain | None:
    try:
        return Chain.parse(text)
    except ValueError:
        return None


def _days_left_at_origin(instance: OdooInstance, live: PurePosixPath, source: Certificate) -> int:
    text = files.read(instance.origin.host.shell(), source.chain)
    if (chain := _parsed(text)) is None:
        raise Refused(
            f"there is no certificate in {source.chain} on {instance.origin}",
            hint=_copy(instance, live, source),
        )
    return chain.days_left(today())


def at_origin(instance: OdooInstance) -> list[str]:
    """Judge what the origin will show once customers are home: it may have ended meanwhile."""
    found: dict[PurePosixPath, tuple[int, Certificate]] = {}
    for live, source in site_files.chains(instance).items():
        found[live] = (_days_left_at_origin(instance, live, source), source)
    if not found:
        return ["none in the inventory: customers come by plain HTTP"]
    live, (days, source) = min(found.items(), key=lambda item: item[1][0])
    left = f"the certificate {source.chain} on {instance.origin} has {days} days left"
    if days < LEAST_DAYS:
        raise Refused(left, hint=_copy(instance, live, source))
    return [left, *([f"{left}: {_copy(instance, live, source)}"] if days < WARN_DAYS else [])]


def _copy(instance: OdooInstance, live: PurePosixPath, source: Certificate) -> str:
    return (
        f"before the failback, copy {live} and privkey.pem beside it from {instance.recovery} to "
        f"{source.chain} and {source.key} on {instance.origin}, once they are renewed, or renew it "
        f"on {instance.origin} (docs/server.md)"
    )
