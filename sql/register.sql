--
-- Registering is idempotent and free of order; what was applied cannot be changed; comments and layout do not count.
--
-- Children first: a NOTICE now, an error only when somebody wants to run it.
SELECT migration_register('b2', 'second', 'a1', 'ALTER TABLE reg_t ADD COLUMN c int;', 'ALTER TABLE reg_t DROP COLUMN c;');
SELECT migration_upgrade('b2');
SELECT migration_register('a1', 'first', NULL, 'CREATE TABLE reg_t (id int PRIMARY KEY);');
-- Again: nothing happens, nothing is said.
SELECT migration_register('a1', 'first', NULL, 'CREATE TABLE reg_t (id int PRIMARY KEY);');
SELECT migration_register('b2', 'second', 'a1', 'ALTER TABLE reg_t ADD COLUMN c int;', 'ALTER TABLE reg_t DROP COLUMN c;');
SELECT ordinal, revision, registered_by = current_user AS mine FROM migration_ext.revision ORDER BY ordinal;

-- Comments, white space, line ends, the case of keywords: the same fingerprint.
SELECT fingerprint AS before FROM migration_show('b2') \gset
SELECT migration_register('b2', 'second', 'a1', E'-- adds c\r\n  alter TABLE reg_t\r\n\tADD COLUMN c int /* nested /* comment */ */ ;\r\n\r\n', 'ALTER TABLE reg_t DROP COLUMN c -- no semicolon');
SELECT fingerprint = :'before' AS same FROM migration_show('b2');
-- Anything else: another one. An identifier in quotes is another token than one without, a literal is taken as it is.
SELECT count(DISTINCT mtest.try(format('SELECT fingerprint FROM (SELECT migration_register(''x'', '''', NULL, %L, '''')) r, migration_show(''x'')', script)))
FROM (VALUES ('SELECT 1'), ('SELECT 2'), ('SELECT ''1'''), ('SELECT "a"'), ('SELECT ''a b'''), ('SELECT ''a  b'''), ('SELECT 1; SELECT 1'), ('')) v(script);
SELECT migration_unregister('x');

-- Not applied: text, parent, label, dependency, downgrade, message and options may all change.
SELECT migration_register('b2', 'second', 'a1', 'ALTER TABLE reg_t ADD COLUMN c bigint;', 'ALTER TABLE reg_t DROP COLUMN c;');
SELECT migration_register('b2', 'second, renamed', 'a1', 'ALTER TABLE reg_t ADD COLUMN c bigint;', 'ALTER TABLE reg_t DROP COLUMN c;');
SELECT migration_register('b2', 'second, renamed', 'a1', 'ALTER TABLE reg_t ADD COLUMN c bigint;', 'ALTER TABLE reg_t DROP COLUMN c;', branch_label => 'main');
SELECT migration_register('b2', 'second, renamed', 'a1', 'ALTER TABLE reg_t ADD COLUMN c bigint;', 'ALTER TABLE reg_t DROP COLUMN c;', branch_label => 'main', options => '{"online": false}');
SELECT migration_register('b2', 'second, renamed', 'a1', 'ALTER TABLE reg_t ADD COLUMN c bigint;', 'ALTER TABLE reg_t DROP COLUMN c;', branch_label => 'main', options => '{"online":   false}');
SELECT migration_register('b2', 'second, renamed', 'a1', 'ALTER TABLE reg_t ADD COLUMN c bigint;', 'irreversible', branch_label => 'main', options => '{"online": false}');
SELECT revision_id, message, down_revision, labels, downgrade, downgrade_kind, options FROM migration_show('b2');
SELECT migration_register('b2', 'second', 'a1', 'ALTER TABLE reg_t ADD COLUMN c int;', 'ALTER TABLE reg_t DROP COLUMN c;');
-- The directive comment is not part of the fingerprint, but it changes what runs.
SELECT migration_register('b2', 'second', 'a1', '/* migration: as written */ ALTER TABLE reg_t ADD COLUMN c int;', 'ALTER TABLE reg_t DROP COLUMN c;');

