"""Names are moved with all their addresses, and never lead nowhere in between."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal, Self

import dns.message
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from pydantic import SecretStr

from blocks.cluster import Cluster
from blocks.errors import CommandFailed, Refused
from blocks.host import Host
from blocks.instance import Dns, OdooInstance, Place, Replication
from blocks.odoo import Odoo
from tasks.records import records, schema
from tasks.run import terminal
from tasks.run.outcome import Outcome
from tasks.serving import dns as names
from tasks.serving import provider, resolver
from tests.fakes import FakeHost, FakeShell

SHOP = "shop.example.com"
KNOWN = Dns(provider="cloudflare", zone="example.com")
Record = tuple[str, str, str]


@dataclass
class Provider:
    """A provider that keeps records in order, and breaks at the verb that a test names."""

    records: list[Record] = field(default_factory=list)
    breaks_at: str = ""
    forbids: str = ""
    did: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def _do(self, verb: str, rtype: str) -> None:
        if self.breaks_at == verb or self.forbids == rtype:
            raise RuntimeError("403: token s3cret")
        self.did.append(f"{verb} {rtype}")

    def create_record(self, *, rtype: str, name: str, content: str) -> None:
        self._do("create", rtype)
        if (rtype, name, content) not in self.records:
            self.records.append((rtype, name, content))

    def delete_record(self, *, rtype: str, name: str, content: str) -> None:
        self._do("delete", rtype)
        self.records.remove((rtype, name, content))

    def list_records(self, *, rtype: str, name: str) -> list[dict[str, str]]:
        return [{"content": c} for r, n, c in self.records if (r, n) == (rtype, name)]


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Provider:
    made = Provider([("A", SHOP, "192.0.2.1"), ("AAAA", SHOP, "2001:DB8:0::1")])
    monkeypatch.setattr(provider, "_client", lambda _: made)
    monkeypatch.setattr(provider, "SETTLE_SECONDS", 0)
    return made


@pytest.fixture
def plain(there: Provider) -> Provider:
    there.records = [("A", SHOP, "192.0.2.1"), ("AAAA", SHOP, "2001:db8::1")]
    return there


def test_a_taker_without_ipv6_takes_the_name_whole_and_says_what_is_gone(plain: Provider) -> None:
    gone = provider.change(KNOWN, SHOP, {"A": "192.0.2.2"})

    assert plain.records == [("A", SHOP, "192.0.2.2")]
    assert gone == ["A 192.0.2.1", "AAAA 2001:db8::1"]
    assert plain.did == ["create A", "delete A", "delete AAAA"], "made before it is removed"


def test_a_taker_with_both_gets_both_and_a_second_time_nothing_is_done(plain: Provider) -> None:
    wanted = {"A": "192.0.2.2", "AAAA": "2001:db8::2"}
    provider.change(KNOWN, SHOP, wanted)
    assert sorted(plain.records) == [("A", SHOP, "192.0.2.2"), ("AAAA", SHOP, "2001:db8::2")]

    plain.did.clear()
    assert provider.change(KNOWN, SHOP, wanted) == []
    assert plain.did == []


WWW = "www.example.com"


def test_an_alias_of_a_name_that_moves_with_it_follows_by_itself(plain: Provider) -> None:
    """Beside a CNAME no address may stand: a provider refuses it, and BIND ignores it."""
    plain.records.append(("CNAME", WWW, f"{SHOP}."))
    before = [*plain.records]
    assert provider.rehearse(KNOWN, WWW, {"A": "192.0.2.1"}, beside=(SHOP, WWW)) == ""
    assert provider.change(KNOWN, WWW, {"A": "192.0.2.2"}, beside=(SHOP, WWW)) == []
    assert (plain.records, plain.did) == (before, [])


def test_an_alias_of_a_name_that_nobody_moves_is_refused_by_day(plain: Provider) -> None:
    plain.records.append(("CNAME", WWW, "vps1.hoster.net."))
    said = "www.example.com is an alias .CNAME. of vps1.hoster.net, which is none of the"
    with pytest.raises(CommandFailed, match=said):
        provider.rehearse(KNOWN, WWW, {"A": "192.0.2.1"}, beside=(WWW,))
    with pytest.raises(CommandFailed, match=said):
        provider.change(KNOWN, WWW, {"A": "192.0.2.2"}, beside=(WWW,))
    assert plain.did == []


@pytest.mark.parametrize("verb", ["create", "delete"])
def test_a_provider_that_breaks_half_way_leaves_a_name_that_leads_somewhere(
    plain: Provider, verb: str
) -> None:
    plain.breaks_at = verb
    with pytest.raises(CommandFailed, match="did not change the records of shop") as said:
        provider.change(KNOWN, SHOP, {"A": "192.0.2.2"})
    assert "s3cret" not in str(said.value)
    assert ("A", SHOP, "192.0.2.1") in plain.records


@pytest.mark.parametrize("code", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTAUTH])
def test_a_server_that_says_no_has_not_said_that_there_is_nothing(
    monkeypatch: pytest.MonkeyPatch, code: dns.rcode.Rcode
) -> None:
    """What a name had would be noted as nothing, and not be there to go back to."""

    def tcp(query: dns.message.Message, where: str, timeout: float) -> dns.message.Message:
        assert (where, timeout) == ("192.0.2.53", provider.ANSWER_SECONDS)
        answer = dns.message.make_response(query)
        answer.set_rcode(code)
        return answer

    monkeypatch.setattr(dns.query, "tcp", tcp)
    options = {"ddns_server": SecretStr("192.0.2.53"), "auth_token": SecretStr("hmac-md5:k:eA==")}
    known = Dns(provider="ddns", zone="example.com", options=options)

    with pytest.raises(CommandFailed, match=r"192\.0\.2\.53 answers [A-Z]+ for shop"):
        provider.addresses(known, SHOP)


def test_an_address_is_the_same_however_a_provider_writes_it(there: Provider) -> None:
    provider.change(KNOWN, SHOP, {"A": "192.0.2.1", "AAAA": "2001:db8::1"})

    assert there.did == []


def test_a_provider_is_tried_by_a_record_that_nobody_reads(plain: Provider) -> None:
    before = list(plain.records)
    assert provider.rehearse(KNOWN, SHOP, {"A": "192.0.2.1"}) == ""
    assert plain.did == ["create TXT", "delete TXT"]
    assert plain.records == before

    plain.forbids = "TXT"
    assert "does not let Relevo write _relevo.shop" in provider.rehearse(
        KNOWN, SHOP, {"A": "192.0.2.1"}
    )
    assert plain.records == before

    plain.breaks_at = "create"
    with pytest.raises(CommandFailed, match="does not let Relevo change the records of shop"):
        provider.rehearse(KNOWN, SHOP, {"A": "192.0.2.1"})


def test_a_provider_that_shows_a_trial_too_late_is_left_without_it(
    plain: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = list(plain.records)
    monkeypatch.setattr(plain, "list_records", lambda **_: [])
    assert "does not let Relevo write _relevo.shop" in provider.rehearse(
        KNOWN, SHOP, {"A": "192.0.2.1"}
    )
    assert plain.records == before


@contextmanager
def answering(*records: str) -> Iterator[list[str]]:
    """Name servers' answers, as dnspython would have had them."""
    with pytest.MonkeyPatch.context() as patch:
        asked: list[str] = []

        def udp(
            query: dns.message.QueryMessage, server: str, timeout: float
        ) -> tuple[dns.message.Message, bool]:
            asked.append(server)
            if server == "192.0.2.99":
                raise OSError("timed out")
            said = dns.message.make_response(query)
            kind = dns.rdatatype.to_text(query.question[0].rdtype)
            for line in records:
                if line.split()[0] == kind:
                    said.answer.append(dns.rrset.from_text(f"{SHOP}.", 60, "IN", *line.split()))
            return said, False

        patch.setattr(dns.query, "udp_with_fallback", udp)
        yield asked


