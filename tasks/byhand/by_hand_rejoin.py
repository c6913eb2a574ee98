"""How the origin is held, and made to follow the recovery host by each of the ways."""

from tasks.byhand.by_hand_step import (
    LIMITS,
    Step,
    as_owner,
    at_boot,
    control,
    directory,
    follows,
    keeps_wal,
    psql,
    require,
    stop,
    streams,
)

OWNER = as_owner("origin")
MARKER = "/var/lib/relevo/{instance}/rewind"
# Where this night's copy of the data directory stands; a boot forgets it.
KEPT = "/run/relevo/{instance}.kept-by-hand"
ASIDE = 'aside="$data.quarantine-by-hand-$(date +%Y%m%d-%H%M%S)"'
NO_SYNCHRONOUS = f"{OWNER}rm -f {{origin_config}}/conf.d/relevo-synchronous.conf"
IS_THERE = "if test -e {origin_config}/postgresql.conf; then"
# A name beside the data directory is made and moved as whoever owns the folder: root, or postgres.
ABOVE = 'over=$(stat -Lc %U "$(dirname "$data")")'
OVER = 'runuser -u "$over" -- '


def made(folder: str) -> str:
    """Make a folder of the cluster's user beside the data directory."""
    group = '-g "$(id -gn {origin_owner})"'
    return f'{OVER}install -d -m 700 -o {{origin_owner}} {group} "{folder}"'


