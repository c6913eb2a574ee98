"""odoo.conf of the recovery host: the origin's own options, with other paths, ports and cluster."""

from pathlib import PurePosixPath

from tasks.odoo.odoo_conf import database_role, parse, render


def copied(path: PurePosixPath) -> PurePosixPath:
    inside = path.is_relative_to("/opt/custom")
    return PurePosixPath("/srv/r/sources") / path.relative_to("/") if inside else path


def rendered(text: str) -> dict[str, str]:
    return parse(
        render(
            text,
            copied=copied,
            data_dir=PurePosixPath("/srv/r/data"),
            db_port=5433,
            db_user="odoo",
            http_port=8169,
            longpolling_port=8172,
        )
    )


def test_percent_signs_are_plain_characters() -> None:
    """Odoo reads its file without interpolation; admin passwords are hashes full of signs."""
    options = rendered("[options]\ndbfilter = ^%d$\nadmin_passwd = $pbkdf2$%(x)s%%\n")

    assert options["dbfilter"] == "^%d$"
    assert options["admin_passwd"] == "$pbkdf2$%(x)s%%"


def test_an_addons_path_over_several_lines_is_read_whole() -> None:
    options = rendered(
        "[options]\naddons_path = /usr/lib/odoo/addons,\n    /opt/custom/a,\n\t/opt/custom/b,\n"
    )

    assert options["addons_path"] == (
        "/usr/lib/odoo/addons,/srv/r/sources/opt/custom/a,/srv/r/sources/opt/custom/b"
    )


def test_a_folder_that_only_begins_like_a_source_is_left_alone() -> None:
    options = rendered("[options]\naddons_path = /opt/custom-enterprise\n")

    assert options["addons_path"] == "/opt/custom-enterprise"


def test_no_addons_path_is_invented() -> None:
    assert "addons_path" not in rendered("[options]\n")


def test_a_file_without_the_section_gets_one() -> None:
    assert rendered("")["http_port"] == "8169"
    assert rendered("# nothing\n[queue_job]\nchannels = root:2\n")["http_port"] == "8169"


def test_the_sections_of_others_are_kept() -> None:
    text = render(
        "[options]\n[queue_job]\nchannels = root:2\n",
        copied=copied, data_dir=PurePosixPath("/d"), db_port=1, db_user="o", http_port=2,
        longpolling_port=3,
    )  # fmt: skip

    assert "[queue_job]\nchannels = root:2\n" in text


def test_ports_under_their_old_names_do_not_survive_beside_the_new_ones() -> None:
    options = rendered("[options]\nxmlrpc_port = 8069\nxmlrpcs_port = 8071\nlongpolling_port = 1\n")

    assert not {"xmlrpc_port", "xmlrpcs_port"} & options.keys()
    assert (options["http_port"], options["longpolling_port"], options["gevent_port"]) == (
        "8169", "8172", "8172",
    )  # fmt: skip


def test_the_database_is_reached_by_the_cluster_s_own_socket_and_no_password() -> None:
    options = rendered(
        "[options]\ndb_host = 127.0.0.1\ndb_port = 5432\ndb_user = theirs\ndb_password = secret\n"
    )

    assert {k: v for k, v in options.items() if k.startswith("db_")} == {
        "db_host": "False", "db_port": "5433", "db_user": "odoo", "db_password": "False",
    }  # fmt: skip


def test_files_of_the_origin_s_host_are_not_written_here() -> None:
    options = rendered("[options]\nlogfile = /var/log/odoo/x.log\npidfile = /run/odoo.pid\n")

    assert (options["logfile"], options["pidfile"]) == ("False", "False")


def test_everything_else_is_kept_as_it_is() -> None:
    options = rendered("[options]\nWorkers = 4\nlimit_time_real = 1200\nlimit_time_real = 900\n")

    assert (options["workers"], options["limit_time_real"]) == ("4", "900")


def test_rendering_what_was_rendered_changes_nothing() -> None:
    once = rendered("[options]\naddons_path = /opt/custom/a,/b\nworkers = 2\n")
    text = "[options]\n" + "".join(f"{name} = {value}\n" for name, value in once.items())

    assert rendered(text) == once


def test_the_role_is_the_one_in_the_file_or_the_user_that_odoo_runs_as() -> None:
    assert database_role("[options]\ndb_user = theirs\n", default="odoo") == "theirs"
    for said in ("", "db_user =", "db_user = False", "db_user = false", "db_user = None"):
        nothing = f"[options]\n{said}\n"
        assert database_role(nothing, default="odoo") == "odoo"


def test_files_are_sent_by_odoo_itself_where_the_origin_s_nginx_sent_them() -> None:
    """With x_sendfile Odoo's answer is empty, and names a place that only that nginx knows."""
    assert rendered("[options]\nx_sendfile = True\n")["x_sendfile"] == "False"
    assert "x_sendfile" not in rendered("[options]\n")


def test_the_runner_of_jobs_calls_its_own_odoo_and_not_who_has_that_port_here() -> None:
    text = render(
        "[options]\n[queue_job]\nchannels = root:2\nhost = localhost\nport = 8069\n"
        "scheme = https\njobrunner_db_host = 127.0.0.1\njobrunner_db_password = secret\n",
        copied=copied, data_dir=PurePosixPath("/d"), db_port=1, db_user="o", http_port=2,
        longpolling_port=3,
    )  # fmt: skip

    assert text.endswith("[queue_job]\nchannels = root:2\n\n")


def test_whatever_option_names_a_file_of_the_sources_it_is_the_copy() -> None:
    options = rendered(
        "[options]\nsmtp_ssl_certificate_filename = /opt/custom/x.pem\ndbfilter = ^/a$\n"
        "certs_path = /opt/custom/a,\n    /etc/b\nadmin_passwd = /x+/y==\n"
    )

    assert options["smtp_ssl_certificate_filename"] == "/srv/r/sources/opt/custom/x.pem"
    assert options["certs_path"] == "/srv/r/sources/opt/custom/a,\n/etc/b"
    assert (options["dbfilter"], options["admin_passwd"]) == ("^/a$", "/x+/y==")