def _known(*servers: str) -> Dns:
    return KNOWN.model_copy(update={"servers": servers})


def test_what_customers_get_is_asked_of_every_name_server_and_for_both_families() -> None:
    two = _known("192.0.2.53", "192.0.2.54")
    with answering("A 192.0.2.2", "AAAA 2001:db8::1") as asked:
        said = resolver.astray(two, SHOP, {"A": "192.0.2.2"})
    assert said == f"192.0.2.53 says that {SHOP} is A 192.0.2.2 and AAAA 2001:db8::1"
    with answering("A 192.0.2.2") as asked:
        assert resolver.astray(two, SHOP, {"A": "192.0.2.2"}) == ""
    assert set(asked) == {"192.0.2.53", "192.0.2.54"}


def test_one_name_server_that_is_silent_is_no_matter_and_all_of_them_are() -> None:
    with answering("A 192.0.2.2"):
        assert resolver.astray(_known("192.0.2.99", "192.0.2.53"), SHOP, {"A": "192.0.2.2"}) == ""
        with pytest.raises(CommandFailed, match="no name server answers for shop"):
            resolver.astray(_known("192.0.2.99"), SHOP, {"A": "192.0.2.2"})


def test_threads_of_a_provider_that_never_answers_end_with_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    never = threading.Event()
    monkeypatch.setattr(provider, "PROVIDER_SECONDS", 0.1)
    monkeypatch.setattr(provider, "_client", lambda _: never.wait())
    with pytest.raises(CommandFailed, match=r"did not change the records of shop.*TimeoutError"):
        provider.change(KNOWN, SHOP, {"A": "192.0.2.2"})
    never.set()


