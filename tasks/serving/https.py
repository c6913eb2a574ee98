"""The certificates that nginx of the recovery host shows, judged as a browser does."""

import warnings
from functools import cache
from pathlib import PurePosixPath

import certifi
from cryptography import x509

from blocks.answers import understood
from blocks.errors import Refused
from blocks.instance import OdooInstance
from tasks.host import files
from tasks.odoo import http
from tasks.serving import nginx, renewal, site, site_files
from tasks.serving.nginx import Form
from tasks.serving.renewal import LEAST_DAYS, WARN_DAYS
from tasks.serving.x509 import Chain, today

RENEW = {
    "standby": "renew it on the origin, then run build-service, which brings it",
    "serving": "run failback first, or renew it on the recovery host (docs/server.md)",
}


def days_left(instance: OdooInstance) -> int | None:
    """Days until the first certificate on the recovery host ends; none where there is none."""
    found = [_read(instance, path) for path in site_files.chains(instance)]
    return min((each.days_left(today()) for each in found if each), default=None)


def _read(instance: OdooInstance, path: PurePosixPath) -> Chain | None:
    text = files.read(instance.recovery.host.shell(), path)
    with understood(f"the certificate {path} on {instance.recovery}"):
        return Chain.parse(text) if text else None


def judge(instance: OdooInstance, form: Form) -> list[str]:
    """Require of each domain a certificate that names it, and is good for some days yet.

    The first sentence is the fact; the others are what wants mending in time.
    """
    domains = [each for each in instance.domains if instance.certificate_of(each)]
    if not domains:
        return ["none in the inventory: customers use plain HTTP"]
    known = {domain: _chain(instance, domain) for domain in domains}
    wrong = [
        f"the certificate for {domain} is for {', '.join(chain.names) or 'no name'}"
        for domain, chain in known.items() if not chain.is_for(domain)
    ]  # fmt: skip
    if wrong:
        raise Refused(
            "; ".join(wrong),
            hint=f"give these domains one of their own (certificates of {instance.name} in the "
            "inventory) or one that names them all, apply it and run build-service",
        )
    days = {domain: chain.days_left(today()) for domain, chain in known.items()}
    first = min(days, key=lambda domain: days[domain])
    left = f"the certificate for {first} has {days[first]} days left"
    if days[first] < LEAST_DAYS:
        raise Refused(f"{left}: {RENEW[form]}")
    _require_shown(instance, form, known)
    remarks = [f"{left}: {RENEW[form]}"] if days[first] < WARN_DAYS else []
    if form == "standby":
        remarks += renewal.remarks(instance)
    return [left, *remarks, *_unknown(instance, known)]


def _chain(instance: OdooInstance, domain: str) -> Chain:
    path = site_files.chain(instance, domain)
    if (found := _read(instance, path)) is None:
        raise Refused(f"there is no {path} on {instance.recovery}", hint="run build-service")
    return found


def _require_shown(instance: OdooInstance, form: Form, known: dict[str, Chain]) -> None:
    """Require that nginx shows what lies there: it reads a new one at a reload only."""
    urls, path = site.urls(instance), nginx.path(instance.name)
    pages = http.pages(instance.recovery, [urls[each] for each in known], path=path)
    for domain, chain in known.items():
        if not chain.is_shown(pages[urls[domain]].leaf):
            raise Refused(
                f"nginx on {instance.recovery} shows {domain} with another certificate than "
                f"{site_files.chain(instance, domain)}",
                hint="run systemctl reload nginx there"
                if form == "serving"
                else "run build-service",
            )


@cache
def roots() -> list[x509.Certificate]:
    """The authorities that browsers know, but for those that break the standard's own form."""
    with open(certifi.where(), "rb") as bundle:  # noqa: PTH123  # our own package's file
        texts = bundle.read(1 << 22).partition(b"-----BEGIN")[2].split(b"-----BEGIN")
    found = []
    for text in texts:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an old root's serial number is not positive
            try:
                found.append(x509.load_pem_x509_certificate(b"-----BEGIN" + text))
            except ValueError:  # which newer releases of cryptography refuse
                continue
    return found


def _unknown(instance: OdooInstance, known: dict[str, Chain]) -> list[str]:
    """Name the certificates that no browser knows, unless the origin shows the very same."""
    odd = [d for d, chain in known.items() if not chain.is_trusted(d, roots(), today())]
    if not odd:
        return []
    urls = site.urls(instance)
    pages = http.pages(instance.origin, [urls[each] for each in odd])
    return [
        f"the certificate for {domain} is signed by no authority that browsers know, and "
        f"{instance.origin} itself does not show it"
        for domain in odd if not known[domain].is_shown(pages[urls[domain]].leaf)
    ]  # fmt: skip
