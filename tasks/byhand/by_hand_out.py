"""How an instance is moved to its recovery host."""

from tasks.byhand.by_hand_step import (
    LIMITS,
    Step,
    ask,
    at_boot,
    await_true,
    control,
    copied,
    directory,
    has_all,
    odoo_serves,
    odoo_stops,
    promoted,
    require,
    start,
    stopped,
)

ANSWERS = Step(
    "origin",
    "See whether {origin} answers.",
    "Vea si {origin} responde.",
    (
        ask(
            "origin",
            "SELECT NOT pg_is_in_recovery() AND EXISTS (SELECT FROM pg_stat_replication "
            "WHERE application_name = '{instance}' AND state = 'streaming')",
        ),
    ),
)
WAKE = Step(
    "recovery",
    "Start PostgreSQL on {recovery} again: customers were moved to it, and it is down.",
    "Arranque de nuevo PostgreSQL en {recovery}: los clientes se movieron allí y está detenido.",
    (
        *start("{recovery_cluster_unit}"),
        *await_true("recovery", "SELECT NOT pg_is_in_recovery()"),
    ),
    note_en="It must print t. If it prints f, {recovery} only follows: customers were not moved to "
    "it, and way A or B is the right one.",
    note_es="Debe responder t. Si responde f, {recovery} solo sigue: los clientes no se movieron "
    "allí, y el camino correcto es el A o el B.",
)
PAUSE = Step(
    "Prefect",
    "Pause the schedules of {instance}; where nobody can, the copies refuse by themselves.",
    "Pause las programaciones de {instance}; si no se puede, las copias se detienen solas.",
)
READY = Step(
    "recovery",
    "See that {recovery} is ready to take over.",
    "Compruebe que {recovery} está listo para recibir a los clientes.",
    (
        *require(
            "recovery",
            "SELECT pg_is_in_recovery() AND NOT pg_is_wal_replay_paused() AND EXISTS "
            "(SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')",
        ),
        "systemctl cat {recovery_unit} >/dev/null",
        "ls -l {recovery_odoo_config}",
    ),
    note_en="Nothing is stopped yet. If it does not end with OK, leave the customers where they "
    "are and fix what it names.",
    note_es="Todavía no se detiene nada. Si no termina con OK, deje a los clientes donde están y "
    "arregle lo que indique.",
)
STOP_ODOO_AT_ORIGIN = Step(
    "origin",
    "Stop Odoo on {origin}, and keep it from starting at boot.",
    "Detenga Odoo en {origin} e impida que arranque al iniciar el servidor.",
    odoo_stops("origin"),
    note_en="From here on the customers cannot work. If this block, or one of the next, ends "
    'without OK and cannot be helped, go on with the step "start PostgreSQL and Odoo on {origin} '
    'again".',
    note_es="Desde aquí los clientes no pueden trabajar. Si este bloque, o uno de los siguientes, "
    'termina sin OK y no tiene arreglo, siga con el paso "arranque de nuevo PostgreSQL y Odoo en '
    '{origin}".',
)
LAST_FILES = Step(
    "recovery",
    "Fetch the last files of {origin}.",
    "Traiga los últimos archivos de {origin}.",
    (
        copied(
            "runuser -u {recovery_user} -- rsync {recovery_rsh} -rlt --ignore-existing "
            "{instance}:{origin_data_dir}/filestore/ {recovery_data_dir}/filestore/"
        ),
    ),
    note_en="If it ends without OK and cannot be helped, go on with the step "
    '"start PostgreSQL and Odoo on {origin} again".',
    note_es="Si termina sin OK y no tiene arreglo, siga con el paso "
    '"arranque de nuevo PostgreSQL y Odoo en {origin}".',
)
STOP_ORIGIN = Step(
    "origin",
    "Stop PostgreSQL on {origin} cleanly.",
    "Detenga PostgreSQL en {origin} limpiamente.",
    stopped("origin"),
    note_en="It prints one line that begins with stopped=. Copy that line: the next step needs it.",
    note_es="Imprime una línea que empieza con stopped=. Copie esa línea: el paso siguiente la "
    "necesita.",
)
COMPARE = Step(
    "recovery",
    "See that {recovery} has all that {origin} wrote.",
    "Compruebe que {recovery} tiene todo lo que {origin} escribió.",
    has_all("recovery"),
    note_en="Paste the block, and when it asks, the line stopped=... that {previous} printed. It "
    "must print t: then nothing is lost.",
    note_es="Pegue el bloque y, cuando pregunte, la línea stopped=... que imprimió {previous}. "
    "Debe responder t: entonces no se pierde nada.",
)
SERVE_ON = Step(
    "origin",
    "Only if {previous} printed f, or a step since Odoo was stopped ended without OK: start "
    "PostgreSQL and Odoo on {origin} again, and try later.",
    "Solo si {previous} respondió f, o un paso desde que se detuvo Odoo terminó sin OK: arranque "
    "de nuevo PostgreSQL y Odoo en {origin}, e inténtelo más tarde.",
    (
        at_boot("origin", "auto"),
        *start("{origin_cluster_unit}"),
        *await_true("origin", "SELECT NOT pg_is_in_recovery()"),
        *odoo_serves("origin"),
    ),
    note_en="Nothing is lost. Do not go on with the next step.",
    note_es="No se perdió nada. No siga con el paso siguiente.",
)
FENCE = Step(
    "you",
    "Confirm from another source (the provider's panel, a telephone) that {origin} is down, and "
    "power it off so that it stays down.",
    "Confirme por otro medio (el panel del proveedor, un teléfono) que {origin} está caído, y "
    "apáguelo para que siga así.",
    note_en="Power it off at the provider, even if you can still log in, and check that it is off. "
    "Two servers that accept changes at once cannot be merged afterwards. Write down who says so "
    "and when. If {origin} still serves its customers, stop here: {recovery} does not follow it, "
    "and moving them would lose their work. Mend the replication instead.",
    note_es="Apáguelo en el panel del proveedor, aunque todavía pueda entrar, y compruebe que está "
    "apagado. Dos servidores que aceptan cambios a la vez no pueden unirse después. Anote quién "
    "lo dice y cuándo. Si {origin} todavía atiende a sus clientes, deténgase aquí: {recovery} no "
    "lo sigue, y trasladarlos perdería su trabajo. Arregle la replicación.",
)
SEE_LOSS = Step(
    "recovery",
    "See what may be lost.",
    "Vea qué puede perderse.",
    (
        ask(
            "recovery",
            "SELECT now() AS now, pg_last_xact_replay_timestamp() AS last_change_here, "
            "date_trunc('second', now() - pg_last_xact_replay_timestamp()) AS ago",
        )
        + " -x -P tuples_only=off",
        ask(
            "recovery",
            "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles "
            "WHERE rolname = '{replication_user}'",
        ),
        *require("recovery", "SELECT pg_is_in_recovery() AND NOT pg_is_wal_replay_paused()"),
    ),
    note_en="last_change_here is the time of the last change that {recovery} has, in its own time "
    "zone; ago says how long ago that was. Changes saved at {origin} after that time may be lost, "
    "earlier ones are here. Where commits wait for {recovery}, a further line says so: with "
    '"waits": true and "policy": "wait", nothing is lost that was acknowledged. The last line '
    "must be t. Go on only if that loss is accepted, and write down by whom.",
    note_es="last_change_here es la hora del último cambio que tiene {recovery}, en su propia zona "
    "horaria; ago dice hace cuánto fue. Los cambios guardados en {origin} después de esa hora "
    "pueden perderse; los anteriores están aquí. Si los commits esperan a {recovery}, una línea "
    'más lo dice: con "waits": true y "policy": "wait" no se pierde nada que se haya confirmado. '
    "La última línea debe ser t. Siga solo si se acepta esa pérdida, y anote quién la acepta.",
)
RAISE_LIMITS = Step(
    "recovery",
    "Only if {previous} printed f or no answer: start PostgreSQL on {recovery} with the limits "
    "that its WAL asks for.",
    "Solo si {previous} respondió f o nada: arranque PostgreSQL en {recovery} con los límites que "
    "pide su WAL.",
    (
        directory("recovery"),
        f"limits=$({control('recovery')} | {LIMITS})",
        (
            "printf '%s\\n' \"$limits\" | "
            "{recovery_configured}tee -a {recovery_config}/conf.d/relevo.conf"
        ),
        "systemctl reset-failed {recovery_cluster_unit} 2>/dev/null || true",
        "systemctl restart {recovery_cluster_unit}",
        *await_true("recovery", "SELECT pg_is_in_recovery() AND NOT pg_is_wal_replay_paused()"),
    ),
    note_en="It was down, or had stopped to replay. If a colleague paused the replay on purpose "
    "(a deletion that must not arrive here), ask first: this goes on with it. Then paste "
    "{previous} again.",
    note_es="Estaba detenido, o había dejado de aplicar cambios. Si un colega lo pausó a propósito "
    "(un borrado que no debe llegar aquí), pregunte primero: esto lo reanuda. Después pegue "
    "{previous} otra vez.",
)
PROMOTE = Step(
    "recovery",
    "Promote the cluster on {recovery}.",
    "Promueva el clúster de {recovery}.",
    promoted("recovery"),
    note_en="It prints t when {recovery} accepts changes. From here on {origin} must not serve.",
    note_es="Responde t cuando {recovery} acepta cambios. Desde aquí {origin} no debe atender.",
)
START_ODOO = Step(
    "recovery",
    "Start Odoo on {recovery}, and wait until it answers.",
    "Arranque Odoo en {recovery} y espere a que responda.",
    odoo_serves("recovery"),
    note_en="It prints what a browser gets: usually 200, 302 or 303. From 500 on Odoo does not "
    "work; journalctl -u {recovery_unit} says why.",
    note_es="Imprime lo que recibe un navegador: normalmente 200, 302 o 303. A partir de 500 Odoo "
    "no funciona; journalctl -u {recovery_unit} dice por qué.",
)
SHOW_SITE = Step(
    "recovery",
    "Show the site on nginx.",
    "Publique el sitio en nginx.",
    (
        "test -e /etc/nginx/relevo/{instance}/serving.conf",
        (
            "echo 'include /etc/nginx/relevo/{instance}/serving.conf;' "
            ">/etc/nginx/relevo/{instance}/shown.conf"
        ),
        "nginx -t",
        "systemctl reload-or-restart nginx",
    ),
)
DNS_TO_RECOVERY = Step(
    "DNS",
    "Point {domains} at {recovery_shown}.",
    "Apunte {domains} a {recovery_shown}.",
)
KEEP_DOWN = Step(
    "you",
    "Keep {origin} from serving until the failback.",
    "Impida que {origin} atienda hasta el failback.",
    note_en="The guard at {origin} knows nothing of a move by hand. Do not just power {origin} on: "
    "begin with step 1 of the page failback, which stands beside this one.",
    note_es="La guarda de {origin} no sabe nada de un traslado a mano. No encienda {origin} sin "
    "más: empiece por el paso 1 de la página failback, que está junto a esta.",
)