def test_an_address_that_the_inventory_lacks_is_given_back_by_the_way_home(
    plain: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The records of the recovery host are kept in this process."""
    kept: dict[type[schema.Record], schema.Record] = {}
    monkeypatch.setattr(records, "read", lambda _, __, kind: kept.get(kind))
    monkeypatch.setattr(records, "write", lambda _, __, noted: kept.update({type(noted): noted}))
    monkeypatch.setattr(records, "forget", lambda _, __, kind: kept.pop(kind, None))
    monkeypatch.setattr(resolver, "astray", lambda *_: "")
    before = sorted(plain.records)
    block = _instance()

    with terminal.without_server():
        assert names.point(block, block.recovery) == Outcome(
            done=True, sentence=f"{SHOP}: 192.0.2.2; removed: AAAA 2001:db8::1 of {SHOP}"
        )
        again = names.point(block, block.recovery)
        assert again == Outcome(done=True, sentence=f"{SHOP}: 192.0.2.2"), "pressed twice"
        home = names.point(block, block.origin)
        assert home == Outcome(done=True, sentence=f"{SHOP}: 192.0.2.1")
    assert (sorted(plain.records), kept) == (before, {})


def test_names_that_a_provider_does_not_change_are_left_to_do(
    plain: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "read", lambda *_: None)
    plain.breaks_at = "delete"
    block = _instance()

    with terminal.without_server():
        pointed = names.point(block, block.origin)

    assert not pointed.done
    assert pointed.sentence.startswith("not done: cloudflare did not change the records of shop")
    assert pointed.sentence.endswith(f"By hand: point {SHOP} at 192.0.2.1")


@pytest.mark.parametrize("end", ["origin", "recovery"])
def test_a_server_that_is_reached_by_a_name_which_moves_is_named_by_day(end: str) -> None:
    """After a failover the way home would lead to the other server."""
    block = _instance()
    place: Place = getattr(block, end)
    moving = place.model_copy(
        update={"host": place.host.model_copy(update={"address": "Shop.example.com"})}
    )
    block = block.model_copy(update={end: moving, "dns": None})
    with pytest.raises(Refused, match=f"is reached as {SHOP}, a domain that a failover") as said:
        names.judge(block, block.origin)
    assert said.value.hint.startswith("write the IP address of ")


def test_an_alias_is_refused_with_its_own_remedy(
    plain: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain.records.append(("CNAME", WWW, "vps1.hoster.net."))
    monkeypatch.setattr(resolver, "astray", lambda *_: "")
    monkeypatch.setattr(records, "read", lambda *_: None)
    block = _instance().model_copy(update={"domains": (WWW,)})
    with pytest.raises(Refused, match="is an alias") as said:
        names.judge(block, block.origin)
    assert said.value.hint.startswith(f"give {WWW} an address of its own (an A record)")


def test_a_name_that_cannot_be_pointed_stops_no_other(
    plain: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of three is an alias of a stranger's name; the last cannot be proven."""
    monkeypatch.setattr(records, "read", lambda *_: None)
    far = "far.example.com"
    plain.records += [("CNAME", WWW, "vps1.hoster.net."), ("A", far, "192.0.2.9")]
    monkeypatch.setattr(names, "PROVE_SECONDS", 0)
    monkeypatch.setattr(resolver, "astray", lambda _, name, __: "ns says no" if name == far else "")
    block = _instance().model_copy(update={"domains": (WWW, SHOP, far)})

    with terminal.without_server():
        pointed = names.point(block, block.origin)

    assert not pointed.done
    assert f"By hand: point {WWW}, {far} at 192.0.2.1. Done: {SHOP}" in pointed.sentence
    assert "is an alias (CNAME) of vps1.hoster.net" in pointed.sentence
    assert "ns says no" in pointed.sentence
    assert ("A", SHOP, "192.0.2.1") in plain.records


def test_a_spoiled_note_of_names_does_not_keep_them_from_being_pointed(
    plain: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = {
        name: FakeHost(name, {"read *": "{", "install *": "installed"})
        for name in ("origin", "recovery")
    }
    monkeypatch.setattr(Host, "shell", lambda self: FakeShell(hosts[self.name]))
    monkeypatch.setattr(names, "_prove", lambda *_, **__: None)
    block = _instance()

    with terminal.without_server():
        home = names.point(block, block.origin)
    assert home.done, home.sentence
    assert hosts["recovery"].changes == [], "what could not be read stays for somebody to read"

    with terminal.without_server():
        pointed = names.point(block, block.recovery)

    assert pointed.done, pointed.sentence
    assert plain.records == [("A", SHOP, "192.0.2.2")]


@pytest.mark.parametrize(
    ("differs", "said"),
    [
        ({"domains": ()}, "no domains in the inventory: nothing to point"),
        (
            {"dns": None},
            f"by hand: point {SHOP} at 192.0.2.1 (no DNS provider in the inventory)",
        ),
    ],
)
def test_what_the_inventory_leaves_to_a_person_is_not_left_to_the_run(
    differs: dict[str, Any], said: str
) -> None:
    block = _instance().model_copy(update=differs)

    with terminal.without_server():
        assert names.point(block, block.origin) == Outcome(done=True, sentence=said)


def _instance() -> OdooInstance:
    kinds: tuple[Literal["origin", "recovery"], ...] = ("origin", "recovery")
    origin, recovery = (
        Place(
            kind=kind, host=Host(name=kind, address=address, peer_address=address),
            cluster=Cluster(version=13), odoo=Odoo(),
        )
        for kind, address in zip(kinds, ("192.0.2.1", "192.0.2.2"), strict=True)
    )  # fmt: skip
    secret = SecretStr("x")
    return OdooInstance(
        name="vps_1", origin=origin, recovery=recovery, directory=PurePosixPath("/srv/vps_1"),
        domains=(SHOP,), dns=KNOWN,
        replication=Replication(password=secret, rewind_password=secret), signing_key=secret,
    )  # fmt: skip
