--
-- Several heads are fine until one is asked for; a merge joins them and runs nothing; branches are finished one by one.
--
\pset format unaligned
SET client_min_messages = warning;
SELECT migration_merge('nothing there');
\echo :SQLSTATE
SELECT mtest.node('a1'), mtest.node('b1', 'a1', 'left'), mtest.node('b2', 'a1', 'right');
SELECT mtest.try('SELECT migration_upgrade()');
SELECT migration_upgrade('right@head') IS NOT NULL AS ran;
SELECT * FROM migration_branches();
SELECT revision, message, labels, applied FROM migration_heads();
SELECT state, current, heads, pending, hint FROM migration_status();
-- What a merge takes.
SELECT x, mtest.try(format('SELECT migration_merge(''m'', %s)', x)) FROM unnest(ARRAY['''b1''', '''b1, b1''', '''b1, zz''', '''base''', '''a1, b1''', '''heads'', ''b1''', '''heads'', ''left''', '''heads'', ''x-y''']) x;
SELECT migration_merge('join them', revision => 'm1');
SELECT revision_id, message, down_revision, labels, upgrade, downgrade, downgrade_kind FROM migration_show('m1');
SELECT graph, revision, down_revision, state FROM migration_history();
-- The graph has one head again; the branch that was missing is run first.
SELECT mtest.path('head');
RESET client_min_messages;
SELECT migration_upgrade() IS NOT NULL AS ran;
SELECT mtest.applied();
SELECT current, heads, state FROM migration_status();
-- Back over the merge: both branches are heads again.
SELECT migration_downgrade('-1');
SELECT migration_downgrade('b1') IS NOT NULL AS ran;
SELECT current FROM migration_status();
SET client_min_messages = warning;
SELECT migration_upgrade('m1') IS NOT NULL AS ran;
-- A merge is a revision like others: it can be exported, and one with an id of its own making has twelve hex digits.
SELECT migration_export('m1');
SELECT mtest.node('c1', 'm1'), mtest.node('c2', 'm1'), mtest.node('c3', 'm1');
SELECT migration_merge('two of three', 'c1 c3') ~ '^[0-9a-f]{12}$' AS generated;
SELECT count(*) AS heads FROM migration_heads();
SELECT migration_merge('all') ~ '^[0-9a-f]{12}$' AS generated;
SELECT count(*) AS heads FROM migration_heads();
SELECT migration_upgrade() IS NOT NULL AS ran;
SELECT state FROM migration_status();
SELECT migration_downgrade('base') IS NOT NULL AS ran;
SELECT mtest.applied();
SELECT mtest.clean();
