"""The site on nginx: what a build tries, what a night leaves to be done, what neither breaks."""

import json
from pathlib import PurePosixPath

import pytest

from blocks.errors import RelevoError
from blocks.instance import Certificate, OdooInstance
from tasks.run import terminal
from tasks.run.outcome import Outcome
from tasks.serving import site
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, standby

FOLDER = "/etc/nginx/relevo/vps_1"
SHOWN, RELOAD = f"{FOLDER}/shown.conf", "systemctl reload-or-restart nginx"
READ = "".join(f"# configuration file {path}:\n" for path in ("/etc/nginx/nginx.conf", SHOWN))


def _page(said: str, status: int = 200) -> str:
    return json.dumps({"http://shop.example.com:80": {"status": status, "said": said, "leaf": ""}})


def recovery(**more: Answer) -> FakeHost:
    answers: dict[str, Answer] = {
        "read /srv/vps_1/odoo.conf": "[options]\n", "install *": "installed", "rm *": 0,
        f"read {SHOWN}": "", "nginx -t *": 0, RELOAD: 0,
        "*/.well-known/relevo/vps_1*": _page("vps_1 standby"),
    }  # fmt: skip
    return FakeHost(
        "due", {**more, **{k: v for k, v in answers.items() if k not in more}, **standby()}
    )


def test_a_build_shows_the_site_standing_by_and_asks_for_it(
    instance: OdooInstance, hosts: Hosts
) -> None:
    due = recovery(**{"reads-of-nginx": READ})
    hosts(FakeHost("uno"), due)

    with terminal.without_server():
        site.install(instance)

    assert RELOAD in due.ran
    assert due.ran.index(f"rm -rf --one-file-system {FOLDER}/trial") < due.ran.index(RELOAD)


