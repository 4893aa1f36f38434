--
-- After all files: nothing is left in the ledger, no role, no table, no invalid index, no worker, no prepared transaction.
--
SELECT count(*) FROM migration_ext.revision;
SELECT count(*) FROM migration_ext.applied;
SELECT count(*) FROM migration_ext.run;
SELECT rolname FROM pg_roles WHERE rolname LIKE 'regress\_mig%';
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace;
SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace;
SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace;
SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public', 'migration_ext', 'mtest');
SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid;
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'migration_ext executor';
SELECT * FROM migration_check();
-- And the extension can go and come again.
DROP EXTENSION migration_ext;
SELECT count(*) FROM pg_proc WHERE proname LIKE 'migration\_%';
CREATE EXTENSION migration_ext;
SELECT state FROM migration_status();
