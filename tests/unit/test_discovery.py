"""Eight layouts of a server, as their own programs describe them, and the entries made of them."""

import base64
import contextlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import dns.exception
import dns.name
import dns.resolver
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import CommandFailed, RelevoError, Unreachable
from blocks.host import Host
from deployments import inventory_file
from tasks.discovery import find, server, web
from tasks.discovery.entry import Entry, render
from tasks.serving import nginx_read, sites, zones
from tests.fakes import Answer, FakeHost

ROOT = Path(__file__).parents[2]
CLUSTER = "13 main 5432 online postgres /var/lib/postgresql/13/main /var/log/postgresql/x.log\n"
UNIT = "[Service]\nUser=odoo\nExecStart=/usr/bin/odoo --config /etc/odoo/odoo.conf\n"
CONF = "[options]\ndb_host = False\ndb_user = odoo\naddons_path = {}\ndata_dir = {}\n{}"
PACKAGED = "/usr/lib/python3/dist-packages/odoo"
DATA = "/var/lib/odoo/.local/share/Odoo"
NGINX = """\
# configuration file /etc/nginx/nginx.conf:
user www-data;
http {
    log_format main '$remote_addr "$request" {}';
    include /etc/nginx/conf.d/*.conf;
    include /etc/nginx/sites-enabled/*;
}

# configuration file /etc/nginx/conf.d/upstream.conf:
upstream odoo { server 127.0.0.1:8069; }

"""
SITE = """\
# configuration file /etc/nginx/sites-enabled/%s:
server { listen 80; server_name %s; return 301 https://$host$request_uri; }
server {
    listen 443 ssl http2;
    server_name %s;
    ssl_certificate /etc/letsencrypt/live/%s/fullchain.pem;  # managed by Certbot
    ssl_certificate_key /etc/letsencrypt/live/%s/privkey.pem;
    location / { proxy_pass %s; }
}

"""
NAMES = zones.Names(("192.0.2.11",))
# What a server may be asked, and nothing else: none of it changes anything.
ASKS = re.compile(
    r"facts|listeners|started|shebang|by-path|same|missing|read|exists|test -e|pg_lsclusters"
    r"|nginx -T|getent|dpkg-query -S|systemctl show|SELECT|/\S+ -B -c|'?/"
)
Servers: TypeAlias = Callable[..., tuple[Entry, FakeHost]]


def packed(*words: str) -> str:
    return base64.b64encode("".join(f"{word}\0" for word in words).encode()).decode()


