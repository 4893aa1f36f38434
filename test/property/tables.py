"""Random tables: shape, key, indexes, triggers, partitions, and what earlier life has left in their pages.

Every table has the columns the checks live on:
  rid      which row it is, from first to last; never changed by anybody
  base     an input of the fill, never changed by anybody
  late     a writer inserted it during the run
  w        every change by a writer adds 1 (a lost update shows)
  bumps    a writer has added 10 to n that often
  own      a writer has given c a value of its own
  touched  only with a trigger: every change of the row adds 1 (a change applied twice shows)
"""

# name: (key columns as (name, type), expressions of them over {i}). Initial rows have even i, rows of writers odd ones.
NASTY = "(ARRAY['', 'ä', '''', E'\\\\', ' ', 'Z', 'a', E'\\n', '\"', '%s', '$1'])[1 + ({i}) % 11]"
KEYS = {
    "bigint": ([("k", "bigint")], ["({i})::bigint"]),
    "random bigint": ([("k", "bigint")], ["(({i})::bigint * 7919) % 1000003 - 500000"]),
    "int": ([("k", "int")], ["{i} - 300"]),
    "uuid": ([("k", "uuid")], ["md5(({i})::text)::uuid"]),
    "text": ([("k", "text")], [NASTY + " || '-' || ({i})"]),
    "text C": ([("k", 'text COLLATE "C"')], [NASTY + " || '-' || ({i})"]),
    "text ICU": ([("k", 'text COLLATE "und-x-icu"')], [NASTY + " || '-' || ({i})"]),
    "char": ([("k", "char(20)")], ["md5(({i})::text)::char(20)"]),
    "varchar": ([("k", "varchar(60)")], [NASTY + " || '-' || ({i})"]),
    "numeric": ([("k", "numeric")], ["(({i}) / 7.0)::numeric"]),
    "timestamptz": ([("k", "timestamptz")], ["timestamptz '2026-03-29 00:30 UTC' + ({i}) * interval '61.000123 s'"]),
    "date": ([("k", "date")], ["date '0044-03-15' + ({i})"]),
    "interval": ([("k", "interval")], ["({i}) * interval '1 minute 0.25 s'"]),
    "bytea": ([("k", "bytea")], ["decode(md5(({i})::text), 'hex')"]),
    "inet": ([("k", "inet")], ["'10.0.0.0'::inet + ({i})::bigint"]),
    "float8": ([("k", "float8")], ["(({i}) / 3.0)::float8"]),
    "array": ([("k", "int[]")], ["ARRAY[({i}) % 10, ({i})]"]),
    "composite int, text": ([("k1", "int"), ("k2", 'text COLLATE "C"')], ["({i}) % 7", NASTY + " || '-' || ({i})"]),
    "composite uuid, date": ([("k1", "uuid"), ("k2", "date")], ["md5((({i}) % 5)::text)::uuid", "date '2020-01-01' + ({i})"]),
    "composite small, big": ([("k1", "smallint"), ("k2", "bigint")], ["(({i}) % 13)::smallint", "-({i})::bigint"]),
    "composite of three": ([("k1", "text"), ("k2", "int"), ("k3", "bigint")],
                           ["chr(97 + ({i}) % 3)", "({i}) % 11", "({i})::bigint"]),
    "quoted": ([("The Key", "bigint")], ["({i})::bigint"]),
}
FILL_TYPES = {
    # type: (what the fill makes of base, what a writer gives, what was there before)
    "text": ("'f' || {b}", "'own' || rid", "'pre' || rid"),
    "bigint": ("{b}::bigint * 7", "(-1000 - rid)::bigint", "(-1 - rid)::bigint"),
    "numeric": ("{b} / 8.0", "(-1000.5 - rid)::numeric", "-0.5 - rid"),
    "jsonb": ("jsonb_build_object('b', {b})", "jsonb_build_object('own', rid)", "jsonb_build_object('pre', rid)"),
}


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


