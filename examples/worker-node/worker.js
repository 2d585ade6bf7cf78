// A Tidemill worker in Node 20+, with nothing but Node: docs/http-workers.md says what it obeys.
//   TIDEMILL_URL=http://localhost:8080 node worker.js QUEUE SLOTS     (TIDEMILL_API_TOKEN if it asks)
// SIGTERM: it claims no more, gives its tasks TIDEMILL_DRAIN_SECONDS (30), gives back the rest.
const { setTimeout: sleep } = require("node:timers/promises");

// A handler gets the payload and a signal to stop; it returns the result, or throws to be retried.
const handlers = {
  word_count: async ({ text }) => ({ words: text.split(/\s+/).filter(Boolean).length }),
  nap: async ({ seconds }, signal) => { await sleep(seconds * 1000, null, { signal }); },
  refuse: async ({ why }) => { throw Object.assign(new Error(why), { name: "Refused", final: true }); },
};

const { TIDEMILL_URL: BASE = "http://localhost:8080", TIDEMILL_API_TOKEN: TOKEN, TIDEMILL_DRAIN_SECONDS: DRAIN = "30" } = process.env;
const [QUEUE = "default", SLOTS = "4"] = process.argv.slice(2);
const GIVE_BACK = new Error("cancelled, told to end, or the lease is lost");
const ending = new AbortController();
const over = new Promise((resolve) => ending.signal.addEventListener("abort", resolve));
const held = new Map(); // token -> { lease, until, abort }
let me; // our id
const say = (error) => console.error(error.message, error.cause?.message ?? "");

async function call(method, path, body = {}, signal = undefined) {
  const headers = { "Content-Type": "application/json", ...(TOKEN && { Authorization: `Bearer ${TOKEN}` }) };
  const answer = await fetch(BASE + path, { method, headers, signal, body: JSON.stringify(body) });
  const text = await answer.text();
  if (answer.ok) return text && JSON.parse(text);
  const refused = answer.status >= 400 && answer.status < 500 && answer.status !== 429; // it would be refused again
  throw Object.assign(new Error(`${method} ${path}: ${answer.status} ${text}`), { refused });
}

async function insist(path, body) { // a token is recorded once, however often it is said
  for (;; await sleep(1000)) {
    try { return await call("POST", path, body); } catch (error) {
      if (error.refused || (!me && ending.signal.aborted)) throw error;
      say(error);
    }
  }
}

async function register() {
  const said = { name: `node-${process.pid}`, slots: Number(SLOTS), queues: [QUEUE] };
  const { worker_id, heartbeat_seconds } = await insist("/api/workers", said);
  me = worker_id;
  return heartbeat_seconds;
}

// Keeps the leases, but of no handler that hangs; with `release_others` a lost claim's tasks go back.
async function beat(release_others = false) {
  const leases = [...held.values()].filter((each) => Date.now() < each.until).map((each) => each.lease);
  const told = await call("POST", "/api/leases/extend", { worker_id: me, leases, release_others });
  for (const { token, held: ours, cancel_requested } of told.leases)
    if (!ours || cancel_requested) held.get(token)?.abort.abort(GIVE_BACK);
  if (!told.registered) await register();
}

async function run({ task_id, token, type, payload, timeout_seconds }) {
  const [lease, abort] = [{ task_id, token }, new AbortController()];
  const late = Object.assign(new Error(`ran past its timeout of ${timeout_seconds} s`), { name: "TimedOut" });
  const timer = setTimeout(() => abort.abort(late), Math.min(timeout_seconds * 1000, 2 ** 31 - 1));
  held.set(token, { lease, abort, until: Date.now() + (timeout_seconds + 5) * 1000 });
  const fail = (error) => insist("/api/leases/fail", { leases: [{
    ...lease, retry: !error.final, error: { type: error.name, message: error.message, traceback: error.stack } }] });
  try {
    const result = await handlers[type](payload, abort.signal);
    await insist("/api/leases/complete", { leases: [{ ...lease, result }] });
  } catch (error) {
    if (abort.signal.reason === GIVE_BACK) await insist("/api/leases/release", { leases: [lease] });
    else await fail(abort.signal.aborted ? late : error);
  } finally { clearTimeout(timer); held.delete(token); }
}

async function main() {
  const timer = setInterval(() => beat().catch(say), 1000 * await register());
  console.log(`worker ${me} on ${QUEUE}`);
  const types = Object.keys(handlers), running = new Set();
  while (!ending.signal.aborted) {
    const limit = Number(SLOTS) - running.size, asked = { worker_id: me, limit, types };
    try {
      const told = limit ? await call("POST", `/api/queues/${QUEUE}/claim?wait=30`, asked, ending.signal) : { tasks: [] };
      for (const task of told.tasks) {
        const one = run(task).catch(say).finally(() => running.delete(one));
        running.add(one);
      }
      if (told.draining) ending.abort();
      if (!limit) await Promise.race([over, ...running]);
    } catch (error) {
      if (ending.signal.aborted) break;
      say(error);
      await sleep(1000).then(() => beat(true)).catch(say);
    }
  }
  await Promise.race([Promise.all(running), sleep(Number(DRAIN) * 1000)]);
  for (const { abort } of held.values()) abort.abort(GIVE_BACK);
  await Promise.race([Promise.all(running), sleep(5000)]);
  clearInterval(timer);
  await call("DELETE", `/api/workers/${me}`); // what is still ours goes back
}
for (const name of ["SIGTERM", "SIGINT"]) process.once(name, () => ending.abort());
main().then(() => process.exit(0), (error) => { say(error); process.exit(1); });
