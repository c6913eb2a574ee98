"""How an instance is moved to its recovery host."""

from tasks.byhand.by_hand_step import Step, ask, at_boot, state, wait_for

WAKE = Step(
    "recovery",
    "Start PostgreSQL on {recovery} again: customers were moved to it, and it is down.",
    "Arranque de nuevo PostgreSQL en {recovery}: los clientes se movieron allí y está parado.",
    (
        "systemctl start {recovery_cluster_unit}",
        ask("recovery", "SELECT pg_is_in_recovery()") + "   # f",
    ),
)
PAUSE = Step(
    "Prefect",
    "Pause the schedules of {instance}; where nobody can, the copies refuse by themselves.",
    "Pause las programaciones de {instance}; si no se puede, las copias se niegan por sí mismas.",
)
STOP_ODOO_AT_ORIGIN = Step(
    "origin",
    "Stop Odoo on {origin}, and keep it from starting at boot.",
    "Pare Odoo en {origin} e impida que arranque al iniciar el servidor.",
    (
        "systemctl disable {origin_unit}",
        "systemctl stop {origin_unit}",
        "systemctl show -p ActiveState {origin_unit}   # inactive",
    ),
)
LAST_FILES = Step(
    "recovery",
    "Fetch the last files of {origin}.",
    "Traiga los últimos ficheros de {origin}.",
    (
        (
            "runuser -u {recovery_user} -- rsync {recovery_rsh} -rlt --ignore-existing "
            "{instance}:{origin_data_dir}/filestore/ {recovery_data_dir}/filestore/"
        ),
    ),
)
STOP_ORIGIN = Step(
    "origin",
    "Stop PostgreSQL on {origin} cleanly, and note its shutdown checkpoint.",
    "Pare PostgreSQL en {origin} limpiamente y anote su último checkpoint.",
    (
        at_boot("origin", "manual"),
        "{origin_ctl} stop",
        state("origin"),
    ),
)
COMPARE = Step(
    "recovery",
    "Go on only if what {recovery} has received is greater than that checkpoint.",
    "Siga solo si lo que {recovery} ha recibido es mayor que ese checkpoint.",
    (ask("recovery", "SELECT pg_last_wal_receive_lsn()"),),
)
FENCE = Step(
    "you",
    "See by other means (the hoster's panel, a telephone) that {origin} is down, and power it off "
    "so that it stays down. Write down who says so: whatever had not been streamed is lost.",
    "Compruebe por otros medios (el panel del proveedor, un teléfono) que {origin} está caído y "
    "apáguelo para que siga así. Anote quién lo dice: lo no transmitido se pierde.",
)
PROMOTE = Step(
    "recovery",
    "Promote the cluster on {recovery}; it must answer f.",
    "Promocione el clúster de {recovery}; debe responder f.",
    (
        "{recovery_ctl} promote",
        ask("recovery", "SELECT pg_is_in_recovery()"),
        at_boot("recovery", "auto"),
        ask("recovery", "CHECKPOINT"),
    ),
)
START_ODOO = Step(
    "recovery",
    "Start Odoo on {recovery}, and wait until it answers.",
    "Arranque Odoo en {recovery} y espere a que responda.",
    (
        "systemctl enable --now {recovery_unit}",
        wait_for("{recovery_http_port}"),
    ),
)
SHOW_SITE = Step(
    "recovery",
    "Show the site on nginx.",
    "Publique el sitio en nginx.",
    (
        (
            "test -e /etc/nginx/relevo/{instance}/serving.conf && "
            "echo 'include /etc/nginx/relevo/{instance}/serving.conf;' "
            ">/etc/nginx/relevo/{instance}/shown.conf"
        ),
        "nginx -t && systemctl reload-or-restart nginx",
    ),
)
DNS_TO_RECOVERY = Step(
    "DNS",
    "Point {domains} at {recovery_shown}.",
    "Apunte {domains} a {recovery_shown}.",
)
KEEP_DOWN = Step(
    "you",
    "Keep {origin} from serving until the failback: a second primary forks the data.",
    "Impida que {origin} sirva hasta el retorno: dos primarios bifurcan los datos.",
)
