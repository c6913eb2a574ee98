"""How an instance comes home, once its origin follows: with all that was written meanwhile."""

from dataclasses import replace

from tasks.byhand.by_hand_step import (
    Step,
    ask,
    at_boot,
    await_true,
    copied,
    directory,
    follows,
    has_all,
    keeps_wal,
    odoo_serves,
    odoo_stops,
    promoted,
    start,
    stopped,
    streams,
)

FILES_BACK_COMMAND = copied(
    "runuser -u {recovery_user} -- rsync {recovery_rsh} -rlt --ignore-existing "
    "{recovery_data_dir}/filestore/ {instance}:{origin_data_dir}/filestore/"
)
OPEN_FILES = Step(
    "origin",
    "Let the key of {recovery} write files here, for six hours.",
    "Permita durante seis horas que la clave de {recovery} escriba archivos aquí.",
    ("install -d /run/relevo", "date -d '+6 hours' '+failback %s' >{writable}"),
)
OPEN_FILES_AGAIN = replace(
    OPEN_FILES,
    en="Let the key of {recovery} write files here for six hours more.",
    es="Permita durante seis horas más que la clave de {recovery} escriba archivos aquí.",
    note_en="The window needs it, and the six hours may be over.",
    note_es="La ventana lo necesita, y las seis horas pueden haber pasado.",
)
FILES_BACK = Step(
    "recovery",
    "Copy the files back while customers work on.",
    "Devuelva los archivos mientras los clientes trabajan.",
    (FILES_BACK_COMMAND,),
)
CAUGHT_UP = Step(
    "recovery",
    "See that {origin} has caught up with {recovery}.",
    "Compruebe que {origin} está al día con {recovery}.",
    await_true(
        "recovery",
        "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE application_name = '{instance}' "
        "AND state = 'streaming' "
        "AND pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) < 16777216)",
    ),
    note_en="It must print t. If it prints f, paste it again later: customers go on working.",
    note_es="Debe responder t. Si responde f, péguelo otra vez más tarde: los clientes siguen "
    "trabajando.",
)
CLOSE_RECOVERY = Step(
    "recovery",
    "The window begins: stop Odoo on {recovery}, copy the last files, stop PostgreSQL cleanly.",
    "Empieza la ventana: detenga Odoo en {recovery}, copie lo último, detenga PostgreSQL "
    "limpiamente.",
    (*odoo_stops("recovery"), FILES_BACK_COMMAND, *stopped("recovery")),
    note_en="From here on the customers cannot work. It prints one line that begins with stopped=. "
    "Copy that line: the next step needs it. If the block ends without OK, go on with the step "
    '"start PostgreSQL and Odoo on {recovery} again".',
    note_es="Desde aquí los clientes no pueden trabajar. Imprime una línea que empieza con "
    "stopped=. Copie esa línea: el paso siguiente la necesita. Si el bloque termina sin OK, siga "
    'con el paso "arranque de nuevo PostgreSQL y Odoo en {recovery}".',
)
COMPARE_BACK = Step(
    "origin",
    "See that {origin} has all that {recovery} wrote.",
    "Compruebe que {origin} tiene todo lo que {recovery} escribió.",
    has_all("origin"),
    note_en="Paste the block, and when it asks, the line stopped=... that {previous} printed. It "
    "must print t: then nothing is lost.",
    note_es="Pegue el bloque y, cuando pregunte, la línea stopped=... que imprimió {previous}. "
    "Debe responder t: entonces no se pierde nada.",
)
SERVE_ON_THERE = Step(
    "recovery",
    "Only if {previous} printed f, or the step before it ended without OK: start PostgreSQL and "
    "Odoo on {recovery} again, and try later.",
    "Solo si {previous} respondió f, o el paso anterior a ese terminó sin OK: arranque de nuevo "
    "PostgreSQL y Odoo en {recovery}, e inténtelo más tarde.",
    (
        at_boot("recovery", "auto"),
        *start("{recovery_cluster_unit}"),
        *await_true("recovery", "SELECT NOT pg_is_in_recovery()"),
        *odoo_serves("recovery"),
    ),
    note_en="Nothing is lost. Go back to the step that sees whether {origin} has caught up, and go "
    "on from there.",
    note_es="No se perdió nada. Vuelva al paso que comprueba si {origin} está al día y siga desde "
    "allí.",
)
GUARD_OUT = Step(
    "origin",
    "Take the guard out of {origin}: no receipt lets it write, and the guard would stop it again.",
    "Retire la guarda de {origin}: ningún recibo le deja escribir, y lo volvería a detener.",
    (
        (
            "if systemctl cat relevo-guard-{instance} >/dev/null 2>&1; then "
            "systemctl disable --now relevo-guard-{instance}; fi"
        ),
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
    "Promueva {origin}, arranque allí Odoo y compruebe que responde.",
    (*promoted("origin"), *keeps_wal("origin"), *odoo_serves("origin")),
    note_en="It prints t, and then what a browser gets: usually 200, 302 or 303. From 500 on Odoo "
    "does not work; journalctl -u {origin_unit} says why.",
    note_es="Responde t, y después lo que recibe un navegador: normalmente 200, 302 o 303. A "
    "partir de 500 Odoo no funciona; journalctl -u {origin_unit} dice por qué.",
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
            ">/etc/nginx/relevo/{instance}/shown.conf"
        ),
        "systemctl reload-or-restart nginx",
    ),
)
FOLLOW_AGAIN = Step(
    "recovery",
    "Let {recovery} follow {origin} again.",
    "Haga que {recovery} siga de nuevo a {origin}.",
    (
        directory("recovery"),
        *follows("recovery", "to_origin"),
        *streams("recovery"),
        at_boot("recovery", "auto"),
        ask(
            "recovery",
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
            "WHERE slot_name = '{instance}' AND NOT active",
        ),
        "{close_door}",
    ),
    note_en="It must print t: {recovery} follows {origin}.",
    note_es="Debe responder t: {recovery} sigue a {origin}.",
)
RESUME = Step(
    "Prefect",
    "Run replicate for {instance}, which puts the guard back; then failback, which finds everybody "
    "home and ends what is open. check must be green.",
    "Ejecute replicate de {instance}, que repone la guarda; después failback, que encuentra a "
    "todos en casa y cierra lo abierto. check debe quedar en verde.",
    note_en="Where the customers had been moved by hand too, failback says that nothing is open: "
    "that is right.",
    note_es="Si los clientes también se habían trasladado a mano, failback dice que no hay nada "
    "abierto: es lo correcto.",
)
