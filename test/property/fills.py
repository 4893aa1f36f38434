"""Random fills, and for each what the table must look like afterwards: a list of queries, each of which must find no row.

The specification is that of one statement under concurrent writers: every row that was there at the start, still is, and
meets the condition, is changed, and a change that is not harmless to repeat is applied exactly once. Rows that writers
insert later may be changed once or not at all. What writers have changed is neither lost nor overwritten.
"""
import json


class Fill:
    """One fill of a table: SET list and condition, how it is submitted, and what must hold."""

    def __init__(self, rng, kind):
        self.kind = kind
        self.with_condition = rng.random() < 0.5
        self.twin = rng.random() < 0.2
        self.as_revision = rng.random() < 0.4

    # Which of the writers' liberties the promise covers.
    KINDS = {
        # kind: (weight, key changes, changes of partition, own values, needs a key)
        "is null": (34, True, True, True, False),
        "is distinct": (12, False, False, False, None),
        "plain": (10, False, False, False, None),
        "increment": (26, False, False, True, None),
        "purge": (18, True, True, True, False),
        # Values that another table holds, looked up by its key.
        "lookup is null": (14, True, True, True, False),
        "lookup increment": (8, False, False, True, None),
        # Rows that go to another table.
        "copy": (12, False, False, True, True),
        "copy, present stay": (6, False, False, True, None),
        # Keys change under a fill that extinguishes itself but does not say IS NULL.
        "is distinct, keys change": (6, True, True, False, None),
        # A fill that looks as if it extinguished itself and does not: some rows stay NULL, and n must count them once.
        "trap": (6, False, False, False, None),
        # The column is required right after the fill, and the application does not know it yet.
        "not null": (8, True, True, False, None),
    }

    def slow(self, every):
        return f"property.slow(base, {every})"

    @property
    def looks_up(self):
        return self.kind.startswith("lookup")

    @property
    def copies(self):
        return self.kind.startswith("copy")

    def options(self):
        if self.looks_up:
            return {"from": "property.lookup AS k"}
        if self.copies:
            out = {"action": "copy", "into": "property.copied", "columns": ["rid", "base", "made"]}
            return {**out, "on_conflict": "nothing"} if self.kind != "copy" else out
        return {}

    def more_tables(self, table):
        """SQL for the second table, if there is one."""
        if self.looks_up:
            return [f"CREATE TABLE property.lookup AS SELECT b AS base, {table.filled('b')} AS value, 1 AS one FROM generate_series(0, 1000) b",
                    "ALTER TABLE property.lookup ADD PRIMARY KEY (base)"]
        if self.copies:
            return ["CREATE TABLE property.copied (rid bigint PRIMARY KEY, base int, made text)"
                    + (" PARTITION BY RANGE (rid)" if self.twin else "")] + (
                        ["CREATE TABLE property.copied1 PARTITION OF property.copied FOR VALUES FROM (MINVALUE) TO (300)",
                         "CREATE TABLE property.copied2 PARTITION OF property.copied FOR VALUES FROM (300) TO (MAXVALUE)"] if self.twin else [])
        return []

    def assignments(self, table, every):
        slow = self.slow(every)
        if self.kind == "lookup is null":
            # The value is what the lookup holds; the function only takes its time.
            return f"c = CASE WHEN {slow.replace('(base', '(' + table.alias() + '.base')} IS NOT NULL THEN k.value END"
        if self.kind == "lookup increment":
            return f"n = n + k.one + 0 * {slow.replace('(base', '(' + table.alias() + '.base')}"
        if self.copies:
            return f"rid, base, 'm' || {slow}"
        if self.kind == "increment":
            return f"n = n + 1 + 0 * {slow}"
        if self.kind == "trap":
            return f"n = n + 1, c = CASE WHEN {slow} % 5 <> 0 THEN {table.filled()} END"
        if self.twin and self.kind in ("is null", "plain"):
            return f"bumps = bumps, c = {table.filled(slow)}"
        return f"c = {table.filled(slow)}"

    def condition(self, table):
        part = "base % 3 <> 0"
        if self.looks_up:
            join, part = f"k.base = {table.alias()}.base", f"{table.alias()}.base % 3 <> 0"
            return join + (" AND c IS NULL" if self.kind == "lookup is null" else "") + (f" AND {part}" if self.with_condition else "")
        if self.kind in ("is null", "trap", "not null"):
            return f"c IS NULL AND {part}" if self.with_condition and self.kind == "is null" else "c IS NULL"
        if self.kind.startswith("is distinct"):
            return f"c IS DISTINCT FROM {table.filled()}" + (f" AND {part}" if self.with_condition else "")
        if self.kind == "purge":
            return "purge" + (f" AND {part}" if self.with_condition else "")
        return part if self.with_condition else None

    def immutable_condition(self):
        """The share of the condition that nobody can change."""
        if self.kind in ("trap", "not null"):
            return "true"
        condition = "base % 3 <> 0" if self.with_condition else "true"
        return f"purge AND {condition}" if self.kind == "purge" else condition

    def statement(self, table, every):
        """As one would write it in a script."""
        where = self.condition(table)
        if self.kind == "purge":
            return f"DELETE FROM {table.relation} WHERE {where} AND {self.slow(every)} >= 0"
        if self.copies:
            return "SELECT migration_backfill({}, {}, {}, {})".format(
                *("NULL" if text is None else "'" + text.replace("'", "''") + "'" for text in
                  (table.relation, self.assignments(table, every), where, json.dumps(self.options()))))
        source = " FROM property.lookup AS k" if self.looks_up else ""
        return f"UPDATE {table.relation} SET {self.assignments(table, every)}{source}" + (f" WHERE {where}" if where else "")

    def describe(self):
        return self.kind + (" with a condition" if self.with_condition else "") + (" in a revision" if self.as_revision else "")

    def checks(self, table, refused=False):
        """(what is wrong, query for rows where it is); of a fill that was refused half way only that nothing is twice"""
        t = table.relation
        meets = self.immutable_condition()
        start = f"{t} t JOIN property.start s USING (rid)"
        row = "t.rid, t.base, t.n, t.bumps, t.w, t.own, t.c, s.c AS c_before, t.late"
        out = [
            ("a row is there twice", f"SELECT rid, count(*) FROM {t} GROUP BY rid HAVING count(*) > 1"),
            ("a row that a writer deleted is back", f"SELECT t.* FROM {t} t JOIN property.journal j USING (rid) WHERE j.what = 'gone'"),
            ("a writer's change is lost or repeated",
             f"SELECT t.rid, t.w, x.n FROM {t} t LEFT JOIN (SELECT rid, count(*) AS n FROM property.journal WHERE what = 'w' GROUP BY rid) x "
             f"USING (rid) WHERE t.w <> coalesce(x.n, 0)"),
            ("a column that nobody changes has changed",
             f"SELECT t.rid FROM {start} WHERE (t.base, t.late, t.purge) IS DISTINCT FROM (s.base, s.late, s.purge)"),
        ]
        lost = "SELECT x.rid FROM (SELECT rid, base, purge FROM property.start UNION ALL SELECT rid, base, purge FROM property.journal " \
               f"WHERE what = 'new') x WHERE NOT EXISTS (SELECT FROM {t} t WHERE t.rid = x.rid) AND NOT EXISTS (SELECT FROM " \
               "property.journal j WHERE j.rid = x.rid AND j.what = 'gone')"
        if self.kind == "purge":
            lost += f" AND NOT ({meets})"
            out.append(("a row to be deleted is still there", f"SELECT t.* FROM {start} WHERE {meets.replace('purge', 't.purge').replace('base', 't.base')}"))
        out.append(("a row is lost", lost))
        meets = meets.replace("base", "t.base").replace("purge", "t.purge")
        if self.copies:
            out += self.checks_of_copy(t, meets)
        if self.kind in ("increment", "lookup increment", "trap"):
            meets = f"({meets})" if self.kind.endswith("increment") else "s.c IS NULL"
            out += [
                ("a row is not changed exactly once",
                 f"SELECT {row} FROM {start} WHERE t.n - t.base - 10 * t.bumps <> CASE WHEN {meets} THEN 1 ELSE 0 END"
                 + (" AND t.n - t.base - 10 * t.bumps <> 0" if refused else "")),
                ("a late row is changed more than once",
                 f"SELECT * FROM {t} WHERE late AND n - base - 10 * bumps NOT IN (0, 1)"),
            ]
        else:
            out.append(("n has changed", f"SELECT * FROM {t} WHERE n <> base + 10 * bumps"))
        filled = table.filled("t.base")
        own = table.own().replace("rid", "t.rid")
        if self.kind in ("is null", "not null", "lookup is null"):
            wanted = f"CASE WHEN t.own THEN {own} WHEN s.c IS NULL AND {meets} THEN {filled} ELSE s.c END"
            out += [
                ("a row needs filling or has a wrong value", f"SELECT {row} FROM {start} WHERE t.c IS DISTINCT FROM {wanted}"),
                ("a late row has a wrong value",
                 f"SELECT * FROM {t} t WHERE late AND CASE WHEN own THEN c IS DISTINCT FROM {own} ELSE c <> {filled} END"),
            ]
        elif self.kind == "plain" or self.kind.startswith("is distinct"):
            out += [
                ("a row has a wrong value",
                 f"SELECT {row} FROM {start} WHERE t.c IS DISTINCT FROM CASE WHEN {meets} THEN {filled} ELSE s.c END"),
                ("a late row has a wrong value", f"SELECT * FROM {t} t WHERE late AND c <> {filled}"),
            ]
        elif self.kind.endswith("increment") or self.copies:
            out.append(("c has changed", f"SELECT {row} FROM {start} WHERE t.c IS DISTINCT FROM CASE WHEN t.own THEN {own} ELSE s.c END"))
        if table.before_trigger and self.kind != "purge":
            # Every change that is not a writer's is the fill's. A row that moved to another partition was not updated there.
            once = f"CASE WHEN {meets} THEN 1 ELSE 0 END"
            changed = {"increment": once, "lookup increment": once, "plain": once, "copy": "0", "copy, present stay": "0"}.get(self.kind)
            if changed and not table.partitioned:
                out.append(("the trigger of a row has not fired exactly once for it",
                            f"SELECT t.touched, {row} FROM {start} WHERE t.touched - t.w - s.touched <> {changed}"))
        return out

    @staticmethod
    def checks_of_copy(t, meets):
        """Every row of the time before, unless a writer has deleted it before it came; no other row but late ones."""
        old = meets.replace("t.base", "s.base")
        return [
            ("a row was not copied",
             f"SELECT s.rid FROM property.start s WHERE ({old}) AND EXISTS (SELECT FROM {t} t WHERE t.rid = s.rid) "
             "AND NOT EXISTS (SELECT FROM property.copied x WHERE x.rid = s.rid)"),
            ("a copied row has a wrong value", "SELECT * FROM property.copied WHERE made IS DISTINCT FROM 'm' || base"),
            ("a row was copied that must not be",
             f"SELECT x.* FROM property.copied x WHERE NOT ({meets.replace('t.base', 'x.base')}) OR NOT EXISTS (SELECT FROM "
             "property.start s WHERE s.rid = x.rid AND s.base = x.base) AND NOT EXISTS (SELECT FROM property.journal j WHERE "
             "j.rid = x.rid AND j.what = 'new' AND j.base = x.base)"),
        ]


def draw_kind(rng):
    kinds = Fill.KINDS
    return rng.choices(list(kinds), [kinds[k][0] for k in kinds])[0]


def liberties(kind):
    return Fill.KINDS[kind]
