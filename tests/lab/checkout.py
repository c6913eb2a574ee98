"""Odoo as most hosters have it: a git checkout, a venv beside it, packages by pip, a unit by hand.

The source is unpacked from Debian's package, and laid out as its repository is. Its packages come
as wheels, which stand in the image: no host of the lab reaches an index.
"""

import subprocess
import sys
from pathlib import Path

from tests.lab.trouble import LabError

HOME = "/opt/odoo"
SOURCE = f"{HOME}/odoo"
PROGRAM, PYTHON = f"{SOURCE}/odoo-bin", f"{HOME}/venv/bin/python"
WHEELS = "/srv/wheels"
ADDONS = f"{SOURCE}/addons"
# What Odoo's own requirements.txt names for this Python, without what a bare base never imports.
REQUIREMENTS = """\
asn1crypto==1.5.1
Babel==2.10.3
beautifulsoup4
cbor2
chardet==5.2.0
cryptography
decorator
docutils==0.20.1
freezegun==1.2.1
geoip2==2.9.0
gevent==22.10.2
greenlet==2.0.2
idna
Jinja2==3.1.2
libsass==0.22.0
lxml==4.9.3
MarkupSafe==2.1.2
num2words
openpyxl==3.1.2
passlib==1.7.4
Pillow
polib==1.1.1
psutil==5.9.4
psycopg2-binary==2.9.9
pyopenssl
PyPDF2==2.12.1
pyserial==3.5
python-dateutil==2.8.2
python-stdnum==1.19
pytz
pyusb==1.2.1
qrcode==7.4.2
reportlab==4.1.0
requests==2.31.0
rjsmin==1.2.2
urllib3==1.26.20
vobject==0.9.9
Werkzeug==2.3.8
xlrd==2.0.1
XlsxWriter==3.1.9
zeep==4.2.1
"""
# What a bare database installs, and what that imports; of all the others base needs the manifests,
# for its categories.
KEPT = (
    "api_doc", "auth_passkey", "auth_totp", "base", "base_import", "base_import_module",
    "base_setup", "bus", "html_editor", "http_routing", "iap", "mail", "rpc", "web", "web_tour",
    "web_unsplash",
)  # fmt: skip
UNIT = f"""\
[Unit]
Description=Odoo from its checkout
After=network.target postgresql.service

[Service]
Type=simple
User=odoo
Group=odoo
ExecStart={PYTHON} {PROGRAM} --config /etc/odoo/odoo.conf
KillMode=mixed

[Install]
WantedBy=multi-user.target
"""
BIN = "#!/usr/bin/env python3\nimport odoo.cli\n\nif __name__ == '__main__':\n    odoo.cli.main()\n"
# Arguments: the package's name, the modules that are kept whole.
UNPACK = """
package=$1; shift
cd /tmp && apt-get update -qq && apt-get download -qq "$package"
dpkg-deb -x "$package"_*.deb unpacked && rm "$package"_*.deb
useradd --system --create-home --home-dir /var/lib/odoo --shell /usr/sbin/nologin odoo
install -d -o odoo -g odoo /var/log/odoo /etc/odoo /opt/odoo/odoo/addons
mv unpacked/usr/lib/python3/dist-packages/odoo /opt/odoo/odoo/odoo
cd /opt/odoo/odoo
for path in odoo/addons/*/; do
    name=$(basename "$path")
    case " $* " in
        *" $name "*) ;;
        *) find "$path" -mindepth 1 -not -path "$path"__manifest__.py -delete ;;
    esac
    [ "$name" = base ] || mv "$path" addons/
done
rm -rf /tmp/unpacked; find . -name i18n -type d -prune -exec rm -rf {} +
rm -rf addons/web/static/tests addons/web/tooling addons/mail/static
python3 -m venv /opt/odoo/venv
/opt/odoo/venv/bin/pip install -q --disable-pip-version-check -r requirements.txt
git init -q -b main . && git add -A
git -c user.name=odoo -c user.email=odoo@localhost commit -q -m 'The release that is in use'
"""
PLATFORMS = (
    "manylinux_2_36_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64",
    "manylinux2014_x86_64", "manylinux_2_12_x86_64", "manylinux2010_x86_64",
    "manylinux_2_5_x86_64", "manylinux1_x86_64", "any",
)  # fmt: skip
PIP_CONF = f"[global]\nno-index = true\nfind-links = {WHEELS}\n"
RECIPE = (REQUIREMENTS, KEPT, UNIT, BIN, UNPACK, PIP_CONF)


def script(release: int) -> tuple[str, ...]:
    """The command, inside of the image, that unpacks the source and makes its environment."""
    return ("bash", "-ec", UNPACK, "unpack", f"odoo-{release}", *KEPT)


def furnish(root: Path) -> None:
    """Write what the checkout needs into an image: wheels, program, requirements, unit."""
    folder = root / SOURCE.lstrip("/")
    folder.mkdir(parents=True)
    (folder / "requirements.txt").write_text(REQUIREMENTS)
    (folder / "odoo-bin").write_text(BIN)
    (folder / "odoo-bin").chmod(0o755)
    (root / "etc/systemd/system/odoo.service").write_text(UNIT)
    (root / "etc/pip.conf").write_text(PIP_CONF)
    _download(root / WHEELS.lstrip("/"), folder / "requirements.txt")


def _download(wheels: Path, requirements: Path) -> None:
    """Take wheels for Debian 12's Python from wherever this machine's pip takes its own."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
            "--only-binary", ":all:", "--python-version", "3.11.2",
            *(word for each in PLATFORMS for word in ("--platform", each)),
            "--dest", str(wheels), "--requirement", str(requirements),
        ],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        raise LabError(f"pip downloads no wheels for Odoo:\n{done.stderr[-3000:]}")
