"""The procedures as a person would do them by hand, in English and Spanish.

Each step: where, what (in both languages), and the commands, whose holes are the plan's names.
Commands are typed as root on the server that the step names; what they do in a folder that is
another user's, they do as that user.
"""

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "es"]
Where = Literal["origin", "recovery", "Prefect", "DNS", "you"]


@dataclass(frozen=True)
class Step:
    """One step of a procedure."""

    where: Where
    en: str
    es: str
    commands: tuple[str, ...] = ()

    def said(self, language: Language) -> str:
        return self.en if language == "en" else self.es


def _ask(place: str, sql: str) -> str:
    psql = f"psql --cluster {{{place}_cluster}} -U postgres -d postgres"
    return f'runuser -u {{{place}_owner}} -- {psql} -XAtc "{sql}"'


def _owner(place: str) -> str:
    """As the user whom a cluster's files belong to."""
    return f"runuser -u {{{place}_owner}} -- "


def _at_boot(place: str, how: str) -> str:
    return f"echo {how} | {{{place}_configured}}tee {{{place}_config}}/start.conf"


def _state(place: str) -> str:
    return (
        f"{_owner(place)}{{{place}_bin}}/pg_controldata -D {{{place}_directory}} | "
        "grep -E 'state|checkpoint location'"
    )


def _follows(place: str, leader: str) -> tuple[str, ...]:
    """Write the signal file and the connection of a standby."""
    return (
        f"{_owner(place)}install -m 600 /dev/null {{{place}_directory}}/standby.signal",
        (
            f'printf "%s\\n" "primary_conninfo = \'{{{leader}}} application_name={{instance}}\'" '
            "\"primary_slot_name = '{instance}'\" | "
            f"{_owner(place)}tee -a {{{place}_directory}}/postgresql.auto.conf"
        ),
    )


def _wait_for(port: str) -> str:
    return (
        "curl -sS --retry 60 --retry-delay 1 --retry-connrefused -o /dev/null "
        f"-w '%{{{{http_code}}}}\\n' http://127.0.0.1:{port}/web/login   # 200 or 303"
    )