-- Applied: the same text is still fine, message and options are free, the rest is not.
SELECT migration_upgrade() IS NOT NULL AS ran;
SELECT migration_register('b2', 'second', 'a1', 'ALTER TABLE reg_t ADD COLUMN c int', 'ALTER TABLE reg_t DROP COLUMN c');
SELECT migration_register('b2', 'better words', 'a1', 'ALTER TABLE reg_t ADD COLUMN c int', 'ALTER TABLE reg_t DROP COLUMN c', options => '{"source": "audit"}');
SELECT message, options, state FROM migration_show('b2');
SELECT migration_register('b2', 'better words', 'a1', 'ALTER TABLE reg_t ADD COLUMN c text', 'ALTER TABLE reg_t DROP COLUMN c');
\echo :SQLSTATE
SELECT migration_register('b2', 'better words', 'a1', 'ALTER TABLE reg_t ADD COLUMN c int; CREATE INDEX ON reg_t (c)', 'ALTER TABLE reg_t DROP COLUMN c');
SELECT migration_register('b2', 'better words', 'a1', '', 'ALTER TABLE reg_t DROP COLUMN c');
SELECT migration_register('b2', 'better words', NULL, 'ALTER TABLE reg_t ADD COLUMN c int', 'ALTER TABLE reg_t DROP COLUMN c');
SELECT migration_register('b2', 'better words', 'a1', 'ALTER TABLE reg_t ADD COLUMN c int', 'ALTER TABLE reg_t DROP COLUMN c', 'other');
SELECT migration_register('b2', 'better words', 'a1', 'ALTER TABLE reg_t ADD COLUMN c int', 'ALTER TABLE reg_t DROP COLUMN c CASCADE');
SELECT migration_register('b2', 'better words', 'a1', 'ALTER TABLE reg_t ADD COLUMN c int', 'irreversible');
-- Half of a batch that fails leaves nothing: ON_ERROR_STOP and one transaction, as in psql -1.
BEGIN;
SELECT migration_register('c3', 'third', 'b2', 'SELECT 1', '');
SELECT migration_register('b2', 'better words', 'a1', 'DROP TABLE reg_t', '');
COMMIT;
SELECT count(*) AS revisions FROM migration_ext.revision;

-- Several parents; repeats and any separators are fine.
SELECT migration_register('c3', 'third', 'b2', 'SELECT 1', '');
SELECT migration_register('d4', 'fourth', 'b2', 'SELECT 1', '');
SELECT migration_register('e5', 'fifth', E' c3,d4 ,\n c3 ', 'SELECT 1', '');
SELECT down_revision FROM migration_show('e5');

-- The exported form gives the same revision: text, downgrade, labels, dependencies, options.
SELECT migration_register('f6', E'a message\nwith ''two'' lines and a \\ backslash', 'e5', E'SELECT $up$ nested $up$, ''it''''s'';\n', 'irreversible',
  branch_label => 'lab1 lab2', depends_on => 'c3', options => '{"source": {"a": "o''k", "b": [1, 2]}}');
SELECT migration_export('f6') AS call \gset
\echo :call
:call
SELECT migration_unregister('f6');
:call
SELECT message, upgrade, downgrade_kind, labels, depends_on, options FROM migration_show('f6');
-- Derived downgrades are not part of it: they are derived again.
SELECT migration_export('a1');

-- Unregistering: only what is not applied and nobody builds on.
SELECT migration_unregister('c3');
\echo :SQLSTATE
SELECT migration_unregister('b2');
\echo :SQLSTATE
SELECT migration_unregister('nobody');
SELECT migration_unregister('f6'), migration_unregister('f6');
SELECT migration_downgrade('base', allow_data_loss => true) IS NOT NULL AS ran;
SELECT migration_unregister(r) FROM unnest('{e5,d4,c3,b2,a1}'::text[]) r;
SELECT count(*) AS revisions FROM migration_ext.revision;
SELECT mtest.clean();
