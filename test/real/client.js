// One call of migration_upgrade through node-postgres; see test_node.py. Prints a line of JSON for each notice when it
// arrives, and one for the result or the error.
const { Client } = require('pg');

const where = JSON.parse(process.argv[2]);
const say = (event) => process.stdout.write(JSON.stringify(event) + '\n');
const parameter = { text: 'SELECT migration_upgrade($1) AS run', values: ['head'] };
const modes = {
  simple: ["SELECT migration_upgrade('head') AS run"],
  block: ['BEGIN', 'SELECT count(*) FROM setting', parameter],
  prepared: [{ ...parameter, name: 'upgrade' }],
  parameter: [parameter],
  repeatable: ['BEGIN ISOLATION LEVEL REPEATABLE READ', parameter],
  written: ['BEGIN', 'UPDATE account SET seen = 1 WHERE id = 1', parameter],
  unknown: [{ text: 'SELECT migration_upgrade($1) AS run', values: ['nonsense'] }],
};

async function main() {
  const client = new Client(where);
  client.on('notice', (notice) => say({ notice: notice.message }));
  await client.connect();
  try {
    let result;
    for (const statement of modes[process.argv[3]]) result = await client.query(statement);
    if (process.argv[3] === 'block') await client.query('COMMIT');
    say({ run: result.rows[0].run });
  } catch (error) {
    say({ error: error.message, code: error.code, hint: error.hint });
  }
  await client.end();
}

main();
