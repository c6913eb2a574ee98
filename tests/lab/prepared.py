"""What an image holds beside Debian's packages: Odoo's configuration, a module, two databases."""

from pathlib import Path

DATABASES = ("cliente1", "cliente2")
DATA_DIR = "/var/lib/odoo/.local/share/Odoo"

ADDONS = "/usr/lib/python3/dist-packages/odoo/addons"

ODOO_CONF = f"""\
[options]
admin_passwd = labmaster
db_host = False
db_port = False
db_user = odoo
db_password = False
addons_path = {{addons}},/opt/odoo/sources
data_dir = {DATA_DIR}
http_port = 8069
workers = 0
list_db = True
logfile = /var/log/odoo/odoo-server.log
"""
MODULE = {
    "__manifest__.py": '{"name": "Lab notes", "version": "1.0", "depends": ["base"], '
    '"license": "LGPL-3", "external_dependencies": {"python": ["num2words"]}}\n',
    "__init__.py": "from . import models\n",
    "models.py": "import num2words\nfrom odoo import fields, models\n\n\n"
    'class LabNote(models.Model):\n    _name = "lab.note"\n    _description = "Lab note"\n'
    "    name = fields.Char()\n",
}
# Hosts enable what they need; none has a network for apt.
SCRIPT = """
rm -f /etc/ssh/ssh_host_*
chown -R odoo:odoo /etc/odoo /opt/odoo
chmod 640 /etc/odoo/odoo.conf
systemctl disable --quiet odoo nginx named apt-daily.timer apt-daily-upgrade.timer
systemctl enable --quiet postgresql cron rsyslog ssh
mkdir -p /dev/shm
mount -t tmpfs tmpfs /dev/shm
install -d -o postgres -g postgres /run/postgresql
version=$1; initdb=$2; odoo=$3; shift 3
pg_dropcluster "$version" main
pg_createcluster --locale C.UTF-8 "$version" main -- $initdb >/dev/null
pg_ctlcluster "$version" main start
runuser -u postgres -- createuser -s odoo
for database; do
    runuser -u odoo -- env HOME=/var/lib/odoo $odoo -c /etc/odoo/odoo.conf -d "$database" \\
        -i base,lab_notes --without-demo=all --stop-after-init --no-http --logfile=
done
pg_ctlcluster "$version" main stop
rm -f /var/log/postgresql/* /var/log/odoo/*
"""
RECIPE = (ODOO_CONF, MODULE, SCRIPT, DATABASES)


def furnish(root: Path, addons: str) -> None:
    """Write the module and the configuration into an image."""
    module = root / "opt/odoo/sources/lab_notes"
    module.mkdir(parents=True)
    for name, text in MODULE.items():
        (module / name).write_text(text)
    (root / "etc/odoo/odoo.conf").write_text(ODOO_CONF.format(addons=addons))
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