def test_an_origin_that_answers_otherwise_the_second_time_brings_what_was_tried(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """A key that does not fit keeps nginx from reading any customer's site, from a boot on."""
    chain, key = PurePosixPath("/tls/fullchain.pem"), PurePosixPath("/tls/privkey.pem")
    shown = json.loads(_page("vps_1 standby"))
    page = json.dumps({"https://shop.example.com:443": next(iter(shown.values()))})
    due = recovery(**{
        "reads-of-nginx": READ, "*/.well-known/relevo/vps_1*": page, f"read {FOLDER}/*.pem": "",
    })  # fmt: skip
    hosts(FakeHost("uno", {f"read {chain}": "a chain", f"read {key}": ["tried", "torn"]}), due)
    certificate = Certificate(chain=chain, key=key)

    with terminal.without_server():
        site.install(instance.model_copy(update={"certificate": certificate}))

    assert due.wrote.count("tried") == 2  # where it is tried, and where nginx has it
    assert "torn" not in due.wrote


@pytest.mark.parametrize("entries", ["there", "gone"])
def test_an_nginx_that_reads_none_of_our_folders_is_left_as_it_was(
    instance: OdooInstance, hosts: Hosts, entries: str
) -> None:
    reads: dict[str, Answer] = {"reads-of-nginx": "# configuration file /etc/nginx/nginx.conf:\n"}
    folders: dict[str, Answer] = {
        "test -e /etc/nginx/conf.d/relevo.conf": 1,
        "test -e /etc/nginx/sites-enabled/relevo.conf": 1,
        "test -e /etc/nginx/*": 0 if entries == "there" else 1,
    }
    due = recovery(**reads, **folders)
    hosts(FakeHost("uno"), due)

    with terminal.without_server(), pytest.raises(RelevoError, match="no folder of sites") as said:
        site.install(instance)

    assert "include /etc/nginx/relevo/*/shown.conf; to the block http" in said.value.hint
    written = [asked.split()[1] for asked in due.ran if asked.startswith("install ")]
    removed = {asked.split()[-1] for asked in due.ran if asked.startswith("rm -f ")}
    assert {each for each in written if each.endswith("relevo.conf")} <= removed
    assert SHOWN in removed, "no reload of somebody else's brings in half a site"
    assert RELOAD not in due.ran


def test_a_build_that_nginx_refuses_for_another_site_takes_its_own_line_back(
    instance: OdooInstance, hosts: Hosts
) -> None:
    due = recovery(**{"reads-of-nginx": 1})
    hosts(FakeHost("uno"), due)

    with terminal.without_server(), pytest.raises(RelevoError, match="does not accept its config"):
        site.install(instance)

    assert f"rm -f {SHOWN}" in due.ran
    assert RELOAD not in due.ran


def test_a_night_leaves_its_line_where_another_site_keeps_nginx_from_reading_it(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """Whoever mends that other site and reloads, has customers served."""
    due = recovery(**{"reads-of-nginx": 1})
    hosts(FakeHost("uno"), due)

    with terminal.without_server():
        shown = site.enable(instance)

    assert not shown.done
    assert shown.sentence.startswith("nginx on due does not accept its configuration")
    assert f"rm -f {SHOWN}" not in due.ran


def test_another_site_with_the_same_name_is_not_taken_for_ours(
    instance: OdooInstance, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "NGINX_SECONDS", 0)
    due = recovery(**{"reads-of-nginx": READ, "*/.well-known/relevo/vps_1*": _page("Welcome!")})
    hosts(FakeHost("uno"), due)

    with terminal.without_server():
        shown = site.disable(instance)

    assert shown == Outcome(
        done=False,
        sentence="nginx on due answers for shop.example.com with 200 'Welcome!', not 'vps_1 "
        "standby'",
    )


def test_a_site_whose_domains_have_gone_from_the_inventory_goes_from_nginx(
    instance: OdooInstance, hosts: Hosts
) -> None:
    gone = instance.model_copy(update={"domains": ()})
    answers: dict[str, Answer] = {"reads-of-nginx": READ, f"test -e {SHOWN}": [0, 1]}
    due = recovery(**answers)
    hosts(FakeHost("uno"), due)

    with terminal.without_server():
        assert site.disable(gone).done
        assert site.disable(gone).done

    assert due.ran.count(RELOAD) == 1, "once, and not where there never was a site"


def test_a_site_that_nginx_cannot_be_told_to_forget_is_taken_away_and_said_to_be_left(
    instance: OdooInstance, hosts: Hosts
) -> None:
    others = {"find *": "/etc/nginx/relevo/vps_2/shown.conf\n"}
    answers: dict[str, Answer] = {"reads-of-nginx": 1, "test -e *": 0, "empty *": "", **others}
    due = recovery(**answers)
    hosts(FakeHost("uno"), due)

    with terminal.without_server():
        forgotten = site.forget(instance)

    assert not forgotten.done
    assert forgotten.sentence.startswith("nginx on due does not accept its configuration")
    assert f"rm -rf --one-file-system {FOLDER}/certificates" in due.ran
    assert not [each for each in due.ran if "rm -f" in each and "conf.d" in each], "vps_2 is shown"


@pytest.mark.parametrize("delete_kept", [False, True])
def test_what_people_wrote_for_nginx_stays_until_it_is_to_be_deleted(
    instance: OdooInstance, hosts: Hosts, *, delete_kept: bool
) -> None:
    answers: dict[str, Answer] = {"reads-of-nginx": "", "test -e *": 0, "empty *": "", "find *": ""}
    due = recovery(**answers)
    hosts(FakeHost("uno"), due)

    with terminal.without_server():
        site.forget(instance, delete_kept=delete_kept)

    assert (f"rm -rf --one-file-system {FOLDER}" in due.ran) is delete_kept
    assert not [each for each in due.ran if f"{FOLDER}/own" in each and each.startswith("rm")]
    assert any(f"{FOLDER}/privkey.pem" in each for each in due.ran) is not delete_kept


ORIGINS = """\
# configuration file /etc/nginx/nginx.conf:
http {
    upstream odoo { server 127.0.0.1:8069; }
    server {
        listen 443 ssl;
        server_name shop.example.com tienda.example.org *.example.net;
        proxy_set_header Host $host;
        proxy_set_header X-Odoo-dbfilter ^shop;
        location / { proxy_pass http://odoo; }
        location /web/database { allow 10.0.0.0/8; deny all; proxy_pass http://odoo; }
        location ~ /\\.ht { deny all; }
    }
    server { server_name blog.example.com; location / { proxy_pass http://127.0.0.1:3000; } }
}
"""


def test_what_the_origin_s_nginx_does_beside_is_said_until_it_is_done_here(
    instance: OdooInstance, hosts: Hosts
) -> None:
    uno = FakeHost("uno", {"nginx -T": ORIGINS})
    hosts(uno, FakeHost("due", {"own-of-nginx *": ""}))
    _, names, rules = site.beside(instance)

    assert names.startswith("nginx on uno leads tienda.example.org to Odoo, which domains of vps_1")
    assert "header X-Odoo-dbfilter, allow in location /web/database, deny in location" in rules
    assert "/etc/nginx/relevo/vps_1/own/*.conf there" in rules
    assert "blog" not in names + rules

    own = "proxy_set_header X-Odoo-dbfilter ^shop;\nlocation /web/database { allow 10.0.0.0/8; "
    hosts(uno, FakeHost("due", {"own-of-nginx *": f"{own}deny all; }}\n"}))
    all_names = ("shop.example.com", "tienda.example.org")
    (fine,) = site.beside(instance.model_copy(update={"domains": all_names}))
    assert fine == "the configuration of nginx on uno was read for 2 domains"


@pytest.mark.parametrize(
    ("status", "why"), [(127, "uno has no nginx"), (1, "nginx on uno does not accept its")]
)
def test_an_origin_without_an_nginx_that_can_be_read_is_no_fault(
    instance: OdooInstance, hosts: Hosts, status: int, why: str
) -> None:
    hosts(FakeHost("uno", {"nginx -T": status}), FakeHost("due"))

    (said,) = site.beside(instance)
    assert said.startswith(why)
