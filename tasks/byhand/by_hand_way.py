"""By which way the origin rejoins: asked of both servers, and decided by a query."""

from tasks.byhand.by_hand_rejoin import IS_THERE, MARKER, OWNER
from tasks.byhand.by_hand_step import Step, control, directory, pasted, psql

FIELDS = (
    "sed -n -e 's/^Database system identifier: *//p' -e 's/^Database cluster state: *//p' "
    "-e 's/^Latest checkpoint location: *//p' -e \"s/^Latest checkpoint's TimeLineID: *//p\" "
    "-e 's/^Minimum recovery ending location: *//p' "
    "-e \"s/^Min recovery ending loc's timeline: *//p\" -e 's/^wal_log_hints setting: *//p' "
    "-e 's/^Data page checksum version: *//p' | paste -s -d '|'"
)

FACTS = "[A-Za-z0-9 |/_-]+"


def _tells(name: str, path: str) -> str:
    return f'  {name}=no; if {OWNER}test -e "$data/{path}"; then {name}=yes; fi'


TELL = Step(
    "origin",
    "Ask {origin} how its PostgreSQL ended.",
    "Pregunte a {origin} cómo terminó su PostgreSQL.",
    (
        "facts=none said=",
        IS_THERE,
        f"  {directory('origin')}",
        f"  said=$({control('origin')}) || said=",
        "fi",
        'if test -n "$said"; then',
        _tells("signal", "standby.signal"),
        _tells("label", "backup_label"),
        f"  rewind=$(head -n 1 {MARKER} 2>/dev/null) || rewind=no",
        f"  facts=$(printf '%s\\n' \"$said\" | {FIELDS})",
        '  facts="$facts|$signal|$label|$rewind"',
        "fi",
        'printf "facts=\'%s\'\\n" "$facts"',
    ),
    note_en="It prints one line that begins with facts=. Copy that line: the next step needs it.",
    note_es="Imprime una línea que empieza con facts=. Copie esa línea: el paso siguiente la "
    "necesita.",
)
# The decision of tasks/standby/way.py, asked of the server that knows where the timelines forked.
WAY = r"""WITH leader AS (
  SELECT system_identifier::text AS system, pg_current_wal_lsn() AS position,
    ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int AS timeline
  FROM pg_control_system()
), said AS (
  SELECT f[1] AS system, f[2] AS state, f[3]::pg_lsn AS ended, f[4]::int AS timeline,
    f[5]::pg_lsn AS reached, f[6]::int AS reached_timeline,
    f[7] = 'on' OR f[8] <> '0' AS rewindable,
    f[9] = 'yes' AS signal, f[10] = 'yes' AS label, f[11] AS rewind
  FROM string_to_array(:'facts', '|') AS f WHERE cardinality(f) = 11
), origin AS (
  SELECT said.*, followed, CASE WHEN followed THEN reached_timeline ELSE timeline END AS last
  FROM said, LATERAL (SELECT signal AND reached > '0/0'
    AND state IN ('in archive recovery', 'shut down in recovery')) AS f (followed)
), history AS (
  SELECT split_part(line, E'\t', 1) AS timeline, split_part(line, E'\t', 2) AS switched
  FROM leader, LATERAL pg_read_file(
      'pg_wal/' || upper(lpad(to_hex(leader.timeline), 8, '0')) || '.history', 0, 1000000, true
    ) AS content,
    LATERAL regexp_split_to_table(content, E'\n') AS line
), found AS (
  SELECT origin.*, leader.system AS theirs, leader.timeline AS now, leader.position,
    (SELECT switched::pg_lsn FROM history WHERE history.timeline = origin.last::text) AS fork
  FROM origin, leader
)
SELECT coalesce((SELECT CASE
  WHEN system <> theirs OR rewind = 'started' THEN 'C'
  WHEN rewind = 'done' THEN 'A'
  WHEN signal AND label THEN CASE WHEN last = now THEN 'A' ELSE 'C' END
  WHEN last = now THEN CASE WHEN followed AND reached <= position THEN 'A' ELSE 'C' END
  WHEN fork IS NULL THEN 'C'
  WHEN followed AND reached <= fork THEN 'A'
  WHEN state = 'shut down' AND ended < fork AND pg_wal_lsn_diff(fork, ended) <= 512 THEN 'A'
  WHEN state = 'shut down' AND ended < fork THEN 'C'
  WHEN followed AND state = 'in archive recovery' THEN 'C'
  WHEN rewindable THEN 'B'
  ELSE 'C' END FROM found), 'C');"""
CHOOSE = Step(
    "recovery",
    "Ask {recovery} which way {origin} has to take.",
    "Pregunte a {recovery} qué camino debe seguir {origin}.",
    (
        *pasted("facts", FACTS),
        f"{psql('recovery')} -v facts=\"$facts\" <<'SQL'",
        *WAY.splitlines(),
        "SQL",
    ),
    note_en="Paste the block, and when it asks, the line facts=... that {previous} printed. Then "
    "it prints the letter of the way: A, B or C. Take that one, and no other.",
    note_es="Pegue el bloque y, cuando pregunte, la línea facts=... que imprimió {previous}. "
    "Después imprime la letra del camino: A, B o C. Siga ese y ningún otro.",
)
