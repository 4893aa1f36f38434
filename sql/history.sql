--
-- Looking at the graph: history, heads, branches, current, show; what is registered, what is applied, what is joined to what.
--
SET client_min_messages = warning;
-- An empty ledger has nothing to show, and no error.
SELECT count(*) FROM migration_history();
SELECT count(*) FROM migration_heads();
SELECT count(*) FROM migration_current();
SELECT count(*) FROM migration_branches();
SELECT count(*) FROM migration_show('heads');
SELECT state, current, heads, pending, hint FROM migration_status();
SELECT mtest.node('a1'), mtest.node('b1', 'a1', 'left, l2'), mtest.node('b2', 'a1', 'right'), mtest.node('b3', 'a1'), mtest.node('c1', 'b1'), mtest.node('m1', 'c1, b2'), mtest.node('x1', NULL, 'alone'), mtest.node('x2', 'x1', NULL, 'm1');
SELECT migration_upgrade('b1') IS NOT NULL AS ran;
SELECT migration_stamp('right');
\pset format unaligned
SELECT graph, revision, down_revision, depends_on, labels, message, state, applied_at IS NOT NULL AS at, applied_by = current_user AS by, took IS NOT NULL AS took FROM migration_history();
\pset format aligned
SELECT revision, message, labels, applied FROM migration_heads();
SELECT revision, message, labels, is_head, applied_at IS NOT NULL AS at, applied_by = current_user AS by FROM migration_current();
SELECT * FROM migration_branches();
\x on
SELECT revision_id, message, down_revision, depends_on, labels, children, state, upgrade, downgrade, downgrade_kind, length(fingerprint), options, registered_by = current_user AS mine, registered_at <= now() AS past, approved_by,
  applied_at IS NOT NULL AS at, applied_by = current_user AS by, took IS NOT NULL AS timed FROM migration_show('b1');
SELECT revision_id, children, state, applied_at, applied_by, took FROM migration_show('m1');
\x off
-- Columns have types, so they can be asked for.
SELECT revision FROM migration_history() WHERE 'right' = ANY (labels) OR state = 'pending' AND cardinality(down_revision) > 1;
SELECT a.attname, format_type(a.atttypid, NULL) FROM (SELECT unnest(proallargtypes) AS atttypid, unnest(proargnames) AS attname, unnest(proargmodes) AS mode FROM pg_proc WHERE proname = 'migration_history') a WHERE mode = 'o';
-- A reference to what is not registered, an applied revision that nobody knows: both show, neither breaks the view.
SELECT mtest.node('y2', 'y1');
INSERT INTO migration_ext.applied (revision, fingerprint, applied_at, applied_by, stamped) VALUES ('gone', '', now(), 'x', true);
SELECT graph, revision, down_revision, state FROM migration_history() WHERE revision LIKE 'y%';
SELECT current, pending FROM migration_status();
SELECT mtest.clean();