def plainly(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def facts(hostname: str = "uno", address: str = "10.0.0.1") -> str:
    links = [{"addr_info": [{"local": "127.0.0.1"}, {"local": "::1"}]},
             {"addr_info": [{"local": address}, {"local": "192.0.2.11"}]}]  # fmt: skip
    route = [{"dst": "10.0.0.9", "prefsrc": address}]
    return (
        f"hostname={hostname}\nclock={int(datetime.now(UTC).timestamp())}\n"
        f"addresses={plainly(json.dumps(links))}\nroute={plainly(json.dumps(route))}\n"
    )


def listeners(
    *words: str, port: int = 8069, unit: str = "odoo.service", gevent: int = 0, chat: str = "gevent"
) -> str:
    """What `ss` and /proc say of an Odoo, beside a PostgreSQL and an nginx."""
    lines = [
        'LISTEN 0 244 127.0.0.1:5432 0.0.0.0:* users:(("postgres",pid=500,fd=5))',
        f'LISTEN 0 128 *:{port} *:* users:(("odoo",pid=701,fd=6),("odoo",pid=700,fd=6))',
        'LISTEN 0 511 [::]:443 [::]:* users:(("nginx",pid=800,fd=7))',
    ]
    said = [
        _process(
            500, "postgresql@13-main.service", "/usr/lib/postgresql/13/bin/postgres", "-D", "/x"
        ),
        _process(700, unit, *words),
        _process(701, unit, "odoo: WorkerHTTP 701"),
        _process(800, "nginx.service", "nginx: master process /usr/sbin/nginx -g daemon on;"),
    ]
    if gevent:
        lines.append(f'LISTEN 0 5 0.0.0.0:{gevent} 0.0.0.0:* users:(("python3",pid=702,fd=8))')
        said.append(_process(702, unit, words[0], words[1], chat, *words[2:]))
    return "\n".join(lines) + "\n" + "".join(said)


def _process(pid: int, unit: str, *words: str) -> str:
    return f"process={pid}\ncgroup=0::/system.slice/{unit}\nwords={packed(*words)}\n"


def started(
    *words: str, user: str = "odoo", cwd: str = "/", environ: tuple[str, ...] = (), unit: str = UNIT
) -> str:
    return (
        f"User={user}\nExecStart={{ path=x ; argv[]=x ; }}\nunit={plainly(unit)}\n"
        f"cmdline={packed(*words)}\nenviron={packed('HOME=/var/lib/odoo', *environ)}\n"
        f"cwd={cwd}\nowner={user}\n"
    )


def package(folder: str = PACKAGED, release: str = "14.0", *editable: str) -> str:
    return json.dumps({"package": folder, "release": release, "editable": [*editable]})


def databases(*names: str, owner: str = "odoo") -> str:
    return json.dumps(
        [{"name": name, "owner": owner, "role": owner, "may": True} for name in names]
    )


def site(name: str, domains: str, proxy: str = "http://odoo", live: str = "") -> str:
    live = live or domains.split(maxsplit=1)[0]
    return SITE % (name, domains, domains, live, live, proxy)


def chain(*names: str, days: int = 60) -> str:
    """A certificate for some names."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
        .public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=90)).not_valid_after(now + timedelta(days=days))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        ).sign(key, hashes.SHA256())
    )  # fmt: skip
    return made.public_bytes(Encoding.PEM).decode()


def debian(**more: Answer) -> dict[str, Answer]:
    """A server as Debian's package makes it; what is said otherwise stands in `more`."""
    words = ("/usr/bin/python3", "/usr/bin/odoo", "--config", "/etc/odoo/odoo.conf")
    return {
        **more,
        "facts *": facts(),
        "listeners": listeners(*words),
        "started odoo.service *": started(*words),
        "getent passwd odoo": "odoo:x:105:112::/var/lib/odoo:/usr/sbin/nologin\n",
        "read /etc/odoo/odoo.conf": CONF.format(f"{PACKAGED}/addons,/opt/odoo/sources", DATA, ""),
        "/usr/bin/python3 -B -c *": package(),
        "missing *": "",
        "dpkg-query -S *": f"odoo-14: {PACKAGED}/addons\n",
        "pg_lsclusters --no-header": CLUSTER,
        "SELECT d.datname AS name*": databases("cliente1", "cliente2"),
        "SELECT EXISTS*": '[{"has": true}]',
        "nginx -T": NGINX + site("cliente1", "cliente1.example.com"),
        "read /etc/letsencrypt/live/cliente1.example.com/fullchain.pem": chain(
            "cliente1.example.com"
        ),
    }


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Servers:
    """Discover a server that is a table of answers."""

    def put(
        answers: Mapping[str, Answer], *, peer: str = "10.0.0.9", address: str = "10.0.0.1",
        names: zones.Names = NAMES,
    ) -> tuple[Entry, FakeHost]:  # fmt: skip
        fake = FakeHost("uno", answers)
        monkeypatch.setattr(Host, "shell", lambda _: fake.shell())
        monkeypatch.setattr(zones, "look_up", lambda domains: names if domains else zones.Names())
        host = Host(name="uno", address=address, peer_address="10.0.0.1", user="admin")
        return find.find(host, called="vps1.example.com", peer=peer)[0], fake

    return put


def loaded(entry: Entry) -> dict[str, Any]:
    """Load an entry as it is printed, beside a recovery server."""
    entry.put("recovery", {"postgres_port": 5433, "http_port": 8169, "longpolling_port": 8172})
    head = "recovery: {address: 10.0.0.9}\ninstances:\n"
    document = inventory_file.parse(head + render(entry), Path("inventory.yaml"))
    return document.instances[entry.name].model_dump(mode="json")


def test_a_debian_package_is_found_whole(look: Servers) -> None:
    entry, fake = look(debian())

    assert (entry.missing, entry.remarks) == ({}, [])
    found = loaded(entry)
    assert entry.name == "vps1"
    assert found["host"] | {"key_file": None} == {
        "name": None, "address": "10.0.0.1", "peer_address": None, "public_address": "192.0.2.11",
        "public_address6": None, "port": 22, "user": "admin", "key_file": None, "host_key": None,
    }  # fmt: skip
    assert found["postgres"] == {"version": 13, "name": "main", "port": 5432}
    assert found["odoo"] == {
        "unit": "odoo.service", "user": "odoo", "config": "/etc/odoo/odoo.conf", "data_dir": DATA,
        "sources": ["/opt/odoo/sources"], "program": "/usr/bin/odoo",
        "python": "/usr/bin/python3", "http_port": 8069, "longpolling_port": 8072,
    }  # fmt: skip
    assert found["domains"] == ["cliente1.example.com"]
    assert found["certificate"] == {
        "chain": "/etc/letsencrypt/live/cliente1.example.com/fullchain.pem",
        "key": "/etc/letsencrypt/live/cliente1.example.com/privkey.pem",
    }
    assert_only_asked(fake)


def assert_only_asked(fake: FakeHost) -> None:
    assert [asked for asked in fake.ran if not ASKS.match(asked)] == []


def test_a_checkout_with_a_venv_names_its_own_python_and_its_sources(look: Servers) -> None:
    words = ("python3", "/opt/odoo/odoo/odoo-bin", "-c", "odoo.conf")
    conf = CONF.format("addons,odoo/addons,/opt/odoo/extra,/opt/odoo/odoo/addons", "~/data", "")
    answers = debian() | {
        "listeners": listeners(*words),
        "started odoo.service *": started(*words, cwd="/opt/odoo/odoo"),
        "by-path odoo.service python3": "/opt/odoo/venv/bin/python3\n",
        "read /opt/odoo/odoo/odoo.conf": conf,
        "/opt/odoo/venv/bin/python3 -B -c *": package("/opt/odoo/odoo/odoo", "17.0", "/srv/tools"),
        "dpkg-query -S *": "",
    }

    entry, fake = look(answers)

    assert (entry.missing, entry.remarks) == ({}, [])
    odoo = loaded(entry)["odoo"]
    assert odoo["program"] == "/opt/odoo/odoo/odoo-bin"
    assert odoo["python"] == "/opt/odoo/venv/bin/python3"
    assert odoo["config"] == "/opt/odoo/odoo/odoo.conf"
    assert odoo["data_dir"] == "/var/lib/odoo/data"
    assert odoo["sources"] == ["/opt/odoo/extra", "/opt/odoo/odoo", "/srv/tools"]
    assert_only_asked(fake)


def test_options_of_the_unit_its_environment_and_drop_ins_count_before_odoo_conf(
    look: Servers,
) -> None:
    words = (
        "/usr/bin/python3", "/usr/bin/odoo", "--config=/srv/conf/odoo.conf", "-p", "8070",
        "--data-dir", "/srv/data", "--addons-path=/srv/addons",
    )  # fmt: skip
    unit = f"{UNIT}# /etc/systemd/system/odoo.service.d/o.conf\n[Service]\nEnvironmentFile=/e\n"
    answers = debian() | {
        "listeners": listeners(*words, port=8070),
        "started odoo.service *": started(*words, environ=("PGPORT=5433",), unit=unit),
        "read /srv/conf/odoo.conf": CONF.format("/opt/not", "/opt/not", "http_port = 8069\n"),
        "pg_lsclusters --no-header": CLUSTER.replace("5432", "5433"),
        "dpkg-query -S *": "",
        "nginx -T": NGINX.replace("8069", "8070") + site("a", "cliente1.example.com"),
    }

    entry, fake = look(answers)

    assert (entry.missing, entry.remarks) == ({}, [])
    found = loaded(entry)
    assert found["odoo"]["http_port"] == 8070
    assert found["odoo"]["data_dir"] == "/srv/data"
    assert found["odoo"]["sources"] == ["/srv/addons"]
    assert found["odoo"]["config"] == "/srv/conf/odoo.conf"
    assert found["postgres"]["port"] == 5433
    assert found["domains"] == ["cliente1.example.com"]
    assert_only_asked(fake)


TWO = CLUSTER + "15 clientes 5544 online postgres /var/lib/postgresql/15/clientes /x.log\n"


def test_of_two_clusters_the_one_with_odoo_s_databases_is_taken(look: Servers) -> None:
    answers = {
        "SELECT EXISTS*@intranet": '[{"has": false}]',
        **debian(),
        "pg_lsclusters --no-header": TWO,
        "SELECT d.datname AS name*": [databases("intranet"), databases("cliente1")],
        "read /etc/odoo/odoo.conf": CONF.format("/opt/odoo/sources", DATA, "db_port = 5544\n"),
    }

    entry, fake = look(answers)

    assert entry.remarks == []
    assert loaded(entry)["postgres"] == {"version": 15, "name": "clientes", "port": 5544}
    assert_only_asked(fake)


def test_a_cluster_that_odoo_is_not_told_of_is_taken_with_a_remark(look: Servers) -> None:
    answers = {
        "SELECT EXISTS*@intranet": '[{"has": false}]',
        **debian(),
        "pg_lsclusters --no-header": TWO,
        "SELECT d.datname AS name*": [databases("intranet"), databases("cliente1")],
    }

    entry, _ = look(answers)

    assert loaded(entry)["postgres"]["name"] == "clientes"
    assert entry.remarks == [
        "Odoo is told db_port 5432, and its databases are in 15/clientes at 5544"
    ]


def test_another_user_and_port_are_found_and_paths_with_spaces_are_left_to_fill_in(
    look: Servers,
) -> None:
    words = ("/usr/bin/python3", "/usr/bin/odoo", "-c", "/srv/mi odoo/odoo.conf")
    conf = CONF.format("/srv/mi odoo/addons,/opt/extra", "/srv/datos de odoo", "xmlrpc_port = 8169")
    answers = debian() | {
        "listeners": listeners(*words, port=8169, unit="erp.service"),
        "started erp.service 8169": started(*words, user="erp"),
        "getent passwd erp": "erp:x:900:900::/home/erp:/bin/bash\n",
        "read /srv/mi odoo/odoo.conf": conf,
        "dpkg-query -S *": "",
        "nginx -T": NGINX,
    }

    entry, fake = look(answers)

    found = loaded(entry)["odoo"]
    assert (found["unit"], found["user"], found["http_port"]) == ("erp.service", "erp", 8169)
    assert set(entry.missing) == {"odoo.config", "odoo.data_dir", "domains"}
    assert found["sources"] == ["/opt/extra"]
    assert entry.remarks[0].startswith("a folder that Odoo needs cannot be in odoo.sources: it is ")
    said = render(entry)
    assert (
        "      # config:  # FILL IN: it is /srv/mi odoo/odoo.conf there; in an inventory it must "
        "be an absolute path of letters, digits and . _ @ + -\n"
    ) in said
    assert "    # domains:  # FILL IN: nginx leads none to port 8169" in said
    assert_only_asked(fake)


def test_each_site_of_nginx_has_its_certificate_and_sites_of_others_are_left_out(
    look: Servers,
) -> None:
    served = (
        site("cliente1", "cliente1.example.com www.cliente1.example.com")
        + site("cliente2", "cliente2.example.com", "http://127.0.0.1:8069")
        + site("blog", "blog.example.com", "http://127.0.0.1:3000")
        + site("todo", "*.clientes.example.com", live="cliente2.example.com")
        + "# configuration file /etc/nginx/sites-enabled/viejo:\n"
        "server { listen 80; server_name viejo.example.com;"
        " rewrite ^ https://cliente1.example.com permanent; }\n"
    )
    live = "/etc/letsencrypt/live"
    answers = debian() | {
        "nginx -T": NGINX + served,
        f"read {live}/cliente1.example.com/fullchain.pem": chain("cliente1.example.com", days=1),
        f"read {live}/cliente2.example.com/fullchain.pem": chain("cliente2.example.com"),
    }

    entry, fake = look(answers)

    found = loaded(entry)
    assert found["domains"] == [
        "cliente1.example.com", "cliente2.example.com", "www.cliente1.example.com",
    ]  # fmt: skip
    assert found["certificate"]["chain"] == f"{live}/cliente1.example.com/fullchain.pem"
    assert found["certificates"] == {
        "cliente2.example.com": {
            "chain": f"{live}/cliente2.example.com/fullchain.pem",
            "key": f"{live}/cliente2.example.com/privkey.pem",
        }
    }
    said = "\n".join(entry.remarks)
    assert "nginx sends *.clientes.example.com to Odoo, and that is a pattern" in said
    assert "nginx sends who asks for viejo.example.com to cliente1.example.com: add it to" in said
    assert "blog.example.com" not in said
    assert "cliente1.example.com/fullchain.pem has 0 days left" in said
    assert (
        f"{live}/cliente1.example.com/fullchain.pem is for cliente1.example.com, not for " in said
    )
    assert_only_asked(fake)


@pytest.mark.parametrize(
    ("release", "chat", "port"), [("14.0", "evented", 8072), ("16.0", "gevent", 8075)]
)
def test_an_odoo_with_workers_has_its_live_chat_at_the_port_of_its_release(
    look: Servers, release: str, chat: str, port: int
) -> None:
    words = ("/usr/bin/python3", "/usr/bin/odoo", "-c", "/etc/odoo/odoo.conf")
    more = "workers = 4\ngevent_port = 8075\nlongpolling_port = 8072\n"
    answers = debian() | {
        "listeners": listeners(*words, gevent=port, chat=chat),
        "/usr/bin/python3 -B -c *": package(PACKAGED, release),
        "read /etc/odoo/odoo.conf": CONF.format("/opt/odoo/sources", DATA, more),
    }

    entry, _ = look(answers)

    assert entry.remarks == []
    assert loaded(entry)["odoo"]["longpolling_port"] == port


@pytest.mark.parametrize(("release", "port"), [("14.0", 8073), ("15.0", 8073), ("17.0", 8075)])
def test_an_odoo_without_workers_has_the_port_that_its_settings_say(
    look: Servers, release: str, port: int
) -> None:
    more = "workers = 0\ngevent_port = 8075\nlongpolling_port = 8073\n"
    answers = debian() | {
        "/usr/bin/python3 -B -c *": package(PACKAGED, release),
        "read /etc/odoo/odoo.conf": CONF.format("/opt/odoo/sources", DATA, more),
    }

    entry, _ = look(answers)

    assert entry.remarks == []
    assert loaded(entry)["odoo"]["longpolling_port"] == port


def test_two_odoos_of_one_server_are_two_entries_each_with_its_own_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ("/usr/bin/python3", "/usr/bin/odoo", "-c")
    one, two = (*words, "/etc/odoo/odoo.conf"), (*words, "/etc/odoo/dos.conf")
    second = listeners(*two, port=8079, unit="dos.service").replace("pid=70", "pid=90")
    second = second.replace("process=70", "process=90")
    sockets, said = listeners(*one).split("process=", 1)
    more, also = second.split("process=", 1)
    fake = FakeHost("uno", {
        "SELECT EXISTS*@cliente9": '[{"has": true}]',
        **debian(),
        "listeners": f"{sockets}{more}process={said}process={also}",
        "started odoo.service *": started(*one),
        "started dos.service *": started(*two),
        "read /etc/odoo/dos.conf": CONF.format("/opt/dos", "/srv/dos", "http_port = 8079\n"
                                               "db_port = 5544\n"),
        "pg_lsclusters --no-header": TWO,
        "dpkg-query -S *": "",
        "SELECT d.datname AS name*": databases("cliente9"),
    })  # fmt: skip
    monkeypatch.setattr(Host, "shell", lambda _: fake.shell())
    monkeypatch.setattr(zones, "look_up", lambda _: NAMES)
    host = Host(name="uno", address="10.0.0.1", peer_address="10.0.0.1")

    found = find.find(host, called="vps1", peer="10.0.0.9")

    assert [each.name for each in found] == ["vps1", "vps1_2"]
    assert [each.values["odoo"]["unit"] for each in found] == ["odoo.service", "dos.service"]
    assert [each.values["postgres"]["port"] for each in found] == [5432, 5544]
    assert [each.values["odoo"]["http_port"] for each in found] == [8069, 8079]


@pytest.mark.parametrize("line", ["12 viejo 5433 down p /x /y\n", "11 viejo 5433 online p /x /y\n"])
def test_a_cluster_that_is_not_odoo_s_is_passed_over(look: Servers, line: str) -> None:
    entry, _ = look(debian() | {"pg_lsclusters --no-header": CLUSTER + line})

    assert entry.remarks == []


def test_a_cluster_that_cannot_be_asked_is_taken_by_its_port_and_said(look: Servers) -> None:
    entry, _ = look(debian() | {"SELECT d.datname AS name*": 1})

    assert loaded(entry)["postgres"]["port"] == 5432
    assert "cluster 13/main cannot be asked: " in entry.remarks[0]


def test_an_odoo_that_is_down_is_read_from_its_unit(look: Servers) -> None:
    line = "/usr/bin/odoo -c /etc/odoo/odoo.conf"
    show = f"Id=odoo.service\nExecStart={{ path=/usr/bin/odoo ; argv[]={line} ; pid=0 }}\n"
    answers = debian() | {
        "listeners": "",
        "systemctl show *": f"Id=cron.service\nExecStart={{ path=/c ; argv[]=/c ; }}\n\n{show}",
        "started odoo.service *": f"{show}User=odoo\nunit={plainly(UNIT)}\n",
        "shebang /usr/bin/odoo": "#!/usr/bin/python3\n",
    }

    entry, fake = look(answers)

    assert entry.remarks == ["odoo.service is not running, so only its configuration was read"]
    assert loaded(entry)["odoo"]["python"] == "/usr/bin/python3"
    assert_only_asked(fake)


def test_an_odoo_in_a_container_is_named_and_the_rest_is_found(look: Servers) -> None:
    words = ("/usr/bin/python3", "/usr/bin/odoo")
    said = listeners(*words).replace("/system.slice/odoo.service", "/system.slice/docker-1.scope")

    entry, _ = look(debian() | {"listeners": said})

    assert "Odoo runs in /system.slice/docker-1.scope" in entry.missing["odoo.unit"]
    assert loaded(entry)["postgres"]["version"] == 13


@pytest.mark.parametrize(
    ("asked", "answer", "said"),
    [
        ("read /etc/odoo/odoo.conf", "workers = 2\n", "its line 1 is neither [options] nor an"),
        ("started odoo.service *", CommandFailed("sh fails", status=1), "sh fails"),
        ("/usr/bin/python3 -B -c *", 1, "does not say where it has Odoo"),
        ("/usr/bin/python3 -B -c *", "[]", "is not understood"),
        ("/usr/bin/python3 -B -c *", '{"package": 1}', "is not understood"),
    ],
)
def test_what_cannot_be_found_is_left_to_fill_in_with_the_reason(
    look: Servers, asked: str, answer: Answer, said: str
) -> None:
    entry, _ = look(debian() | {asked: answer})

    assert said in entry.missing["odoo.program"]
    loaded(entry)


@pytest.mark.parametrize("program", ["/usr/bin/odoo", "/opt/start.sh"])
def test_no_password_of_odoo_is_told(look: Servers, program: str) -> None:
    words = ("/usr/bin/python3", program, "-w", "hunter2", "-c", "/etc/odoo/odoo.conf")
    conf = CONF.format("/opt/odoo/sources", DATA, "admin_passwd = hunter2\n")
    answers = debian() | {
        "listeners": listeners("/usr/bin/python3", "/usr/bin/odoo"),
        "started odoo.service *": started(*words, environ=("PGPASSWORD=hunter2",)),
        "read /etc/odoo/odoo.conf": conf,
        "read /var/lib/odoo/.odoorc": conf,
    }

    entry, _ = look(answers)

    assert "hunter2" not in render(entry)


def test_a_server_that_falls_silent_in_the_middle_is_silent(look: Servers) -> None:
    gone = Unreachable("uno did not answer", hint="see it")

    for asked in ("started odoo.service *", "missing *", "read /etc/letsencrypt/*"):
        with pytest.raises(Unreachable):
            look({asked: gone} | {k: v for k, v in debian().items() if k != asked})


def test_a_source_that_holds_data_dir_is_left_to_fill_in(look: Servers) -> None:
    conf = CONF.format("/opt/odoo", "/opt/odoo/data", "")

    entry, _ = look(debian() | {"read /etc/odoo/odoo.conf": conf})

    assert "/opt/odoo holds data_dir too" in entry.missing["odoo.sources"]
    loaded(entry)


def test_databases_on_another_server_are_said(look: Servers) -> None:
    conf = CONF.format("/opt/odoo/sources", DATA, "").replace("False", "10.0.0.50", 1)

    entry, _ = look(debian() | {"read /etc/odoo/odoo.conf": conf})

    assert "Odoo has its databases at 10.0.0.50" in entry.missing["postgres.version"]


def test_a_server_without_nginx_says_who_else_answers(look: Servers) -> None:
    entry, _ = look(debian() | {"nginx -T": 127})

    assert entry.missing["domains"].startswith(
        "there is no nginx, and another program listens at 443"
    )
    loaded(entry)


def test_a_server_behind_nat_is_said_and_the_peer_is_the_address_that_it_calls_with(
    look: Servers,
) -> None:
    outside = zones.Names(("198.51.100.7",), (), "example.com", ("lia.ns.cloudflare.com.",))

    entry, _ = look(debian(), address="vps1.example.com", names=outside)

    found = loaded(entry)["host"]
    assert (found["peer_address"], found["public_address"]) == ("10.0.0.1", "198.51.100.7")
    assert "198.51.100.7, where the domains lead, is on no interface" in entry.remarks[0]
    assert "    # dns: {provider: cloudflare, zone: example.com} # FILL IN: write" in render(entry)


def test_a_server_that_was_named_is_known_by_its_address_where_no_route_says_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = [(2, 1, 6, "", (each, 0)) for each in ("127.0.1.1", "198.51.100.7", "10.0.0.1")]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: known)
    said = "\n".join(line for line in facts().splitlines() if not line.startswith("route="))
    fake = FakeHost("uno", {"facts *": f"{said}\nroute=\n"})
    monkeypatch.setattr(Host, "shell", lambda _: fake.shell())

    host = server.introduced(Host(name="uno", address="respaldo", peer_address="192.0.2.1"))

    assert (host.name, host.peer_address) == ("uno", "10.0.0.1")