BEFORE_BOOT = Step(
    "origin",
    "Only if {origin} is powered off: keep it from serving before it boots.",
    "Solo si {origin} está apagado: impida que atienda antes de que arranque.",
    (
        IS_THERE,
        f"  {at_boot('origin', 'manual')}",
        f"  {NO_SYNCHRONOUS}",
        "fi",
        # In a chroot systemctl tells of no unit whether it is there, but disables one that is.
        "said=$(LC_ALL=C systemctl disable {origin_unit} 2>&1) ||",
        "  printf '%s\\n' \"$said\" | grep 'does not exist'",
    ),
    note_en="Boot it in the provider's rescue mode, mount its disk, enter it with chroot, and "
    "paste the block there. Then boot it. Otherwise it would come up and accept changes beside "
    "{recovery}.",
    note_es="Arránquelo en el modo de rescate del proveedor, monte su disco, entre con chroot y "
    "pegue allí el bloque. Después arránquelo. De otro modo arrancaría y aceptaría cambios a la "
    "vez que {recovery}.",
)
HOLD_ORIGIN = Step(
    "origin",
    "Hold {origin}: neither Odoo nor PostgreSQL may serve there.",
    "Retenga {origin}: allí no deben atender ni Odoo ni PostgreSQL.",
    (
        "systemctl stop 'relevo-{instance}-*.service'   # a long job of Relevo's own",
        IS_THERE,
        f"  {at_boot('origin', 'manual')}",
        "  systemctl daemon-reload",
        f"  {stop('origin')}",
        f"  {NO_SYNCHRONOUS}",
        "fi",
        "if systemctl cat {origin_unit} >/dev/null 2>&1; then",
        "  systemctl disable {origin_unit}",
        "  systemctl stop {origin_unit}",
        "fi",
    ),
    note_en="Customers work on {recovery} meanwhile; there is no hurry.",
    note_es="Mientras tanto los clientes trabajan en {recovery}; no hay prisa.",
)
PREPARE_LEADER = Step(
    "recovery",
    "Keep WAL on {recovery} for {origin}, and let {origin} in.",
    "Retenga WAL en {recovery} para {origin} y permita que se conecte.",
    (
        *require("recovery", "SELECT NOT pg_is_in_recovery()"),
        f'{psql("recovery")} -c "CHECKPOINT"',
        *keeps_wal("recovery"),
        "{open_door}",
    ),
    note_en="It must print t: {recovery} serves. If it prints f, stop here: customers are not "
    "served from {recovery}.",
    note_es="Debe responder t: {recovery} atiende. Si responde f, deténgase aquí: los clientes no "
    "se atienden desde {recovery}.",
)
FOLLOW = Step(
    "origin",
    "Make {origin} a standby, and only then start it.",
    "Haga de {origin} un standby, y solo entonces arránquelo.",
    (
        directory("origin"),
        *follows("origin", "to_recovery"),
        *streams("origin"),
        f"rm -f {MARKER} {KEPT}",
    ),
    note_en="Never start PostgreSQL on {origin} in another way: without standby.signal it would "
    "accept changes. It must print t: {origin} follows {recovery}.",
    note_es="No arranque PostgreSQL en {origin} de otro modo: sin standby.signal aceptaría "
    "cambios. Debe responder t: {origin} sigue a {recovery}.",
)
KEEP_ASIDE = Step(
    "origin",
    "Keep what only {origin} has, before anything in it is taken back.",
    "Guarde lo que solo tiene {origin} antes de deshacer nada.",
    (
        f"test ! -e {MARKER}",
        directory("origin"),
        ABOVE,
        ASIDE,
        f'need=$({OWNER}du -skL "$data" | cut -f 1)',
        'free=$(df -k --output=avail "$data" | tail -n 1)',
        'echo "need: $need KB, free: $free KB"',
        'test "$free" -gt "$((need + need / 10))"',
        made("$aside.partial"),
        f'{OWNER}cp -aL --reflink=auto "$data/." "$aside.partial"',
        f'{OWNER}sync -f "$aside.partial"',
        f'{OVER}mv -T "$aside.partial" "$aside"',
        "mkdir -p /run/relevo",
        f'echo "$aside" >{KEPT}',
    ),
    note_en="It needs room on the disk for a second copy, and prints what it needs and what is "
    "free. Without room it stops: make room beside the data directory, then paste it again. "
    "If it stops without a word, pg_rewind has begun here before: begin this page again.",
    note_es="Necesita espacio en el disco para una segunda copia, e imprime cuánto necesita y "
    "cuánto hay libre. Si no alcanza se detiene: libere espacio junto al directorio de datos y "
    "péguelo otra vez. Si se detiene sin decir nada, pg_rewind ya empezó aquí antes: comience de "
    "nuevo esta página.",
)
REWIND = Step(
    "origin",
    "Rewind {origin} with pg_rewind, once and never again.",
    "Ejecute pg_rewind en {origin}, una vez y nunca más.",
    (
        directory("origin"),
        f"kept=$(cat {KEPT})",
        f'{OWNER}test -e "$kept/PG_VERSION"',
        f"test ! -e {MARKER}",
        f"state=$({control('origin')} | sed -n 's/^Database cluster state: *//p')",
        f'if test "$state" != "shut down" && {OWNER}test ! -e "$data/standby.signal"; then',
        f'  {OWNER}rm -f "$data/postmaster.pid"',
        "  {recover_offline} </dev/null",
        "fi",
        "mkdir -p /var/lib/relevo/{instance}",
        f"printf '%s\\n' started \"$kept\" >{MARKER}",
        f"sync {MARKER}",
        "{rewind}",
        f"printf '%s\\n' done \"$kept\" >{MARKER}",
        f"sync {MARKER}",
        f'{OWNER}cp -a "$kept/postgresql.auto.conf" "$data/postgresql.auto.conf"',
    ),
    note_en="Paste it ONCE: a second pg_rewind damages the data without a word. The block refuses "
    "to begin a second time. If it fails, in whatever way, never paste it again and do the next "
    "step; if it ends with OK, skip the next step.",
    note_es="Péguelo UNA vez: una segunda vez daña los datos sin avisar. El bloque se niega a "
    "empezar de nuevo. Si falla, de la manera que sea, no lo pegue otra vez y haga el paso "
    "siguiente; si termina con OK, sáltese el paso siguiente.",
)
MAKE_ANEW = Step(
    "origin",
    "See that {origin} has a cluster; if it was wiped, create a new one, empty.",
    "Compruebe que {origin} tiene un clúster; si fue borrado, se crea uno nuevo, vacío.",
    (
        "ls -l {origin_bin}/pg_basebackup",
        "if test ! -e {origin_config}/postgresql.conf; then",
        "  {create_cluster}",
        "  systemctl daemon-reload",
        "fi",
        "pg_lsclusters",
    ),
    note_en="PostgreSQL {origin_version} must be installed there; if the block stops at once, it "
    "is not. A server that was reinstalled as a whole lacks Odoo and the keys of Relevo too: "
    "install them first. Customers go on working on {recovery} meanwhile.",
    note_es="PostgreSQL {origin_version} debe estar instalado allí; si el bloque se detiene en "
    "seguida, no lo está. A un servidor reinstalado por completo le faltan también Odoo y las "
    "claves de Relevo: instálelos antes. Mientras tanto los clientes trabajan en {recovery}.",
)
SYSTEM = "sed -n 's/^Database system identifier: *//p'"
CLONE_COMMANDS = (
    directory("origin"),
    ABOVE,
    'new="$data.relevo-new" from="$data"',
    f'if test -e {KEPT}; then from="$(cat {KEPT})"; fi',
    'df -h "$(dirname "$data")"',
    f'if {OWNER}test -e "$new"; then {OWNER}find "$new" -mindepth 1 -delete; fi',
    made("$new"),
    OWNER + "{base_backup}",
    "{verify_backup}",
    f"old=$({control('origin', '$from')} 2>/dev/null | {SYSTEM}) || old=",
    f"its=$({control('origin', '$new')} | {SYSTEM})",
    'if test "$old" = "$its"; then',
    f'  {OWNER}cp -a "$from/postgresql.auto.conf" "$new/postgresql.auto.conf"',
    "else",
    f'  {OWNER}sed -i -E {{foreign_settings}} "$new/postgresql.auto.conf"',
    "fi",
    *follows("origin", "to_recovery", "$new"),
    "if test ! -e {origin_config}/conf.d/relevo.conf; then",
    f"  limits=$({control('origin', '$new')} | {LIMITS})",
    (
        "  printf '%s\\n' {origin_settings} \"$limits\" | "
        "{origin_configured}tee {origin_config}/conf.d/relevo.conf"
    ),
    "fi",
    "if ! grep -q '^# relevo {instance}: begin$' {origin_config}/pg_hba.conf; then",
    "  {origin_configured}sed -i {origin_hba} {origin_config}/pg_hba.conf",
    "fi",
    at_boot("origin", "manual"),
    stop("origin"),
    f'{OWNER}sync -f "$new"',
    ASIDE,  # only now: the second of the copy that was kept before is over
    f'if {OWNER}test -e "$data"; then {OVER}mv -T "$data" "$aside"; fi',
    f'{OVER}mv -T "$new" "$data"',
    f"rm -f {MARKER}",
)
PRINT_PASSWORDS = Step(
    "recovery",
    "Only if {origin} has lost the password file of its PostgreSQL: print its lines.",
    "Solo si {origin} perdió el archivo de contraseñas de su PostgreSQL: imprima sus líneas.",
    (
        "lines=$(sed -n {own_passwords} {recovery_passfile})",
        'test -n "$lines"',
        "printf 'passwords=%q\\n' \"$lines\"",
    ),
    note_en="It prints one line that begins with passwords=, which is secret. Copy that line: the "
    "next step needs it. Clear the screen afterwards.",
    note_es="Imprime una línea que empieza con passwords=, que es secreta. Copie esa línea: el "
    "paso siguiente la necesita. Después borre la pantalla.",
)
WRITE_PASSWORDS = Step(
    "origin",
    "Only if {previous} was done: write the lines into the password file of {origin}.",
    "Solo si se hizo {previous}: escriba las líneas en el archivo de contraseñas de {origin}.",
    (
        ': "$passwords"',
        (
            "printf '%s\\n' \"$passwords\" | "
            f'{OWNER}sh -c \'umask 077; cat >>"$1"\' sh "{{origin_passfile}}"'
        ),
    ),
    note_en="Paste first `unset HISTFILE`, so that no file keeps what you paste; then the line "
    "passwords=... that {previous} printed, then the block, and at the end `unset passwords`.",
    note_es="Pegue primero `unset HISTFILE`, para que ningún archivo guarde lo que pega; después "
    "la línea passwords=... que imprimió {previous}, después el bloque, y al final "
    "`unset passwords`.",
)
CLONE_NOTE = (
    (
        "The old directory is kept beside the new one, as .quarantine-by-hand-..., and nothing in "
        "it is changed. The disk needs room for the whole database beside it: df says what is "
        "free. It takes as long as the database is big, and may be pasted again if it fails."
    ),
    (
        "El directorio antiguo se guarda junto al nuevo, como .quarantine-by-hand-..., sin cambiar "
        "nada en él. El disco necesita espacio para toda la base de datos: df dice cuánto hay "
        "libre. Tarda según el tamaño de la base de datos, y puede pegarse otra vez si falla."
    ),
)
CLONE = Step(
    "origin",
    "Clone {recovery} beside the old directory, and swap them when it is whole.",
    "Clone {recovery} junto al directorio antiguo y cámbielos cuando esté completo.",
    CLONE_COMMANDS,
    *CLONE_NOTE,
)
CLONE_INSTEAD = Step(
    "origin",
    "Only if {previous} failed: clone {recovery} beside the old directory, and swap them.",
    "Solo si {previous} falló: clone {recovery} junto al directorio antiguo y cámbielos.",
    CLONE_COMMANDS,
    *CLONE_NOTE,
)
