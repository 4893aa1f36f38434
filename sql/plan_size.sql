--
-- The plan says how large a table will be after a backfill, and in how many passes it is gone through.
--
SET client_min_messages = warning;
CREATE TABLE size_t (id int PRIMARY KEY, r int, t text, c int, "D d" text);
INSERT INTO size_t (id, r, t) SELECT g, g, repeat('x', 60) FROM generate_series(1, 10000) g;
CREATE INDEX size_r ON size_t (r);
CREATE TABLE size_room (LIKE size_t INCLUDING ALL) WITH (fillfactor = 80);
INSERT INTO size_room SELECT * FROM size_t;
CREATE TABLE size_short (id int PRIMARY KEY, c int);
INSERT INTO size_short SELECT g FROM generate_series(1, 100) g;
CREATE TABLE size_parts (id int, c int, t text) PARTITION BY RANGE (id);
CREATE TABLE size_part PARTITION OF size_parts DEFAULT;
INSERT INTO size_parts SELECT g, NULL, repeat('x', 60) FROM generate_series(1, 10000) g;
ANALYZE size_t, size_room, size_short, size_parts;
SELECT migration_register('z1', 'sizes', NULL, $$
  ALTER TABLE size_t ADD COLUMN n int;
  UPDATE size_t SET c = 1 WHERE c IS NULL;
  UPDATE size_t SET n = 1 WHERE n IS NULL;
  UPDATE size_t SET "D d" = 'x' WHERE "D d" IS NULL;
  UPDATE size_t SET r = 1 WHERE r IS NULL;
  UPDATE size_t SET c = c + 1;
  UPDATE size_room SET c = 1 WHERE c IS NULL;
  UPDATE size_parts SET c = 1 WHERE c IS NULL;
  SELECT migration_backfill('size_t', 'c = 1', 'c IS NULL', '{"passes": 20}');
  SELECT migration_backfill('size_t', 'c = 1', 'c IS NULL', '{"passes": "off"}');
  UPDATE size_short SET c = 1 WHERE c IS NULL;
  DELETE FROM size_t WHERE c = 7;
  UPDATE size_gone SET c = 1 WHERE c IS NULL;
$$, '');
SELECT statement, est_rows > 0 AS rows, regexp_replace(regexp_replace(note, '^batches[^;]*; ', ''), '[0-9.]+ [kM]?B', 'N') AS size FROM migration_plan() WHERE kind = 'backfill';
SELECT migration_unregister('z1');
DROP TABLE size_t, size_room, size_short, size_parts;
SELECT mtest.clean();
