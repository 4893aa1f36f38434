-- A column that every account must have: added empty, filled in batches, then proven and enforced. SET NOT NULL needs no
-- scan under its lock, because the validated CHECK says already that there is no NULL.
SELECT migration_register('20260112_region', 'every account has a region', '20260105_statement', $up$
ALTER TABLE pgbench_accounts ADD COLUMN region text;
UPDATE pgbench_accounts SET region = (ARRAY['north', 'east', 'south', 'west'])[1 + bid % 4];
ALTER TABLE pgbench_accounts ADD CONSTRAINT region_there CHECK (region IS NOT NULL) NOT VALID;
ALTER TABLE pgbench_accounts VALIDATE CONSTRAINT region_there;
ALTER TABLE pgbench_accounts ALTER COLUMN region SET NOT NULL;
ALTER TABLE pgbench_accounts DROP CONSTRAINT region_there;
$up$, $down$
ALTER TABLE pgbench_accounts DROP COLUMN region;
$down$);
