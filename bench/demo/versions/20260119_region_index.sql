-- The way back follows from the statement: DROP INDEX CONCURRENTLY.
SELECT migration_register('20260119_region_index', 'index on region and balance', '20260112_region', $up$
CREATE INDEX CONCURRENTLY accounts_region ON pgbench_accounts (region, abalance);
$up$);
