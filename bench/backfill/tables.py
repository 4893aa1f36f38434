"""The tables of the backfill benchmarks: what they hold, in which state they are, and what is filled.

A row of table `account` takes 110 bytes of heap (300 in variant wide, 10 % of the rows with a value in the TOAST table in
variant toast). There is a primary key and one index on a random integer; the column that gets filled, tax, is in neither.
"""
from bench import Session, drop_database, fresh_database

VARIANTS = {
    "fresh": "loaded, vacuumed, pages full",
    "dead12": "12 % of the rows deleted, not vacuumed",
    "dead12v": "12 % of the rows deleted, vacuumed",
    "dead20": "20 % of the rows deleted, not vacuumed",
    "dead20v": "20 % of the rows deleted, vacuumed",
    "again": "pages full, every row filled by a backfill before, vacuumed",
    "ff90": "loaded with fillfactor 90",
    "toast": "every tenth row has a TOASTed value of 4 kB",
    "uuid": "the key is a random uuid",
    "wide": "rows of 300 bytes",
    "trigger": "a BEFORE trigger stamps every row that is changed",
}

FILL = "tax = balance / 5"


def make_template(name, variant, rows, parallel=()):
    """A database with the table in the wanted state, the column added, and the revision that fills it registered."""
    fresh_database(name)
    session = Session(name)
    key = "uuid" if variant == "uuid" else "bigint"
    value = "gen_random_uuid()" if variant == "uuid" else "i"
    filler = 230 if variant == "wide" else 34
    note = f"repeat(md5(i::text), 8)::char({filler})::text" if filler > 32 else "md5(i::text)"
    session.run("SELECT setseed(0.5)")
    options = " WITH (fillfactor = 90)" if variant == "ff90" else ""
    session.run(f"CREATE TABLE account (id {key} NOT NULL, owner int NOT NULL, balance bigint NOT NULL, "
                f"opened timestamptz NOT NULL, note text, document text){options}")
    if variant == "toast":
        session.run("ALTER TABLE account ALTER COLUMN document SET STORAGE EXTERNAL")
        document = "CASE WHEN i % 10 = 0 THEN repeat(md5(i::text), 128) END"
    else:
        document = "NULL"
    session.run(f"INSERT INTO account SELECT {value}, (random() * 2000000000)::int, i * 7, "
                f"timestamptz '2026-01-01 UTC' + i * interval '1 second', {note}, {document} "
                f"FROM generate_series(1, {rows}) i")
    session.run("ALTER TABLE account ADD PRIMARY KEY (id)")
    session.run("CREATE INDEX account_owner ON account (owner)")
    session.run("VACUUM (FREEZE false, ANALYZE) account")
    if variant.startswith("dead"):
        share = int(variant[4:6]) / 100
        session.run(f"DELETE FROM account WHERE random() < {share}")
        if variant.endswith("v"):
            session.run("VACUUM ANALYZE account")
    if variant == "again":
        session.run("ALTER TABLE account ADD COLUMN fee bigint")
        run = session.run("SELECT migration_backfill('account', 'fee = balance / 7', 'fee IS NULL')")[0][0]
        session.run("SELECT migration_wait(%s)", (run,))
        session.run("VACUUM ANALYZE account")
    if variant == "trigger":
        session.run("CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.opened := now(); RETURN NEW; END'")
        session.run("CREATE TRIGGER stamp BEFORE UPDATE ON account FOR EACH ROW EXECUTE FUNCTION stamp()")
    session.run("SELECT migration_register('add', 'tax of accounts', NULL, 'ALTER TABLE account ADD COLUMN tax bigint')")
    scripts = {
        "ours": f"UPDATE account SET {FILL} WHERE tax IS NULL",
        "ourskey": f"UPDATE account SET {FILL}",
    }
    for method in parallel:
        options = f'{{"workers": {int(method[4:])}}}'
        scripts[method] = f"SELECT migration_backfill('account', '{FILL}', 'tax IS NULL', '{options}')"
    for method, script in scripts.items():
        try:
            session.run("SELECT migration_register(%s, 'fill it', 'add', %s, 'irreversible')", (method, script))
        except Exception as error:  # an option that this version does not know
            if not getattr(error, "pgcode", None):
                raise
    session.run("SELECT migration_upgrade('add')")
    session.close()


def copy_template(template, name):
    drop_database(name)
    admin = Session("postgres")
    admin.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    admin.close()
