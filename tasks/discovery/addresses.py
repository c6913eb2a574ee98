"""The addresses of a server, as `ip -j` tells them."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from blocks import answers


@dataclass(frozen=True)
class Addresses:
    """Those on its interfaces, and the one with which it would call the recovery host."""

    own: tuple[str, ...]
    to_peer: str = ""

    def has(self, address: str) -> bool:
        """Tell whether an address is on one of the interfaces.

        >>> Addresses(("10.0.0.1", "2001:db8::1")).has("2001:DB8:0::1"), Addresses(()).has("a.b")
        (True, False)
        """
        return _plain(address) in self.own

    def among(self, named: Sequence[str]) -> str:
        """Choose the address of those by which it is called that is on one of the interfaces.

        >>> Addresses(("127.0.0.1", "10.0.0.1")).among(["127.0.0.1", "192.0.2.1", "10.0.0.1"])
        '10.0.0.1'
        """
        ours = (each for each in named if self.has(each) and not ip_address(each).is_loopback)
        return next(ours, "")


def read(addresses: str, route: str) -> Addresses:
    r"""Read `ip -j addr` and `ip -j route get`.

    >>> read('[{"addr_info": [{"local": "10.0.0.1", "scope": "global"}]}, {}]',
    ...     '[{"dst": "10.0.0.9", "prefsrc": "10.0.0.1"}]')
    Addresses(own=('10.0.0.1',), to_peer='10.0.0.1')
    """
    found = [
        _plain(str(each["local"]))
        for link in answers.rows(addresses, "what ip -j addr says")
        for each in link.get("addr_info", ())
        if each.get("local")
    ]
    ways = answers.rows(route, "what ip -j route says") if route.strip() else []
    return Addresses(tuple(found), str(ways[0].get("prefsrc", "")) if ways else "")


def _plain(address: str) -> str:
    try:
        return str(ip_address(address))
    except ValueError:
        return address


def is_ip(word: str) -> bool:
    """
    >>> is_ip("10.0.0.1"), is_ip("vps1.example.com")
    (True, False)
    """
    try:
        ip_address(word)
    except ValueError:
        return False
    return True


def public(shown: Sequence[str], mine: Addresses) -> tuple[str, str]:
    """Choose the address at which customers arrive, from where their names lead; add a remark.

    >>> mine = Addresses(("10.0.0.1", "192.0.2.1"))
    >>> public(["192.0.2.1"], mine), public([], mine)
    (('192.0.2.1', ''), ('', ''))
    >>> public(["198.51.100.7"], mine)[1]  # doctest: +ELLIPSIS
    '198.51.100.7, where the domains lead, is on no interface of the server: see that it is ...'
    """
    ours = [address for address in shown if mine.has(address)]
    if ours or not shown:
        return (ours[0] if ours else ""), ""
    return shown[0], (
        f"{shown[0]}, where the domains lead, is on no interface of the server: see that it is the "
        "outer address of its NAT, and not a proxy or a CDN (host.public_address)"
    )
