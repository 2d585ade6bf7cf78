/**
 * A shop that stores an order and enqueues its receipt in one transaction, with node-postgres.
 *
 *     export DATABASE_URL=postgresql://shop:secret@localhost/tasks
 *     node shop.js init                         makes the table of orders
 *     node shop.js place ORDER CUSTOMER CENTS   a second time with the same ORDER: the same task
 *     node shop.js place-many COUNT             orders in one statement, tasks in another
 *     node shop.js status TASK                  needs SELECT on tidemill.task_status
 *
 * Without DATABASE_URL the PG* variables count. Needs: npm install. The login needs the role tidemill_producer, no more.
 */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

/** Serialization failure, deadlock, lock not available: the same transaction may work now. */
const RETRIED = new Set(["40001", "40P01", "55P03"]);

/** The shop itself says no; nothing of the order is kept, and no receipt is sent. */
class Refused extends Error {}

async function init(client) {
  await client.query(
    `CREATE TABLE IF NOT EXISTS orders
     (id text PRIMARY KEY, customer text NOT NULL, cents integer NOT NULL)`,
  );
  return "ready";
}

/** Store an order and enqueue its receipt: both or neither. Return the task's id. */
function place(client, order, customer, cents) {
  const receipt = { order, customer, cents: Number(cents) };
  return inTransaction(client, async () => {
    await client.query(
      "INSERT INTO orders (id, customer, cents) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
      [order, customer, receipt.cents],
    );
    // node-postgres makes JSON of an object, but a Postgres array of an array: hence stringify.
    const { rows } = await client.query(
      `SELECT tidemill.enqueue('send_receipt', $1, queue => 'mail', idempotency_key => $2) AS id`,
      [JSON.stringify(receipt), `receipt:${order}`],
    );
    if (receipt.cents <= 0) {
      throw new Refused(`order ${order} must cost something`); // rolls both back
    }
    return rows[0].id;
  });
}

/** Store orders and enqueue their receipts, in two statements however many there are. */
function placeMany(client, count) {
  const orders = Array.from({ length: Number(count) }, (_, n) => ({
    order: `o${n}`,
    customer: "many",
    cents: 100,
  }));
  const tasks = orders.map((each) => ({
    type: "send_receipt",
    payload: each,
    queue: "mail",
    idempotency_key: `receipt:${each.order}`,
  }));
  return inTransaction(client, async () => {
    await client.query(
      `INSERT INTO orders (id, customer, cents) SELECT o."order", o.customer, o.cents
         FROM jsonb_to_recordset($1) AS o ("order" text, customer text, cents integer)
       ON CONFLICT DO NOTHING`,
      [JSON.stringify(orders)],
    );
    const { rows } = await client.query(
      "SELECT id, status, created FROM tidemill.enqueue_many($1)",
      [JSON.stringify(tasks)],
    );
    const fresh = rows.filter((each) => each.created).length;
    return `${rows.length} tasks, ${fresh} new`;
  });
}

async function status(client, task) {
  const { rows } = await client.query(
    "SELECT status, queue FROM tidemill.task_status WHERE id = $1",
    [task],
  );
  return rows.length ? `${rows[0].status} in ${rows[0].queue}` : "no such task";
}

/** Run `act` in a transaction; whatever it throws rolls everything back. */
async function inTransaction(client, act) {
  await client.query("BEGIN");
  try {
    const result = await act();
    await client.query("COMMIT");
    return result;
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  }
}

/** Run a whole transaction again where that may help. */
async function withRetries(act, times = 3) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act();
    } catch (error) {
      if (!RETRIED.has(error.code) || attempt === times) throw error;
      await sleep(100 * attempt);
    }
  }
}

const COMMANDS = { init, place, "place-many": placeMany, status };

const [name, ...args] = process.argv.slice(2);
if (!Object.hasOwn(COMMANDS, name ?? "")) {
  console.error(`usage: node shop.js ${Object.keys(COMMANDS).join("|")} …`);
  process.exit(2);
}
const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect(); // one client, not the pool: a transaction stays on one connection
try {
  console.log(await withRetries(() => COMMANDS[name](client, ...args)));
} catch (error) {
  if (error instanceof Refused) console.error(`refused: ${error.message}`);
  else console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
} finally {
  await client.end();
}
