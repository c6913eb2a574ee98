"""Files that are rendered whole, word for word as in golden/."""

from pathlib import Path, PurePosixPath

from tasks.text import nginx_site, systemd_unit

GOLDEN = Path(__file__).parent / "golden"


def site(certificate: tuple[str, str] | None) -> str:
    return nginx_site.render(
        instance="vps_1",
        domains=("shop.example.com", "www.example.com"),
        http_port=8169,
        longpolling_port=8172,
        certificate=certificate,
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


def test_a_customer_s_long_connection_goes_to_the_port_for_it() -> None:
    text = site(None)

    assert text.count("proxy_pass http://odoo_vps_1_longpolling;") == 1
    assert text.count("proxy_pass http://odoo_vps_1;") == 1
    assert text.count("{") == text.count("}")
