"""How customers are served from the origin when their recovery host has died."""

from tasks.byhand.by_hand_step import Step, as_owner, ask, at_boot, wait_for

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
        as_owner("origin") + "rm -f {origin_config}/conf.d/relevo-synchronous.conf",
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
    (ask("origin", "SELECT pg_is_in_recovery(), pg_last_xact_replay_timestamp()"),),
)
SERVE_AT_ORIGIN = Step(
    "origin",
    "Promote {origin} if it was following (it must answer f), start Odoo there, and see it answer.",
    "Promocione {origin} si era un standby (debe responder f), arranque allí Odoo y compruebe que "
    "responde.",
    (
        ask("origin", "SELECT CASE WHEN pg_is_in_recovery() THEN pg_promote() END"),
        ask("origin", "SELECT pg_is_in_recovery()"),
        at_boot("origin", "auto"),
        ask("origin", "CHECKPOINT"),
        "systemctl enable --now {origin_unit}",
        wait_for("{origin_http_port}"),
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
        at_boot("recovery", "manual"),
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
