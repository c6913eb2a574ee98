"""How customers are served from the origin when their recovery host has died."""

from tasks.byhand.by_hand_rejoin import ABOVE, MARKER, NO_SYNCHRONOUS, OVER, OWNER
from tasks.byhand.by_hand_step import Step, ask, at_boot, copied, directory, odoo_serves, promoted

POWER_OFF = Step(
    "you",
    "Confirm from another source (the provider's panel, a telephone) that {recovery} is down, and "
    "power it off so that it stays down.",
    "Confirme por otro medio (el panel del proveedor, un teléfono) que {recovery} está caído, y "
    "apáguelo para que siga así.",
    note_en="This page is for customers who are served from {recovery}, which has died. Its "
    "cluster starts at boot, and would accept changes beside {origin}. Write down who says that it "
    "is off, and when.",
    note_es="Esta página es para clientes atendidos desde {recovery}, que ha caído. Su clúster "
    "arranca con el servidor y aceptaría cambios a la vez que {origin}. Anote quién dice que está "
    "apagado, y cuándo.",
)
PUT_BACK = Step(
    "origin",
    "Only if the file " + MARKER + " exists: put the copy that was kept in its place.",
    "Solo si existe el archivo " + MARKER + ": ponga en su lugar la copia guardada.",
    (
        directory("origin"),
        ABOVE,
        f"kept=$(sed -n 2p {MARKER})   # nothing where an earlier Relevo wrote it",
        (
            f'test -n "$kept" || kept=$({OWNER}find "$(dirname "$data")" -maxdepth 1 -type d '
            '-name "$(basename "$data").quarantine-*" ! -name "*.only-here" ! -name "*.partial" '
            "-printf '%C@ %p\\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-)"
        ),
        f'{OWNER}test -e "$kept/PG_VERSION"',
        f'{OVER}mv -T "$data" "$data.quarantine-half-rewound"',
        f'{OVER}mv -T "$kept" "$data"',
        f"rm {MARKER}",
    ),
    note_en="{origin} was just being rewound, and is unusable as it is.",
    note_es="{origin} estaba en pleno pg_rewind, y así no sirve.",
)
START_ORIGIN = Step(
    "origin",
    "Start PostgreSQL on {origin}, with commits that do not wait.",
    "Arranque PostgreSQL en {origin}, sin que sus commits esperen a nadie.",
    (
        f"test ! -e {MARKER}",
        NO_SYNCHRONOUS,
        "systemctl reset-failed {origin_cluster_unit} 2>/dev/null || true",
        "systemctl start {origin_cluster_unit} || true   # it may be up already",
        "for second in $(seq 60); do",
        f"  {ask('origin', 'SELECT pg_reload_conf()')} 2>/dev/null && break",
        "  sleep 1",
        "done",
        ask("origin", "SELECT pg_is_in_recovery()"),
    ),
)
SEE_WHAT_IS_LOST = Step(
    "origin",
    "See what {origin} has.",
    "Vea qué tiene {origin}.",
    (ask("origin", "SELECT pg_is_in_recovery(), pg_last_xact_replay_timestamp()"),),
    note_en="t: it was following {recovery}, and has everything up to the time that stands there "
    "(none: nobody has written since it started). f: it has the state of the failover; what "
    "customers have written since is on {recovery} alone. Go on only if that may be lost, and "
    "write down who says so.",
    note_es="t: seguía a {recovery} y lo tiene todo hasta la hora indicada (ninguna: nadie ha "
    "escrito desde que arrancó). f: tiene el estado del failover; lo escrito desde entonces está "
    "solo en {recovery}. Siga solo si puede perderse, y anote quién lo dice.",
)
SERVE_AT_ORIGIN = Step(
    "origin",
    "Promote {origin} if it was following, start Odoo there, and see it answer.",
    "Promueva {origin} si era un standby, arranque allí Odoo y compruebe que responde.",
    (*promoted("origin"), *odoo_serves("origin")),
    note_en="It prints t, and then what a browser gets: usually 200, 302 or 303. From 500 on Odoo "
    "does not work; journalctl -u {origin_unit} says why.",
    note_es="Responde t, y después lo que recibe un navegador: normalmente 200, 302 o 303. A "
    "partir de 500 Odoo no funciona; journalctl -u {origin_unit} dice por qué.",
)
BEFORE_IT_BOOTS = Step(
    "recovery",
    "When {recovery} can be repaired, keep it from serving and from being woken by a button, "
    "before it boots.",
    "Cuando {recovery} pueda repararse, impida que atienda y que un botón lo despierte, antes de "
    "que arranque.",
    (
        at_boot("recovery", "manual"),
        "systemctl disable {recovery_unit}",
        "rm -f /etc/nginx/relevo/{instance}/shown.conf",
        "if test -e /var/lib/relevo/{instance}/failover.json; then",
        (
            "  mv /var/lib/relevo/{instance}/failover.json "
            "/var/lib/relevo/{instance}/failover.json.kept-by-hand"
        ),
        "fi",
    ),
    note_en="Do not boot it on the network. Boot it in the provider's rescue mode, mount its disk, "
    "enter it with chroot, and paste the block there; do so for every instance that it served. "
    "Then boot it.",
    note_es="No lo arranque conectado a la red. Arránquelo en el modo de rescate del proveedor, "
    "monte su disco, entre con chroot y pegue allí el bloque; hágalo con cada instancia que "
    "atendía. Después arránquelo.",
)
FILES_HOME = Step(
    "recovery",
    "Copy to {origin} the files that only {recovery} has, all but those that its crash has torn.",
    "Copie a {origin} los archivos que solo tiene {recovery}, salvo los que la caída dejó "
    "a medias.",
    (
        "cd {recovery_data_dir}/filestore",
        copied(
            "runuser -u {recovery_user} -- find . -type f -exec sha1sum {{}} + | awk -F/ "
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
    "the guard is back. check must be green.",
    "Ejecute replicate de {instance}: {recovery} vuelve a seguir, lo que solo él tiene se guarda "
    "aparte y la guarda se repone. check debe quedar en verde.",
    note_en="If it says that {recovery} cannot follow, run basebackup with reclone (relevo run "
    "basebackup {instance} --set reclone=true), and replicate again.",
    note_es="Si dice que {recovery} no puede seguir, ejecute basebackup con reclone (relevo run "
    "basebackup {instance} --set reclone=true) y de nuevo replicate.",
)