WAKE = Step(
    "recovery",
    "Start PostgreSQL on {recovery} again: customers were moved to it, and it is down.",
    "Arranque de nuevo PostgreSQL en {recovery}: los clientes se movieron allí y está parado.",
    (
        "systemctl start {recovery_cluster_unit}",
        _ask("recovery", "SELECT pg_is_in_recovery()") + "   # f",
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
        _at_boot("origin", "manual"),
        "{origin_ctl} stop",
        _state("origin"),
    ),
)
COMPARE = Step(
    "recovery",
    "Go on only if what {recovery} has received is greater than that checkpoint.",
    "Siga solo si lo que {recovery} ha recibido es mayor que ese checkpoint.",
    (_ask("recovery", "SELECT pg_last_wal_receive_lsn()"),),
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
        _ask("recovery", "SELECT pg_is_in_recovery()"),
        _at_boot("recovery", "auto"),
        _ask("recovery", "CHECKPOINT"),
    ),
)
START_ODOO = Step(
    "recovery",
    "Start Odoo on {recovery}, and wait until it answers.",
    "Arranque Odoo en {recovery} y espere a que responda.",
    (
        "systemctl enable --now {recovery_unit}",
        _wait_for("{recovery_http_port}"),
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

HOLD_ORIGIN = Step(
    "origin",
    "Hold {origin}: neither Odoo nor PostgreSQL may serve there.",
    "Retenga {origin}: allí no deben servir ni Odoo ni PostgreSQL.",
    (
        "systemctl disable {origin_unit}",
        "systemctl stop {origin_unit}",
        _at_boot("origin", "manual"),
        "{origin_ctl} stop   # 2: it was down already",
    ),
)
KEEP_ASIDE = Step(
    "origin",
    "Keep what only {origin} has, before anything in it is taken back.",
    "Guarde lo que solo tiene {origin} antes de deshacer nada.",
    (
        _owner("origin")
        + "cp -aL --reflink=auto {origin_directory} {origin_directory}.kept-by-hand",
    ),
)
PREPARE_LEADER = Step(
    "recovery",
    "Write the new timeline into the control file of {recovery}, keep WAL for {origin}, and let "
    "{origin} in.",
    "Escriba la nueva línea de tiempo en el fichero de control de {recovery}, retenga WAL y "
    "permita que {origin} se conecte.",
    (
        _ask("recovery", "CHECKPOINT"),
        _ask("recovery", "SELECT pg_create_physical_replication_slot('{instance}', true)"),
        "{open_door}",
    ),
)
REWIND = Step(
    "origin",
    "Rewind {origin}. Never run this twice: a second run forks it silently. If it fails, go by "
    "the way of a new clone.",
    "Ejecute pg_rewind en {origin}. Nunca dos veces: la segunda lo bifurca en silencio. Si falla, "
    "haga un clon nuevo.",
    ("{recover_offline}   # only if it was not shut down cleanly", "{rewind}"),
)
RECLONE = Step(
    "origin",
    "Clone {recovery} beside the old directory, and swap them when it is whole.",
    "Clone {recovery} junto al directorio antiguo y cámbielos cuando esté completo.",
    (
        _owner("origin") + "mkdir -m 700 {origin_directory}.relevo-new",
        "{base_backup}",
        _owner("origin") + "mv -T {origin_directory} {origin_directory}.kept-by-hand",
        _owner("origin") + "mv -T {origin_directory}.relevo-new {origin_directory}",
    ),
)
FOLLOW = Step(
    "origin",
    "Make {origin} a standby BEFORE it starts; without standby.signal it would open for writing.",
    "Haga de {origin} un standby ANTES de arrancarlo; sin standby.signal abriría en escritura.",
    (
        *_follows("origin", "to_recovery"),
        "systemctl start {origin_cluster_unit}",
        _ask("origin", "SELECT pg_is_in_recovery(), status FROM pg_stat_wal_receiver")
        + "   # t|streaming",
    ),
)
FILES_BACK_COMMAND = (
    "runuser -u {recovery_user} -- rsync {recovery_rsh} -rlt --ignore-existing "
    "{recovery_data_dir}/filestore/ {instance}:{origin_data_dir}/filestore/"
)
OPEN_FILES = Step(
    "origin",
    "Let the key of {recovery} write files here, for six hours.",
    "Permita durante seis horas que la clave de {recovery} escriba ficheros aquí.",
    ("install -d /run/relevo && date -d '+6 hours' '+failback %s' > {writable}",),
)
FILES_BACK = Step(
    "recovery",
    "Copy the files back while customers work on.",
    "Devuelva los ficheros mientras los clientes trabajan.",
    (FILES_BACK_COMMAND,),
)
CLOSE_RECOVERY = Step(
    "recovery",
    "The window begins: stop Odoo on {recovery}, copy the last files, stop PostgreSQL cleanly.",
    "Empieza la ventana: pare Odoo en {recovery}, copie lo último, pare PostgreSQL limpiamente.",
    (
        "systemctl disable --now {recovery_unit}",
        FILES_BACK_COMMAND,
        _at_boot("recovery", "manual"),
        "{recovery_ctl} stop",
        _state("recovery"),
    ),
)
COMPARE_BACK = Step(
    "origin",
    "Go on only if what {origin} has received is greater than that checkpoint; otherwise start "
    "{recovery} again and let it catch up.",
    "Siga solo si lo recibido por {origin} es mayor que ese checkpoint; si no, arranque de nuevo "
    "{recovery} y espere.",
    (_ask("origin", "SELECT pg_last_wal_receive_lsn()"),),
)
GUARD_OUT = Step(
    "origin",
    "Take the guard out of {origin}: no receipt lets it write, and the guard would stop it again.",
    "Retire la guarda de {origin}: ningún recibo le deja escribir, y lo volvería a parar.",
    (
        "systemctl disable --now relevo-guard-{instance}",
        (
            "rm -f /etc/systemd/system/{origin_cluster_unit}.d/relevo.conf "
            "/etc/systemd/system/{origin_unit}.d/relevo.conf {writable}"
        ),
        "systemctl daemon-reload",
    ),
)
PROMOTE_ORIGIN = Step(
    "origin",
    "Promote {origin}, start Odoo there, and see it answer.",
    "Promocione {origin}, arranque allí Odoo y compruebe que responde.",
    (
        "{origin_ctl} promote",
        _at_boot("origin", "auto"),
        _ask("origin", "CHECKPOINT"),
        "systemctl enable --now {origin_unit}",
        _wait_for("{origin_http_port}"),
    ),
)
DNS_TO_ORIGIN = Step(
    "DNS",
    "Point {domains} at {origin_shown}.",
    "Apunte {domains} a {origin_shown}.",
)
HIDE_SITE = Step(
    "recovery",
    "Let the site on nginx stand by.",
    "Ponga el sitio de nginx en espera.",
    (
        (
            "echo 'include /etc/nginx/relevo/{instance}/standby.conf;' "
            ">/etc/nginx/relevo/{instance}/shown.conf; systemctl reload nginx"
        ),
    ),
)
FOLLOW_AGAIN = Step(
    "recovery",
    "Let {recovery} follow {origin} again.",
    "Haga que {recovery} siga de nuevo a {origin}.",
    (
        *_follows("recovery", "to_origin"),
        "systemctl start {recovery_cluster_unit}",
        _at_boot("recovery", "auto"),
        _ask("recovery", "SELECT pg_is_in_recovery(), status FROM pg_stat_wal_receiver")
        + "   # t|streaming",
        _ask("recovery", "SELECT pg_drop_replication_slot('{instance}')"),
        "{close_door}",
    ),
)
RESUME = Step(
    "Prefect",
    "Run replicate for {instance}, which puts the guard back; then failback, which finds everybody "
    "home and ends what is open. check must be green.",
    "Ejecute replicate de {instance}, que repone la guarda; después failback, que encuentra a "
    "todos en casa y cierra lo abierto. check debe quedar en verde.",
)

POWER_OFF = Step(
    "you",
    "This page is for customers who are served from {recovery}, which has died. See by other means "
    "(the hoster's panel, a telephone) that {recovery} is gone. Power it off, and see that it "
    "stays off: its cluster starts at boot, and would accept writes beside {origin}. Write down "
    "who says so.",
    "Esta página es para clientes servidos desde {recovery}, que ha caído. Compruebe por otros "
    "medios (el panel del proveedor, un teléfono) que no funciona, apáguelo y compruebe que sigue "
    "apagado: su clúster arranca con el servidor y aceptaría escrituras a la vez que {origin}. "
    "Anote quién lo dice.",
)
START_ORIGIN = Step(
    "origin",
    "Start PostgreSQL on {origin}, and let its commits wait for nobody. If there is a file rewind, "
    "{origin} was just being rewound: first put its copy {origin_directory}.quarantine-* in the "
    "place of {origin_directory}.",
    "Arranque PostgreSQL en {origin}, sin que sus commits esperen a nadie. Si existe el fichero "
    "rewind, {origin} estaba en pleno pg_rewind: ponga antes su copia "
    "{origin_directory}.quarantine-* en el lugar de {origin_directory}.",
    (
        "test ! -e /var/lib/relevo/{instance}/rewind",
        _owner("origin") + "rm -f {origin_config}/conf.d/relevo-synchronous.conf",
        "systemctl start {origin_cluster_unit}   # 2: it is up already",
    ),
)
SEE_WHAT_IS_LOST = Step(
    "origin",
    "See what {origin} has. t: it was following {recovery}, and has everything up to the time that "
    "stands there (none: nobody has written since it started). f: it has the state of the "
    "failover; what customers have written since is on {recovery} alone. Go on only if that may be "
    "lost.",
    "Vea qué tiene {origin}. t: seguía a {recovery} y lo tiene todo hasta la hora indicada "
    "(ninguna: nadie ha escrito desde que arrancó). f: tiene el estado del failover; lo escrito "
    "desde entonces está solo en {recovery}. Siga solo si puede perderse.",
    (_ask("origin", "SELECT pg_is_in_recovery(), pg_last_xact_replay_timestamp()"),),
)
SERVE_AT_ORIGIN = Step(
    "origin",
    "Promote {origin} if it was following (it must answer f), start Odoo there, and see it answer.",
    "Promocione {origin} si era un standby (debe responder f), arranque allí Odoo y compruebe que "
    "responde.",
    (
        _ask("origin", "SELECT CASE WHEN pg_is_in_recovery() THEN pg_promote() END"),
        _ask("origin", "SELECT pg_is_in_recovery()"),
        _at_boot("origin", "auto"),
        _ask("origin", "CHECKPOINT"),
        "systemctl enable --now {origin_unit}",
        _wait_for("{origin_http_port}"),
    ),
)
BEFORE_IT_BOOTS = Step(
    "recovery",
    "When {recovery} can be repaired, do not boot it on the network. Boot it in rescue mode, and "
    "keep it from serving and from being woken by a button; do so for every instance that it "
    "served. Then boot it.",
    "Cuando {recovery} pueda repararse, no lo arranque conectado a la red. Arránquelo en modo de "
    "rescate e impida que sirva y que un botón lo despierte; hágalo con cada instancia que servía. "
    "Después arránquelo.",
    (
        _at_boot("recovery", "manual"),
        "systemctl disable {recovery_unit}",
        "rm -f /etc/nginx/relevo/{instance}/shown.conf",
        (
            "test ! -e /var/lib/relevo/{instance}/failover.json || "
            "mv /var/lib/relevo/{instance}/failover.json "
            "/var/lib/relevo/{instance}/failover.json.kept-by-hand"
        ),
    ),
)
FILES_HOME = Step(
    "recovery",
    "Copy to {origin} the files that only {recovery} has, all but those that its crash has torn.",
    "Copie a {origin} los ficheros que solo tiene {recovery}, salvo los que la caída dejó "
    "a medias.",
    (
        (
            "cd {recovery_data_dir}/filestore && runuser -u {recovery_user} -- "
            "find . -type f -exec sha1sum {{}} + | awk -F/ "
            "'substr($0, 1, 40) != $NF {{ print substr($0, 44) }}' | runuser -u {recovery_user} -- "
            "rsync {recovery_rsh} -rlt --ignore-existing --exclude-from=- ./ "
            "{instance}:{origin_data_dir}/filestore/"
        ),
    ),
)
CLOSE_FILES = Step(
    "origin",
    "Let the key of {recovery} write no more.",
    "Que la clave de {recovery} no escriba más.",
    ("rm -f {writable}",),
)
REPLICATE_AGAIN = Step(
    "Prefect",
    "Run replicate for {instance}: {recovery} follows again, what only it has is kept aside, and "
    "the guard is back. If it says that {recovery} cannot follow, run basebackup with reclone "
    "(relevo run basebackup {instance} --set reclone=true), and replicate again. check must be "
    "green.",
    "Ejecute replicate de {instance}: {recovery} vuelve a seguir, lo que solo él tiene se guarda "
    "aparte y la guarda se repone. Si dice que {recovery} no puede seguir, ejecute basebackup con "
    "reclone (relevo run basebackup {instance} --set reclone=true) y de nuevo replicate. check "
    "debe quedar en verde.",
)

# What has no meaning for an instance that has no domains in the inventory.
OF_DOMAINS = (SHOW_SITE, HIDE_SITE, DNS_TO_RECOVERY, DNS_TO_ORIGIN)
SHOW = (PROMOTE, START_ODOO, SHOW_SITE, DNS_TO_RECOVERY)
SERVE = (*SHOW, KEEP_DOWN)
HAND_OVER = (
    OPEN_FILES,
    FILES_BACK,
    CLOSE_RECOVERY,
    COMPARE_BACK,
    GUARD_OUT,
    PROMOTE_ORIGIN,
    DNS_TO_ORIGIN,
    HIDE_SITE,
    FOLLOW_AGAIN,
    RESUME,
)
STEPS: dict[tuple[str, str], tuple[Step, ...]] = {
    ("failover", "planned"): (
        PAUSE, STOP_ODOO_AT_ORIGIN, LAST_FILES, STOP_ORIGIN, COMPARE, *SERVE,
    ),
    ("failover", "forced"): (FENCE, PAUSE, *SERVE),
    ("failback", "follow"): (HOLD_ORIGIN, PREPARE_LEADER, FOLLOW, *HAND_OVER),
    ("failback", "rewind"): (
        HOLD_ORIGIN, KEEP_ASIDE, PREPARE_LEADER, REWIND, FOLLOW, *HAND_OVER,
    ),
    ("failback", "reclone"): (HOLD_ORIGIN, PREPARE_LEADER, RECLONE, FOLLOW, *HAND_OVER),
    ("switchover", "planned"): (
        PAUSE, STOP_ODOO_AT_ORIGIN, LAST_FILES, STOP_ORIGIN, COMPARE, *SHOW, PREPARE_LEADER, FOLLOW,
    ),
    ("switchover home", "planned"): HAND_OVER,
    ("recovery is gone", "forced"): (
        POWER_OFF, GUARD_OUT, START_ORIGIN, SEE_WHAT_IS_LOST, SERVE_AT_ORIGIN, DNS_TO_ORIGIN,
        BEFORE_IT_BOOTS, OPEN_FILES, FILES_HOME, CLOSE_FILES, REPLICATE_AGAIN,
    ),
}  # fmt: skip