def test_without_a_recovery_server_the_way_to_it_is_not_known(look: Servers) -> None:
    entry, _ = look(debian(), peer="")

    assert len(entry.remarks) == 1
    assert entry.remarks[0].endswith("recovery host: run discover with --recovery")


NAMED = {"hostname": "uno", "clock": "1", "route": ""}


@pytest.mark.parametrize(
    "words",
    [
        {"hostname": "uno"},
        {"hostname": "uno", "clock": "x", "addresses": "", "route": ""},
        {"hostname": "uno", "clock": "1", "addresses": plainly("{}"), "route": ""},
        {**NAMED, "addresses": plainly('[{"addr_info": null}]')},
        {**NAMED, "addresses": plainly('[{"addr_info": ["10.0.0.1"]}]')},
    ],
)
def test_a_server_that_answers_nonsense_is_an_error_of_its_own(
    look: Servers, words: dict[str, str]
) -> None:
    said = "".join(f"{name}={value}\n" for name, value in words.items())

    with pytest.raises(RelevoError, match="is not understood"):
        look(debian() | {"facts *": said})


@given(st.text(alphabet="ab ;{}#'\"\\$\n", max_size=200))
def test_whatever_stands_for_a_configuration_of_nginx_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        sites.find(nginx_read.read(f"# configuration file /etc/nginx/nginx.conf:\n{text}"), {1}, ())


