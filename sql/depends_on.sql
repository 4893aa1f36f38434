--
-- depends_on orders branches without joining them: what is needed is run first and never taken away from under those who need it.
--
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' | '
SET client_min_messages = warning;
-- a1 > b1 > c1 and x1 > x2 > x3; b1 needs x2 (by id); y1 needs the branch "lib" (by label), which x1 carries
SELECT mtest.node('b1', 'a1', NULL, 'x2');
SELECT mtest.node('a1'), mtest.node('c1', 'b1', 'app'), mtest.node('x1', NULL, 'lib'), mtest.node('x2', 'x1'), mtest.node('x3', 'x2'), mtest.node('y1', NULL, NULL, 'lib');
SELECT have, verb, target, mtest.go(have, verb, target) FROM (VALUES
  (1, 'base', 'upgrade', 'heads'), (2, 'base', 'upgrade', 'c1'), (3, 'base', 'upgrade', 'b1'), (4, 'base', 'upgrade', 'a1'), (5, 'base', 'upgrade', 'y1'), (6, 'x1', 'upgrade', 'b1'),
  (7, 'base', 'upgrade', 'app@head'), (8, 'x2, a1', 'upgrade', '+1'), (9, 'x2, a1', 'upgrade', 'app@+1'),
  (20, 'heads', 'downgrade', 'base'), (21, 'c1', 'downgrade', 'x1'), (22, 'c1', 'downgrade', 'a1'), (23, 'c1', 'downgrade', 'lib@base'), (24, 'c1, x3', 'downgrade', 'x2'),
  (25, 'c1, x3', 'downgrade', 'lib@-1'), (26, 'y1, x3', 'downgrade', 'x1'), (27, 'y1, x3', 'downgrade', 'lib@base')) v(n, have, verb, target) ORDER BY n;
-- Heads of the graph go by parents; what is applied goes by what needs what.
SELECT string_agg(revision, ' ') FROM migration_heads();
SELECT migration_stamp('c1');
SELECT string_agg(revision, ' ') FROM migration_current();
SELECT revision, depends_on, down_revision FROM migration_history() WHERE depends_on <> '{}';
SELECT migration_stamp('base');
-- Cycles through dependencies, a missing dependency.
SELECT mtest.try($$SELECT mtest.node('x2', 'x1', NULL, 'c1')$$);
SELECT mtest.try($$SELECT mtest.node('x1', NULL, 'lib', 'y1')$$);
RESET client_min_messages;
SELECT mtest.node('z1', NULL, NULL, 'nowhere');
SELECT mtest.try('SELECT migration_upgrade(''z1'')');
SELECT code, object, message FROM migration_check() WHERE code LIKE 'missing%';
SELECT mtest.clean();
