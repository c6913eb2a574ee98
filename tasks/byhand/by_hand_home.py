"""How an instance comes home, with what was written while it was away."""

from tasks.byhand.by_hand_step import Step, as_owner, ask, at_boot, follows, state, wait_for

HOLD_ORIGIN = Step(
    "origin",
    "Hold {origin}: neither Odoo nor PostgreSQL may serve there.",
    "Retenga {origin}: allí no deben servir ni Odoo ni PostgreSQL.",
    (
        "systemctl disable {origin_unit}",
        "systemctl stop {origin_unit}",
        at_boot("origin", "manual"),
        "{origin_ctl} stop   # 2: it was down already",
    ),
)
KEEP_ASIDE = Step(
    "origin",
    "Keep what only {origin} has, before anything in it is taken back.",
    "Guarde lo que solo tiene {origin} antes de deshacer nada.",
    (
        as_owner("origin")
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
        ask("recovery", "CHECKPOINT"),
        ask("recovery", "SELECT pg_create_physical_replication_slot('{instance}', true)"),
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
        as_owner("origin") + "mkdir -m 700 {origin_directory}.relevo-new",
        "{base_backup}",
        as_owner("origin") + "mv -T {origin_directory} {origin_directory}.kept-by-hand",
        as_owner("origin") + "mv -T {origin_directory}.relevo-new {origin_directory}",
    ),
)
FOLLOW = Step(
    "origin",
    "Make {origin} a standby BEFORE it starts; without standby.signal it would open for writing.",
    "Haga de {origin} un standby ANTES de arrancarlo; sin standby.signal abriría en escritura.",
    (
        *follows("origin", "to_recovery"),
        "systemctl start {origin_cluster_unit}",
        ask("origin", "SELECT pg_is_in_recovery(), status FROM pg_stat_wal_receiver")
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
        at_boot("recovery", "manual"),
        "{recovery_ctl} stop",
        state("recovery"),
    ),
)
COMPARE_BACK = Step(
    "origin",
    "Go on only if what {origin} has received is greater than that checkpoint; otherwise start "
    "{recovery} again and let it catch up.",
    "Siga solo si lo recibido por {origin} es mayor que ese checkpoint; si no, arranque de nuevo "
    "{recovery} y espere.",
    (ask("origin", "SELECT pg_last_wal_receive_lsn()"),),
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
        at_boot("origin", "auto"),
        ask("origin", "CHECKPOINT"),
        "systemctl enable --now {origin_unit}",
        wait_for("{origin_http_port}"),
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
        *follows("recovery", "to_origin"),
        "systemctl start {recovery_cluster_unit}",
        at_boot("recovery", "auto"),
        ask("recovery", "SELECT pg_is_in_recovery(), status FROM pg_stat_wal_receiver")
        + "   # t|streaming",
        ask("recovery", "SELECT pg_drop_replication_slot('{instance}')"),
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
