"""Everything that a seed of the property test decides: table, fill, writers, faults, workers, and when each of them comes."""
import random

from fills import Fill, draw_kind, liberties
from tables import RandomTable


class Scenario:
    """Everything that a seed decides."""

    def __init__(self, seed, kill, beyond):
        rng = random.Random(f"migration_ext {seed}")
        self.seed = seed
        self.kind = draw_kind(rng)
        needs_key = liberties(self.kind)[4]
        self.table = RandomTable(rng, rng.random() < (0.55 if needs_key is False else 0.85) or needs_key is True)
        while self.kind == "not null" and self.table.layout == "inherits":
            self.table = RandomTable(rng, True)  # there is no fill trigger for tables that others inherit from
        self.fill = Fill(rng, self.kind)
        if self.kind == "not null":
            self.fill.as_revision = True
        self.as_owner = rng.random() < 0.3
        self.writers = rng.choice([1, 2, 3, 4])
        # Who gives way in a deadlock is who looks first: the writers. A batch that always gives way gets on only if it gets
        # smaller each time, which this version does not do.
        self.writers_patience = "400ms" if rng.random() < 0.2 and beyond and self.table.key else "60ms"
        self.writer_seeds = [rng.randrange(1 << 30) for _ in range(self.writers)]
        # About 0.2 s of sleeping in all, so that there is something to be in the middle of.
        self.sleeps = rng.choice([60, 120, 200, 300])
        self.every = max(1, self.table.rows // self.sleeps)
        self.batch_target = rng.choice(["1ms", "2ms", "5ms", "20ms", "100ms"])
        self.faults = []
        for _ in range(rng.choice([0, 0, 1, 2, 4]) if not kill else rng.choice([1, 1, 2, 3])):
            fault = rng.choice(["pause", "terminate", "cancel", "pause"]) if not kill else "kill"
            self.faults.append((round(rng.uniform(0, 0.25), 3), fault))
        commands = ["VACUUM {table}"] * 4 + ["ANALYZE {table}", "VACUUM (FREEZE) {table}", "VACUUM FULL {table}", "REINDEX TABLE {table}"]
        self.keeping = [(round(rng.uniform(0, 0.3), 3), rng.choice(commands)) for _ in range(rng.choice([0, 0, 0, 1, 2]))]
        # Drawn apart, so that a seed's table and fill do not depend on it.
        crew = random.Random(f"workers {seed}")
        self.workers = crew.choice([1, 1, 2, 3])
        self.workers_later = [(round(crew.uniform(0, 0.2), 3), crew.choice([1, 2, 4])) for _ in range(crew.choice([0, 0, 0, 1, 2]))]
        self.ddl = random.Random(rng.randrange(1 << 30))

    def describe(self):
        faults = ", ".join(f"{fault} +{delay}" for delay, fault in self.faults) or "no faults"
        keeping = ", ".join(command.format(table="t") for _, command in self.keeping)
        return (f"{self.fill.describe()}; {self.table.describe()}; {self.writers} writers, batch_target {self.batch_target}, {self.workers} workers, {faults}"
                + "".join(f", {n} workers +{delay}" for delay, n in self.workers_later)
                + (f", {keeping}" if keeping else "") + (", as the owner" if self.as_owner else ""))
