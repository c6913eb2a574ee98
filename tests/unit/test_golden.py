"""Files that are rendered whole, word for word as in golden/."""

from pathlib import Path, PurePosixPath

from tasks.host import systemd_unit
from tasks.serving import nginx
from tasks.serving.nginx import Form, Names

GOLDEN = Path(__file__).parent / "golden"


def site(certificate: tuple[str, str] | None, form: Form = "serving") -> str:
    return nginx.render(
        instance="vps_1",
        names=[Names(("shop.example.com", "www.example.com"), certificate)],
        http_port=8169,
        longpolling_port=8172,
        form=form,
    )


def test_the_unit_of_an_instance_is_the_golden_one() -> None:
    unit = systemd_unit.render(
        instance="vps_1",
        user="odoo",
        cluster_unit="postgresql@13-vps_1.service",
        command=("/srv/vps_1/venv/bin/python", "/usr/bin/odoo", "-c", "/etc/odoo/vps_1.conf"),
        environment=PurePosixPath("/srv/vps_1/environment"),
    )

    assert unit == (GOLDEN / "odoo_vps_1.service").read_text()


def test_the_site_of_an_instance_with_a_certificate_is_the_golden_one() -> None:
    folder = "/etc/nginx/relevo/vps_1"
    text = site((f"{folder}/fullchain.pem", f"{folder}/privkey.pem"))

    assert text == (GOLDEN / "nginx_tls.conf").read_text()


def test_the_site_of_an_instance_without_a_certificate_is_the_golden_one() -> None:
    assert site(None) == (GOLDEN / "nginx_plain.conf").read_text()


def test_a_site_that_stands_by_brings_nobody_to_odoo_and_answers_where_it_alone_does() -> None:
    text = site(None, "standby")

    assert text == (GOLDEN / "nginx_standby.conf").read_text()
    assert "proxy_pass" not in text


def test_domains_with_certificates_of_their_own_have_servers_of_their_own() -> None:
    names = [Names(("a.example.com",), ("/a", "/ak")), Names(("b.example.com",), ("/b", "/bk"))]
    text = nginx.render(
        instance="vps_1", names=names, http_port=8169, longpolling_port=8172, form="serving"
    )

    at = [text.index(each) for each in ("ssl_certificate /a;", "ssl_certificate /b;")]
    assert text.rindex("server_name a.example.com;") < at[0] < text.rindex("server_name b.example")
    assert text.count("upstream odoo_vps_1 ") == 1


def test_a_customer_s_long_connection_goes_to_the_port_for_it() -> None:
    text = site(None)

    assert text.count("proxy_pass http://odoo_vps_1_longpolling;") == 1
    assert text.count("proxy_pass http://odoo_vps_1;") == 1
    assert text.count("{") == text.count("}")