def test_a_name_that_is_nobody_s_leads_nowhere_and_a_silent_resolver_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def resolve(name: object, kind: str, lifetime: float) -> list[str]:
        assert lifetime <= 5
        if kind == "AAAA":
            raise dns.resolver.NXDOMAIN
        return ["ns1.cloudflare.com."] if kind == "NS" else ["192.0.2.11"]

    zone = dns.name.from_text("example.com")
    monkeypatch.setattr(dns.resolver, "resolve", resolve)
    monkeypatch.setattr(dns.resolver, "zone_for_name", lambda *_, **__: zone)
    assert zones.look_up(["a.example.com"]) == zones.Names(
        ("192.0.2.11",), (), "example.com", ("ns1.cloudflare.com.",)
    )

    monkeypatch.setattr(dns.resolver, "zone_for_name", _silent)
    assert "DNS does not answer this machine (Timeout)" in zones.look_up(["a.example.com"]).remark


def _silent(*_: object, **__: object) -> None:
    raise dns.exception.Timeout


def test_a_configuration_that_includes_itself_has_an_end() -> None:
    text = NGINX + "# configuration file /etc/nginx/conf.d/a.conf:\ninclude conf.d/a.conf;\n"
    fake = FakeHost("uno", {"nginx -T": text})

    with pytest.raises(CommandFailed, match="include each other without an end"):
        web.configuration(fake.shell(), ())


