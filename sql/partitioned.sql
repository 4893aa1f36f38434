--
-- CREATE INDEX CONCURRENTLY on a partitioned table leaves what the plain form leaves: names, attachments, nothing invalid.
--
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE FUNCTION pg_temp.tree(s text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE SCHEMA %I', s);
  EXECUTE format('SET LOCAL search_path = %I', s);
  CREATE TABLE t (id int NOT NULL, v int, "odd Name" text) PARTITION BY RANGE (id);
  CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (100);
  CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (100) TO (200) PARTITION BY LIST (v);
  CREATE TABLE t_2_a PARTITION OF t_2 FOR VALUES IN (1);
  CREATE TABLE t_2_b PARTITION OF t_2 DEFAULT;
  CREATE TABLE "T 3" (x int, "odd Name" text, id int NOT NULL, v int);
  ALTER TABLE "T 3" DROP COLUMN x;
  ALTER TABLE t ATTACH PARTITION "T 3" FOR VALUES FROM (200) TO (300);
  CREATE TABLE t_a_name_so_long_that_it_must_be_cut_somewhere_in_its_middle PARTITION OF t DEFAULT;
  INSERT INTO t SELECT i, i % 3, 'x' || i FROM generate_series(1, 400) i;
  CREATE INDEX mine ON t_1 (v);                 -- fits: is taken
  CREATE INDEX not_mine ON t_2_a (v DESC, id);  -- does not fit
  CREATE INDEX t_2_b_v_idx ON t_2_b (id);       -- in the way of a name
END $$;
SELECT pg_temp.tree('part_plain'), pg_temp.tree('part_online');
CREATE TABLE part_form (n serial, form text);
INSERT INTO part_form (form) VALUES ('INDEX %s t_v ON t (v)'), ('INDEX %s ON t (lower("odd Name"), id) INCLUDE (v) WHERE v > 0'), ('UNIQUE INDEX %s ON t (id, v)'),
  ('INDEX %s ON t USING hash ("odd Name")'), ('INDEX %s a_very_long_name_of_an_index_that_nobody_would_want_to_type ON t (v DESC) WITH (fillfactor = 70)');
SET search_path = part_plain;
SELECT format('CREATE ' || form, '') FROM public.part_form ORDER BY n \gexec
SET search_path = part_online;
SELECT migration_register('p' || n, form, 'p' || nullif(n - 1, 0), format('CREATE ' || form, 'CONCURRENTLY'), '') FROM public.part_form ORDER BY n;
RESET search_path;
SELECT migration_upgrade();
SELECT mtest.same(mtest.schema('part_plain'), replace(mtest.schema('part_online'), 'part_online', 'part_plain'));
SELECT i.inhrelid::regclass, i.inhparent::regclass FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relkind IN ('i', 'I') AND c.relnamespace = 'part_online'::regnamespace ORDER BY 1, 2;
SELECT count(*) FROM migration_check() WHERE code = 'invalid_index';

-- A failure at the second partition: what the first has is kept, nothing invalid is left on any partition.
SET search_path = part_online;
SELECT migration_register('q1', 'unique', 'p5', 'CREATE UNIQUE INDEX CONCURRENTLY t_u ON t (id, v, "odd Name")', '');
DROP INDEX t_id_v_idx;
INSERT INTO t VALUES (250, 1, 'twice'), (250, 1, 'twice');
RESET search_path;
SELECT migration_upgrade();
\echo :SQLSTATE
SELECT indexrelid::regclass, indisvalid FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE NOT indisvalid AND relkind = 'i' AND c.relnamespace = 'part_online'::regnamespace;
SELECT state FROM migration_status();
DELETE FROM part_online.t WHERE id = 250;
SELECT migration_resume();
SELECT migration_wait();
SELECT indexrelid::regclass, indisvalid FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE c.relname ~ 't_u|id_v_odd' ORDER BY 1;
-- At the first: nothing is left, not even the parent's entry; once cancelled, the revision is pending as if never tried.
SET search_path = part_online;
SELECT migration_register('q2', 'unique', 'q1', 'CREATE UNIQUE INDEX CONCURRENTLY t_w ON t (v, id)', '');
INSERT INTO t VALUES (1, 1, 'a'), (1, 1, 'b');
RESET search_path;
SELECT migration_upgrade();
\echo :SQLSTATE
SELECT indexrelid::regclass FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE c.relname ~ 't_w|_v_id_' OR (NOT indisvalid AND c.relnamespace = 'part_online'::regnamespace);
SELECT migration_cancel();
SELECT state FROM migration_status();
-- A name that is taken is taken.
SET search_path = part_online;
SELECT migration_register('q2', 'again', 'q1', 'CREATE INDEX CONCURRENTLY t_v ON t (id)', '');
RESET search_path;
SELECT migration_upgrade();
\echo :SQLSTATE
SELECT migration_cancel();
-- A change of the partition key moves rows from one partition to another, at any level.
CREATE TABLE part_online.moving (id int, region int, month int) PARTITION BY LIST (region);
CREATE TABLE part_online.moving_1 PARTITION OF part_online.moving FOR VALUES IN (1) PARTITION BY RANGE (month);
CREATE TABLE part_online.moving_1_a PARTITION OF part_online.moving_1 FOR VALUES FROM (1) TO (7);
CREATE TABLE part_online.moving_1_b PARTITION OF part_online.moving_1 DEFAULT;
CREATE TABLE part_online.moving_d PARTITION OF part_online.moving DEFAULT;
INSERT INTO part_online.moving SELECT g, NULL, NULL FROM generate_series(1, 1000) g;
SELECT migration_register('q2', 'they move', 'q1', 'UPDATE part_online.moving SET region = 1 WHERE region IS NULL; UPDATE part_online.moving SET month = 3 WHERE month IS NULL', 'irreversible');
SELECT step, kind, statement, note FROM migration_plan();
SELECT migration_upgrade();
SELECT tableoid::regclass, count(*) FROM part_online.moving GROUP BY 1;
-- Batches that are asked for are refused then, not given up without a word.
SELECT migration_backfill('part_online.moving', 'region = 2', 'region IS NULL', '{"cursor": "ctid"}');
SELECT migration_backfill('part_online.moving', 'region = 2', 'region IS NULL', '{"cursor": "keyset"}');
SELECT migration_register('q3', 'refused', 'q2', $$SELECT migration_backfill('part_online.moving', 'region = 2', 'region IS NULL', '{"cursor": "ctid"}')$$, 'irreversible');
SELECT step, kind, note FROM migration_plan();
SELECT migration_unregister('q3');
DROP SCHEMA part_plain, part_online CASCADE;
DROP TABLE part_form;
SELECT mtest.clean();
