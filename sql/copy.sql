-- Copying rows to another table in batches.
SET client_min_messages = warning;
DROP EXTENSION migration_ext CASCADE;
CREATE EXTENSION migration_ext;
CREATE TABLE payment (id int PRIMARY KEY, total numeric, note text);
INSERT INTO payment SELECT g, g / 100.0, 'n' || g FROM generate_series(1, 5000) g;
CREATE TABLE ledger (id int PRIMARY KEY, cents bigint CHECK (cents <> 42), note text);
CREATE FUNCTION pg_temp.ended(run bigint, OUT state text, OUT message text, OUT detail text) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. 3000 LOOP
    SELECT r.state, r.message, r.detail INTO state, message, detail FROM migration_ext.run r WHERE run_id = run;
    EXIT WHEN state NOT IN ('queued', 'running');
    PERFORM pg_sleep(0.02);
  END LOOP;
END $$;
-- With values, and with a condition.
SELECT migration_backfill('payment', 'id, total * 100', 'id <= 4000', '{"action": "copy", "into": "ledger", "columns": ["id", "cents"], "max_errors": 3}') AS run \gset
SELECT migration_wait(:run, '60 s');
SELECT count(*), sum(cents), min(id), max(id), count(note) FROM ledger;
SELECT action, relation, cursor_kind, assignments, into_oid::regclass, into_columns, rows_done, quarantined FROM migration_ext.job ORDER BY job_id DESC LIMIT 1;
-- The row that could not be written was set aside, and is tried again.
SELECT max(job) AS job FROM migration_quarantine() \gset
SELECT relation, key, sqlstate FROM migration_quarantine(:job);
ALTER TABLE ledger DROP CONSTRAINT ledger_cents_check;
SELECT migration_retry_quarantine(:job);
SELECT count(*) FROM ledger WHERE id = 42;
SELECT count(*) FROM ledger;
-- A row that is there already is a row that fails, unless it may stay.
SELECT migration_backfill('payment', 'id, total * 100', NULL, '{"action": "copy", "into": "ledger", "columns": ["id", "cents"]}') AS run \gset
SELECT * FROM pg_temp.ended(:run) \gx
SELECT migration_cancel(:run);
UPDATE ledger SET note = 'kept' WHERE id = 1;
SELECT migration_backfill('payment', 'id, total * 100, upper(note)', NULL, '{"action": "copy", "into": "ledger", "columns": ["id", "cents", "note"], "on_conflict": "nothing"}') AS run \gset
SELECT migration_wait(:run, '60 s');
SELECT count(*), count(note), count(*) FILTER (WHERE note = 'kept') FROM ledger;
SELECT rows_done FROM migration_ext.job ORDER BY job_id DESC LIMIT 1;
-- Columns by name.
CREATE TABLE archive (note text, id int PRIMARY KEY, double numeric GENERATED ALWAYS AS (total * 2) STORED, total numeric, more int DEFAULT 7);
SELECT migration_backfill('payment', NULL, 'id % 2 = 0', '{"action": "copy", "into": "archive"}') AS run \gset
SELECT migration_wait(:run, '60 s');
SELECT count(*), sum(double), min(note), min(more) FROM archive;
SELECT into_columns FROM migration_ext.job ORDER BY job_id DESC LIMIT 1;
-- An identity column.
CREATE TABLE always (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text);
SELECT migration_backfill('payment', NULL, NULL, '{"action": "copy", "into": "always"}');
SELECT migration_backfill('payment', NULL, 'id > 4990', '{"action": "copy", "into": "always", "columns": ["id", "note"]}') AS run \gset
SELECT migration_wait(:run, '60 s');
SELECT min(id), count(*) FROM always;
-- A source without a key.
CREATE TABLE keyless (id int, note text);
INSERT INTO keyless SELECT g, 'k' || g FROM generate_series(1, 3000) g;
SELECT migration_backfill('keyless', NULL, NULL, '{"action": "copy", "into": "always", "columns": ["id", "note"]}');
SELECT migration_backfill('keyless', 'random()::int, note', NULL, '{"action": "copy", "into": "always", "columns": ["id", "note"], "on_conflict": "nothing"}');
SELECT migration_backfill('keyless', 'note', NULL, '{"action": "copy", "into": "always", "columns": ["note"], "on_conflict": "nothing"}');
SELECT migration_backfill('keyless', NULL, NULL, '{"action": "copy", "into": "always", "columns": ["id", "note"], "on_conflict": "nothing"}') AS run \gset
SELECT migration_wait(:run, '60 s');
SELECT count(*), count(*) FILTER (WHERE note LIKE 'k%') FROM always;
SELECT cursor_kind, rows_done FROM migration_ext.job ORDER BY job_id DESC LIMIT 1;
-- A statement trigger must see it whole.
CREATE TABLE seen (n bigint);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen SELECT count(*) FROM rows; RETURN NULL; END $$;
CREATE TABLE watched (id int PRIMARY KEY);
CREATE TRIGGER see AFTER INSERT ON watched REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION see();
SELECT migration_backfill('payment', NULL, NULL, '{"action": "copy", "into": "watched"}') AS run \gset
SELECT migration_wait(:run, '60 s');
SELECT * FROM seen;
-- A partitioned table receives.
CREATE TABLE parted (id int PRIMARY KEY, total numeric) PARTITION BY RANGE (id);
CREATE TABLE parted1 PARTITION OF parted FOR VALUES FROM (0) TO (2500);
CREATE TABLE parted2 PARTITION OF parted FOR VALUES FROM (2500) TO (9000);
SELECT migration_backfill('payment', NULL, NULL, '{"action": "copy", "into": "parted", "workers": 2}') AS run \gset
SELECT migration_wait(:run, '60 s');
SELECT tableoid::regclass, count(*) FROM parted GROUP BY 1 ORDER BY 1;
-- In a revision: planned, shown, run.
CREATE TABLE target (id int PRIMARY KEY, cents bigint);
ANALYZE payment;
SELECT migration_register('a', 'copy', NULL, $$
ALTER TABLE target ADD COLUMN note text;
SELECT migration_backfill('payment', 'id, (total * 100)::bigint, note', 'id > 10', '{"action": "copy", "into": "target", "columns": ["id", "cents", "note"]}');
$$, 'irreversible');
SELECT step, kind, relation, lock_mode, blocks, est_rows, note FROM migration_plan('a');
SELECT note FROM migration_plan('a', online => false);
SELECT migration_sql('a') \g (format=unaligned tuples_only=on)
SELECT migration_upgrade('a') AS run \gset
SELECT count(*), sum(cents), max(note) FROM target;
SELECT migration_register('b', 'copy in one piece', 'a', $$
SELECT migration_backfill('payment', NULL, 'id <= 10', '{"action": "copy", "into": "target"}');
SELECT migration_backfill('payment', NULL, NULL, '{"action": "copy", "into": "target", "on_conflict": "nothing", "columns": ["id"]}');
INSERT INTO target (id) SELECT -id FROM payment WHERE id < 3;
$$, 'irreversible');
SELECT step, kind, note FROM migration_plan('b');
SELECT migration_sql('b') \g (format=unaligned tuples_only=on)
SELECT migration_upgrade('b', online => false) IS NOT NULL AS done;
SELECT count(*), min(id) FROM target;
SELECT migration_register('c', 'what is not there', 'b', $$SELECT migration_backfill('payment', NULL, NULL, '{"action": "copy", "into": "nowhere"}')$$, 'irreversible');
SELECT kind, relation, note FROM migration_plan('c');
SELECT migration_sql('c');
SELECT migration_unregister('c');
-- A copy acts as the owner of the table that it writes, who must be able to read the other.
CREATE ROLE copy_owner;
GRANT CREATE, USAGE ON SCHEMA public TO copy_owner;
CREATE TABLE owned (id int PRIMARY KEY, by text);
CREATE FUNCTION who() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.by := current_user; RETURN NEW; END $$;
CREATE TRIGGER who BEFORE INSERT ON owned FOR EACH ROW EXECUTE FUNCTION who();
ALTER TABLE owned OWNER TO copy_owner;
SELECT migration_backfill('payment', NULL, 'id < 100', '{"action": "copy", "into": "owned"}') AS run \gset
SELECT state, message FROM pg_temp.ended(:run);
SELECT migration_cancel(:run);
GRANT SELECT ON payment TO copy_owner;
SELECT migration_backfill('payment', NULL, 'id < 100', '{"action": "copy", "into": "owned"}') AS run \gset
SELECT state, message FROM pg_temp.ended(:run);
SELECT by, count(*) FROM owned GROUP BY by;
REVOKE ALL ON payment FROM copy_owner;
REVOKE ALL ON SCHEMA public FROM copy_owner;
DROP TABLE owned;
DROP FUNCTION who();
DROP ROLE copy_owner;
-- By blocks, with rows that fail.
CREATE TABLE checked (id int PRIMARY KEY, note text CHECK (note <> 'k7'));
SELECT migration_backfill('keyless', NULL, NULL, '{"action": "copy", "into": "checked", "on_conflict": "nothing", "max_errors": 2}') AS run \gset
SELECT migration_wait(:run, '60 s');
SELECT count(*) FROM checked;
SELECT max(job) AS job FROM migration_quarantine() \gset
SELECT image FROM migration_quarantine(:job);
ALTER TABLE checked DROP CONSTRAINT checked_note_check;
SELECT migration_retry_quarantine(:job);
SELECT count(*) FROM checked;
-- Under way: the target is emptied, changed, or gone.
CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.002); RETURN $1; END $$;
CREATE FUNCTION pg_temp.interfere(what text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE run bigint := currval('go'); before bigint := (SELECT rows_done FROM migration_ext.job WHERE run_id = run);
BEGIN
  -- One batch more than there are, so that what an earlier call did has been seen.
  FOR i IN 1 .. 3000 LOOP
    EXIT WHEN (SELECT rows_done FROM migration_ext.job WHERE run_id = run) > coalesce(before, 0);
    PERFORM pg_sleep(0.01);
  END LOOP;
  EXECUTE what;
  RETURN true;
END $$;
CREATE TABLE victim (id int PRIMARY KEY);
CREATE SEQUENCE go;
SELECT setval('go', migration_backfill('payment', 'slow(id)', NULL, '{"action": "copy", "into": "victim", "columns": ["id"], "batch_target": "20ms"}')) AS run \gset
SELECT pg_temp.interfere('TRUNCATE victim');
SELECT state, message FROM pg_temp.ended(:run);
SELECT migration_cancel(:run);
SELECT setval('go', migration_backfill('payment', 'slow(id)', NULL, '{"action": "copy", "into": "victim", "columns": ["id"], "batch_target": "20ms", "on_conflict": "nothing"}')) AS run \gset
SELECT pg_temp.interfere('ALTER TABLE victim ALTER id TYPE bigint');
SELECT state, message FROM pg_temp.ended(:run);
SELECT migration_cancel(:run);
SELECT setval('go', migration_backfill('payment', 'slow(id)', NULL, '{"action": "copy", "into": "victim", "columns": ["id"], "batch_target": "20ms", "on_conflict": "nothing"}')) AS run \gset
SELECT pg_temp.interfere('ALTER TABLE victim RENAME TO renamed');
SELECT pg_temp.interfere('DROP TABLE renamed');
-- The name that it had at the last batch.
SELECT state, regexp_replace(regexp_replace(message, 'job \d+', 'job N'), 'public\.renamed|victim', 'T') AS message FROM pg_temp.ended(:run);
SELECT migration_cancel(:run);
-- Texts are what they are, or nothing.
CREATE TABLE secret (id int PRIMARY KEY, word text);
INSERT INTO secret VALUES (1, 'xyzzy');
CREATE TABLE open (id int PRIMARY KEY, word text);
CREATE VIEW open_view AS SELECT * FROM open;
CREATE FUNCTION pg_temp.tried(v text, c text, o jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE code text; said text;
BEGIN
  PERFORM migration_cancel(migration_backfill('payment', v, c, '{"action": "copy", "into": "open", "columns": ["id", "word"], "start_at": "2099-01-01 00:00 UTC"}' || o));
  RETURN 'made';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, said = MESSAGE_TEXT;
  RETURN code || ' ' || said;
END $$;
CREATE TABLE hostile (n serial, v text, c text, o jsonb DEFAULT '{}');
INSERT INTO hostile (v, c) VALUES
  ('id, note', NULL),
  (E'id, -- a comment\nnote /* and another */', 'id > 1 -- open'),
  ('id, note FROM payment; DROP TABLE secret; --', NULL),
  ('id, word FROM secret --', NULL),
  ('id, word FROM secret', NULL),
  ('id, note WHERE true', NULL),
  ('DISTINCT id, note', NULL),
  ('id, note INTO other', NULL),
  ('id, note UNION SELECT id, word', NULL),
  ('id, note UNION ALL TABLE secret', NULL),
  ('id, note LIMIT 1', NULL),
  ('id, note ORDER BY 1', NULL),
  ('id, note FOR UPDATE', NULL),
  ('id, note GROUP BY 1, 2', NULL),
  ('id, (SELECT word FROM secret)', NULL),
  ('id, (TABLE secret)', NULL),
  ('id, ARRAY(SELECT word FROM secret)::text', NULL),
  ('id, (WITH x AS (DELETE FROM secret RETURNING word) TABLE x)', NULL),
  ('id, $1', NULL),
  ('', NULL),
  (';', NULL),
  ('id, (note', 'true)'),
  ('id, /* ', '*/ note'),
  ('id', NULL),
  ('id, note, 1', NULL),
  ('count(*), ''x''', NULL),
  ('id, row_number() OVER ()', NULL),
  ('generate_series(1, 2), note', NULL),
  ('id, nothing', NULL),
  ('id, secret.word', NULL),
  ('id, note', 'true) OR (true'),
  ('id, note', 'true GROUP BY 1'),
  ('id, note', 'true ON CONFLICT (id) DO UPDATE SET word = ''x'''),
  ('id, note', 'true; DROP TABLE secret'),
  ('id, note', 'true UNION SELECT * FROM secret'),
  ('id, note', 'id = (SELECT id FROM secret)'),
  ('id, note', 'id = $1'),
  ('id, note', 'CURRENT OF c');
INSERT INTO hostile (v, o) VALUES
  ('id, note', '{"into": "open; DROP TABLE secret"}'),
  ('id, note', '{"into": "open (id) SELECT id FROM secret --"}'),
  ('id, note', '{"into": "\"open\" AS x"}'),
  ('id, note', '{"into": "a.b.c.d"}'),
  ('id, note', '{"into": ""}'),
  ('id, note', '{"into": null}'),
  ('id, note', '{"into": "nowhere"}'),
  ('id, note', '{"into": "payment"}'),
  ('id, note', '{"into": "public.payment"}'),
  ('id, note', '{"into": "open_view"}'),
  ('id, note', '{"into": "pg_catalog.pg_class"}'),
  ('id, note', '{"columns": ["id) SELECT id, word FROM secret --", "word"]}'),
  ('id, note', '{"columns": ["id", "word, id"]}'),
  ('id, note', '{"columns": ["id", "id"]}'),
  ('id, note', '{"columns": ["id", "ctid"]}'),
  ('id, note', '{"columns": ["id", "\"word\""]}'),
  ('id, note', '{"columns": []}'),
  ('id, note', '{"columns": null}'),
  ('id, note', '{"on_conflict": "nothing RETURNING word"}'),
  ('id, note', '{"on_conflict": "update"}'),
  ('id, note', '{"from": "secret"}'),
  ('id, note', '{"verify": "scan"}'),
  ('id, note', '{"action": "update"}'),
  ('id, note', '{"cursor": "ctid"}'),
  ('id, note', '{"cursor": "ctid", "on_conflict": "nothing"}'),
  (NULL, '{}');
SELECT v, c, o, pg_temp.tried(v, c, o) FROM hostile ORDER BY n;
SELECT migration_backfill('payment', NULL, NULL, '{"action": "copy"}');
SELECT migration_register('d', 'hostile', 'b', $$SELECT migration_backfill('payment', 'id, word FROM secret --', NULL, '{"action": "copy", "into": "open", "columns": ["id", "word"]}')$$);
SELECT migration_register('d', 'hostile', 'b', $$SELECT migration_backfill('payment', 'id, note', NULL, '{"action": "copy", "into": "open"}')$$);
SELECT (SELECT count(*) FROM secret) AS secret, (SELECT count(*) FROM open) AS open;
SELECT migration_stamp('base', purge => true);
SELECT migration_unregister(r) FROM unnest('{b,a}'::text[]) r;
DROP TABLE payment, ledger, archive, always, keyless, checked, watched, seen, parted, target, secret, open, hostile CASCADE;
DROP FUNCTION see(), slow(int);
DROP SEQUENCE go;
DROP EXTENSION migration_ext CASCADE;
CREATE EXTENSION migration_ext;
