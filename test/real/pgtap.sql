-- A pgTAP test of migrations, as a project would have it: everything in one transaction that is rolled back, online => false
-- so that concurrent forms run as plain ones inside it. Also shows that this leaves nothing behind (the caller looks).
\set QUIET on
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION pgtap;
SELECT plan(12);

CREATE TABLE account (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO account SELECT i, 'name ' || i FROM generate_series(1, 100) i;
SELECT is(migration_register('idx', 'by name', NULL, 'CREATE INDEX CONCURRENTLY account_name ON account (name)',
                             'DROP INDEX CONCURRENTLY account_name'), 'registered', 'registers an index');
SELECT is(migration_register('col', 'score', 'idx', 'ALTER TABLE account ADD COLUMN score int; '
                             'UPDATE account SET score = length(name) WHERE score IS NULL; '
                             'ALTER TABLE account ALTER COLUMN score SET NOT NULL',
                             'ALTER TABLE account DROP COLUMN score'), 'registered', 'registers a column');
SELECT throws_ok($$SELECT migration_upgrade('head')$$, '25001', NULL, 'the online form cannot wait in this transaction');
SELECT lives_ok($$SELECT migration_upgrade('head', online => false)$$, 'runs inside the transaction');
SELECT has_index('account', 'account_name', 'the index is there');
SELECT col_not_null('account', 'score', 'the column is there and not null');
SELECT results_eq('SELECT count(*) FROM account WHERE score = length(name)', 'SELECT 100::bigint', 'all rows are filled');
SELECT results_eq('SELECT state FROM migration_status()', ARRAY['up to date'], 'status says so');
SELECT throws_ok($$SELECT migration_downgrade('base', online => false)$$, 'MX030', NULL, 'a downgrade must not lose data by itself');
SELECT lives_ok($$SELECT migration_downgrade('base', online => false, allow_data_loss => true)$$, 'downgrades');
SELECT hasnt_column('account', 'score', 'the column is gone');
SELECT hasnt_index('account', 'account_name', 'the index is gone');
SELECT * FROM finish();
ROLLBACK;
