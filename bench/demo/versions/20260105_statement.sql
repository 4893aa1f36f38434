-- A new table, and a foreign key on a table that is written to all the time.
SELECT migration_register('20260105_statement', 'statements; history refers to accounts', NULL, $up$
CREATE TABLE statement (
    statement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    aid          integer NOT NULL REFERENCES pgbench_accounts,
    made_at      timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE pgbench_history ADD CONSTRAINT history_account FOREIGN KEY (aid) REFERENCES pgbench_accounts NOT VALID;
ALTER TABLE pgbench_history VALIDATE CONSTRAINT history_account;
$up$);