# --------------------------------------------------------------------------- nothing is changed

SCRIPT = re.compile(r'^([A-Z_]+) = """\n(.*?)"""', re.MULTILINE | re.DOTALL)
SCRIPTS = {
    f"{path.stem}.{name}": text
    for path in sorted((ROOT / "tasks" / "discovery").glob("*.py"))
    for name, text in SCRIPT.findall(path.read_text())
}
WRITES = re.compile(
    r"\b(rm|mv|cp|ln|dd|tee|touch|chmod|chown|mkdir|install|truncate|kill|reboot|apt|dpkg)\b"
    r"|sed -i|systemctl (?!show)|(?<!2)>(?!/dev/null)"
)


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_of_discovery_changes_anything(name: str) -> None:
    assert WRITES.search(SCRIPTS[name]) is None


def test_the_scan_of_scripts_sees_them_all_and_what_they_could_do() -> None:
    assert {"server.FACTS", "server.LISTENERS", "program.BY_PATH", "objections.FREE"} == {*SCRIPTS}
    for line in ("rm x", "echo a >b", "systemctl stop x", "sed -i s/a/b/ c", "echo a >>b"):
        assert WRITES.search(line), line


def test_every_command_of_discovery_is_one_that_only_asks() -> None:
    """The commands by their first two words, wherever they stand in its files."""
    text = "".join(path.read_text() for path in (ROOT / "tasks" / "discovery").glob("*.py"))
    commands = re.findall(r'\(\s*"(systemctl|nginx|dpkg\S*|ss|du|ip|sh)",\s*"([^"]+)"', text)
    assert set(commands) == {
        ("systemctl", "show"), ("nginx", "-T"), ("dpkg-query", "-S"), ("ss", "-Hltn"),
        ("du", "-sB1"), ("sh", "-c"),
    }  # fmt: skip
