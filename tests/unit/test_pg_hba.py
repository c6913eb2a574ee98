"""Who is admitted: the one other server, two roles, TLS only."""

import pytest

from tasks.postgres.pg_hba import ident, odoo_map, replication


def test_each_line_wants_tls_a_scram_password_and_the_one_peer() -> None:
    text = replication(user="r", rewind_user="w", peer="10.0.0.9")

    assert [line.split() for line in text.splitlines()] == [
        ["hostssl", "replication", "r", "10.0.0.9/32", "scram-sha-256"],
        ["hostssl", "postgres", "w", "10.0.0.9/32", "scram-sha-256"],
    ]


def test_a_peer_of_ip_version_6_is_one_address_too() -> None:
    assert " 2001:db8::9/128 " in replication(user="r", rewind_user="w", peer="2001:DB8:0::9")


@pytest.mark.parametrize("peer", ["", "all", "0.0.0.0/0", "10.0.0.9 trust\nhost all all", "a.b"])
def test_a_peer_that_is_no_single_address_is_never_written(peer: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        replication(user="r", rewind_user="w", peer=peer)


def test_odoo_comes_by_the_socket_and_by_a_map_alone() -> None:
    assert odoo_map(map_name="relevo", role="odoo") == "local all odoo peer map=relevo\n"


def test_no_other_system_user_is_let_in_not_even_one_of_the_role_s_name() -> None:
    assert ident(map_name="m", system_user="u", role="odoo") == "m u odoo\n"