class RandomTable:
    """What the table of one seed is like; everything is drawn at once, so that a seed says it all."""

    def __init__(self, rng, keyed):
        self.name = rng.choice(["t", "t", "Order Items", "select", "t.x"])
        self.rows = int(rng.choice([200, 400, 800, 1400, 1500]) * rng.uniform(1, 2))
        self.width = rng.choice([10, 60, 200, 700, 1500] if self.rows < 900 else [10, 60, 200, 500])
        self.fillfactor = rng.choice([100, 100, 100, 90, 70, 40])
        self.key = rng.choice(list(KEYS)) if keyed else None
        self.key_is_primary = rng.random() < 0.7
        self.layout = rng.choices(["plain", "list", "hash", "range", "deep", "inherits"], [60, 8, 8, 8, 6, 3])[0]
        if self.layout == "inherits" and keyed:
            self.layout = "plain"
        self.unlogged = rng.random() < 0.1 and self.layout == "plain"
        self.fill_type = rng.choice(list(FILL_TYPES))
        self.indexes = [kind for kind, share in [("base", 0.4), ("c", 0.15), ("n", 0.1), ("brin c", 0.1), ("rid", 0.4),
                                                 ("partial", 0.1), ("expression", 0.1), ("nullable unique", 0.15)]
                        if rng.random() < share]
        self.before_trigger = rng.random() < 0.3
        self.after_trigger = rng.random() < 0.15
        self.statement_trigger = rng.random() < 0.04
        self.dropped_column = rng.random() < 0.2
        self.life = rng.choice(["fresh", "fresh", "deleted", "deleted and vacuumed", "updated", "updated and vacuumed", "aborted load"])
        self.prefilled = rng.choice([0, 0, 5, 2])  # every n-th row has a c already
        self.order = rng.random()
        self.seed = rng.randrange(1 << 30)

    def describe(self):
        words = [f"{self.rows} rows", f"key {self.key}" if self.key else "no key", self.layout, f"width {self.width}", self.life]
        if self.fillfactor != 100:
            words.append(f"fillfactor {self.fillfactor}")
        words += [f"index {name}" for name in self.indexes]
        words += [word for word, there in [("before trigger", self.before_trigger), ("after trigger", self.after_trigger),
                                           ("statement trigger", self.statement_trigger), ("unlogged", self.unlogged),
                                           ("key not primary", self.key and not self.key_is_primary)] if there]
        return ", ".join(words) + f", c {self.fill_type}"

    @property
    def partitioned(self):
        return self.layout in ("list", "hash", "range", "deep")

    @property
    def relation(self):
        return "property." + quoted(self.name)

    def alias(self):
        """What texts call the table."""
        return quoted(self.name)

    def key_columns(self):
        return [name for name, _ in KEYS[self.key][0]] if self.key else []

    def key_values(self, i):
        return [expression.format(i=i) for expression in KEYS[self.key][1]] if self.key else []

    def filled(self, b="base"):
        return FILL_TYPES[self.fill_type][0].format(b=b)

    def own(self):
        return FILL_TYPES[self.fill_type][1]

    def before(self):
        return FILL_TYPES[self.fill_type][2]

    def inserted_columns(self):
        return ", ".join(["rid", "base", "late", "part", "purge", "n", "filler"] + [quoted(k) for k in self.key_columns()])

    def statements(self, rng):
        """SQL that makes the table; it has no rows of writers yet."""
        t = self.relation
        columns = ["rid bigint NOT NULL", "base int NOT NULL", "late boolean NOT NULL DEFAULT false", "part int NOT NULL",
                   "w int NOT NULL DEFAULT 0", "bumps int NOT NULL DEFAULT 0", "own boolean NOT NULL DEFAULT false",
                   "purge boolean NOT NULL", "n bigint NOT NULL", "filler text", "touched int NOT NULL DEFAULT 0",
                   f"c {self.fill_type}"]
        if self.dropped_column:
            columns.append("gone int DEFAULT 7")
        columns += [f"{quoted(name)} {kind} NOT NULL" for name, kind in (KEYS[self.key][0] if self.key else [])]
        rng.shuffle(columns)
        if self.key:
            keys = [quoted(k) for k in self.key_columns()]
            if self.partitioned:
                keys = ["part"] + keys if self.order < 0.5 else keys + ["part"]
            if self.key_is_primary:
                columns.append(f"PRIMARY KEY ({', '.join(keys)})")
            else:
                columns.append(f"UNIQUE ({', '.join(keys)})")
        storage = f" WITH (fillfactor = {self.fillfactor}, autovacuum_enabled = off)"
        make = "CREATE UNLOGGED TABLE" if self.unlogged else "CREATE TABLE"
        out = [f"{make} {t} ({', '.join(columns)})"]
        if self.partitioned:
            how = {"list": "LIST", "hash": "HASH", "range": "RANGE", "deep": "RANGE"}[self.layout]
            out[0] += f" PARTITION BY {how} (part)"
            part = "property." + quoted(self.name + "_p")[:-1]
            if self.layout == "list":
                out += [f'CREATE TABLE {part}{p}" PARTITION OF {t} FOR VALUES IN ({p}){storage}' for p in range(3)]
                out.append(f'CREATE TABLE {part}d" PARTITION OF {t} DEFAULT{storage}')
            elif self.layout == "hash":
                out += [f'CREATE TABLE {part}{p}" PARTITION OF {t} FOR VALUES WITH (MODULUS 3, REMAINDER {p}){storage}'
                        for p in range(3)]
            elif self.layout == "range":
                out += [f'CREATE TABLE {part}{p}" PARTITION OF {t} FOR VALUES FROM ({p}) TO ({p + 1}){storage}' for p in range(5)]
            else:
                out.append(f'CREATE TABLE {part}0" PARTITION OF {t} FOR VALUES FROM (0) TO (2){storage}')
                out.append(f'CREATE TABLE {part}1" PARTITION OF {t} FOR VALUES FROM (2) TO (5) PARTITION BY LIST (part)')
                out += [f'CREATE TABLE {part}1_{p}" PARTITION OF {part}1" FOR VALUES IN ({p}){storage}' for p in (2, 3, 4)]
        else:
            out[0] += storage
        if self.layout == "inherits":
            out.append(f'CREATE TABLE property.heir () INHERITS ({t}){storage}')
        out += self.load()
        for index in self.indexes:
            if index == "brin c" and self.fill_type == "jsonb":
                continue
            out.append({"base": f"CREATE INDEX ON {t} (base)", "c": f"CREATE INDEX ON {t} (c)", "n": f"CREATE INDEX ON {t} (n)",
                        "brin c": f"CREATE INDEX ON {t} USING brin (c)", "rid": f"CREATE INDEX ON {t} (rid)",
                        "partial": f"CREATE INDEX ON {t} (base) WHERE c IS NULL",
                        "expression": f"CREATE INDEX ON {t} ((base % 10), (c IS NULL))",
                        # Not a key: NULL is allowed.
                        "nullable unique": f"CREATE UNIQUE INDEX ON {t} (filler, rid{', part' if self.partitioned else ''})"}[index])
        if self.dropped_column:
            out.append(f"ALTER TABLE {t} DROP COLUMN gone")
        # Partitions have the row triggers of their parent, heirs have not.
        for table in [t] + (["property.heir"] if self.layout == "inherits" else []):
            if self.before_trigger:
                out.append(f"CREATE TRIGGER touch BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION property.touch()")
            if self.after_trigger:
                out.append(f"CREATE TRIGGER audit AFTER UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION property.audit()")
        if self.statement_trigger:
            out.append(f"CREATE TRIGGER whole AFTER UPDATE OR DELETE ON {t} FOR EACH STATEMENT EXECUTE FUNCTION property.nothing()")
        return out

    def load(self):
        t = self.relation
        keys = "".join(", " + value for value in self.key_values("2 * i"))
        order = "i" if self.order < 0.6 else f"md5((i + {self.seed})::text)"

        def insert(into, low, high):
            return (f"INSERT INTO {into} ({self.inserted_columns()}) SELECT i, (i * 37 + {self.seed}) % 1000, false, "
                    f"(i + {self.seed}) % 5, (i * 13) % 4 = 1, (i * 37 + {self.seed}) % 1000, repeat('x', {self.width}){keys} "
                    f"FROM generate_series({low}, {high}) i ORDER BY {order}")
        half = self.rows // 2
        out = [insert(t, 1, half), insert("property.heir" if self.layout == "inherits" else t, half + 1, self.rows)]
        if self.prefilled:
            out.append(f"UPDATE {t} SET c = {self.before()} WHERE rid % {self.prefilled} = 0")
        if self.life.startswith("deleted"):
            out.append(f"DELETE FROM {t} WHERE (rid * 7 + {self.seed}) % 8 = 0")
        elif self.life.startswith("updated"):
            out.append(f"UPDATE {t} SET filler = repeat('y', {self.width}) WHERE (rid * 7 + {self.seed}) % 6 = 0")
            out.append(f"UPDATE {t} SET filler = filler WHERE (rid * 5 + {self.seed}) % 3 = 0")
        elif self.life == "aborted load":
            again = insert(t, self.rows + 1, self.rows + 60).replace("'", "''")
            out.append(f"DO $do$ BEGIN EXECUTE '{again}'; RAISE EXCEPTION 'undone'; EXCEPTION WHEN raise_exception THEN END $do$")
        if self.life.endswith("vacuumed"):
            out.append(f"VACUUM {t}")
        return out
