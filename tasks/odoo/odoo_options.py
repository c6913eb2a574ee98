"""Odoo's command line, read as its own parser reads it (odoo/tools/config.py, an optparse).

The options of releases 12 to 19 together. Each has a name in odoo.conf, but for those that make
Odoo do something once and end, or that belong on a developer's desk.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

VALUED = """
addons_path --addons-path
config -c --config
data_dir -D --data-dir
db_app_name --db_app_name
db_host --db_host
db_maxconn --db_maxconn
db_maxconn_gevent --db_maxconn_gevent
db_name -d --database
db_password -w --db_password
db_port --db_port
db_replica_host --db_replica_host
db_replica_port --db_replica_port
db_sslmode --db_sslmode
db_template --db-template
db_user -r --db_user
dbfilter --db-filter
email_from --email-from
from_filter --from-filter
geoip_database --geoip-db
geoip_city_db --geoip-city-db
geoip_country_db --geoip-country-db
gevent_port --gevent-port
http_interface --http-interface --xmlrpc-interface
http_port -p --http-port --xmlrpc-port
limit_memory_hard --limit-memory-hard
limit_memory_hard_gevent --limit-memory-hard-gevent
limit_memory_soft --limit-memory-soft
limit_memory_soft_gevent --limit-memory-soft-gevent
limit_request --limit-request
limit_time_cpu --limit-time-cpu
limit_time_real --limit-time-real
limit_time_real_cron --limit-time-real-cron
limit_time_worker_cron --limit-time-worker-cron
log_db --log-db
log_db_level --log-db-level
log_handler --log-handler
log_level --log-level
logfile --logfile
longpolling_port --longpolling-port
max_cron_threads --max-cron-threads
osv_memory_age_limit --osv-memory-age-limit
osv_memory_count_limit --osv-memory-count-limit
pg_path --pg_path
pidfile --pidfile
screencasts --screencasts
screenshots --screenshots
server_wide_modules --load
smtp_password --smtp-password
smtp_port --smtp-port
smtp_server --smtp
smtp_ssl_certificate_filename --smtp-ssl-certificate-filename
smtp_ssl_private_key_filename --smtp-ssl-private-key-filename
smtp_user --smtp-user
transient_age_limit --transient-age-limit
upgrade_path --upgrade-path
without_demo --without-demo
workers --workers
"""
ON = """
proxy_mode --proxy-mode
skip_auto_install --skip-auto-install
smtp_ssl --smtp-ssl
syslog --syslog
unaccent --unaccent
with_demo --with-demo
x_sendfile --x-sendfile
"""
OFF = """
http_enable --no-http --no-xmlrpc
list_db --no-database-list
"""
LOGS = {
    "--log-request": "odoo.http.rpc.request:DEBUG",
    "--log-response": "odoo.http.rpc.response:DEBUG",
    "--log-web": "odoo.http:DEBUG",
    "--log-sql": "odoo.sql_db:DEBUG",
}
# What odoo.conf does not take, or what no service should do at each start.
NEVER_VALUED = """
--dev --i18n-export --i18n-import --import-partial --init --language --load-language --modules
--pre-upgrade-scripts --reinit --shell-interface --test-file --test-tags --update
-P -i -l -u
"""
NEVER = "--i18n-overwrite --save --stop-after-init --test-enable --help --version -h -s"
TYPED = {"server"}  # the command that Odoo obeys when none is said
SEPARATOR = "--"


def _table(text: str) -> dict[str, str]:
    lines = (line.split() for line in text.split("\n") if line)
    return {name: dest for dest, *names in lines for name in names}


VALUED_BY_NAME, ON_BY_NAME, OFF_BY_NAME = _table(VALUED), _table(ON), _table(OFF)
DESTS = {*VALUED_BY_NAME.values(), *ON_BY_NAME.values(), *OFF_BY_NAME.values()} - {"config"}
TAKE_A_VALUE = {*VALUED_BY_NAME, *NEVER_VALUED.split()}
NAMES = {*TAKE_A_VALUE, *ON_BY_NAME, *OFF_BY_NAME, *LOGS, *NEVER.split()}


@dataclass(frozen=True)
class Line:
    """What a command line says: options by their names in odoo.conf, and what has none there."""

    options: dict[str, str] = field(default_factory=dict)
    refused: tuple[str, ...] = ()


def read(words: Sequence[str]) -> Line:
    """Read what stands behind the program; of an option that is said twice, the last counts.

    >>> read(["-c", "/etc/odoo.conf", "--db-filter=^a$", "--no-database-list", "--work", "4"])
    ... # doctest: +NORMALIZE_WHITESPACE
    Line(options={'config': '/etc/odoo.conf', 'dbfilter': '^a$', 'list_db': 'False',
    'workers': '4'}, refused=())
    >>> read(["server", "-rtheirs", "-u", "all", "--nonsense", "shell"])
    Line(options={'db_user': 'theirs'}, refused=('-u', '--nonsense', 'shell'))
    """
    options: dict[str, str] = {}
    logs: list[str] = []
    refused: list[str] = []
    for name, value in _pairs(words):
        if name in LOGS:
            logs.append(LOGS[name])
        elif name in OFF_BY_NAME:
            options[OFF_BY_NAME[name]] = "False"
        elif name in ON_BY_NAME:
            options[ON_BY_NAME[name]] = "True"
        elif name not in VALUED_BY_NAME or value is None:
            refused.append(name)
        elif VALUED_BY_NAME[name] == "log_handler":
            logs.append(value)
        else:
            options[VALUED_BY_NAME[name]] = value
    if logs:
        options["log_handler"] = ",".join(logs)
    return Line(options, tuple(refused))


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Name each option in full, with its value if it takes one; a word alone is its own name."""
    left, begun, ended = list(words), False, False
    while left:
        word = left.pop(0)
        if word == SEPARATOR and not ended:
            ended = True
        elif ended or word == "-" or not word.startswith("-"):
            if begun or ended or word not in TYPED:
                yield word, None
            begun = True
        elif word.startswith(SEPARATOR):
            said, given, value = word.partition("=")
            name = _whole(said)
            yield name, value if given else _value(name, left)
        else:
            yield from _short(word, left)


def _short(word: str, left: list[str]) -> Iterator[tuple[str, str | None]]:
    """Read -cFILE, -c FILE, and flags of one letter in a row."""
    letters = word[1:]
    while letters:
        name, letters = f"-{letters[0]}", letters[1:]
        if name in TAKE_A_VALUE and letters:
            yield name, letters
            return
        yield name, _value(name, left)


def _value(name: str, left: list[str]) -> str | None:
    if name == "--without-demo" and (not left or left[0].startswith("-")):
        return "True"
    return left.pop(0) if name in TAKE_A_VALUE and left else None


def _whole(said: str) -> str:
    """Name an option that was abbreviated, as optparse lets one do.

    >>> _whole("--db-f"), _whole("--log"), _whole("--load")
    ('--db-filter', '--log', '--load')
    """
    if said in NAMES:
        return said
    found = [name for name in NAMES if name.startswith(said)]
    return found[0] if len(found) == 1 else said
