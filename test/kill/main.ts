/**
 * The kill loop: a real Kafka, a producer with unique ids, `kill -9` of the whole process at random moments. At the end
 * every id is in the table exactly once.
 *
 *   npm run test:kill -- [--kills 30] [--rate 3000]
 *
 * What it does not show: a lost page cache (PROTOCOL.md E3), NATS, a killed Kafka.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { startKafka } from '../../scripts/services/kafka.ts';
import { sleep, systemClock } from '../../src/base/clock.ts';
import { MysqlClient } from '../../src/protocol/mysql/client.ts';
import { openProducer } from '../kit/kafka-messages.ts';
import { createTopic } from '../kit/kafka-topics.ts';
import { waitFor } from '../kit/wait-for.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '30' },
    rate: { type: 'string', default: '3000' },
  },
});
const KILLS = Number(values.kills);
const BATCH = Math.max(1, Math.round(Number(values.rate) / 10));
const PARTITIONS = 3;

const say = (text: string) => process.stdout.write(`${text}\n`);
const main = new URL('../../src/server/main.ts', import.meta.url).pathname;

interface Server {
  readonly child: ChildProcess;
  readonly port: number;
  readonly readyMs: number;
}

async function startServer(data: string): Promise<Server> {
  const from = performance.now();
  const child = spawn(
    process.execPath,
    [main, 'start', '--data', data, '--be', '3', '--mysql-port', '0', '--http-port', '0'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  for await (const line of createInterface({ input: child.stdout })) {
    const match = /^millrace ready mysql=.*:(\d+) http=/.exec(line);
    if (match !== null) return { child, port: Number(match[1]), readyMs: performance.now() - from };
  }
  throw new Error('millrace ended before it was ready');
}

async function query(port: number, sql: string): Promise<(string | null)[][]> {
  const client = await MysqlClient.connect({
    host: '127.0.0.1',
    port,
    user: 'root',
    password: '',
    clock: systemClock,
  });
  try {
    let rows: (string | null)[][] = [];
    for await (const result of client.query(sql)) {
      if (result.kind === 'rows') rows = result.rows.map((row) => [...row]);
    }
    return rows;
  } finally {
    await client.close();
  }
}

const data = await mkdtemp(join(tmpdir(), 'millrace-kill-'));
const kafka = await startKafka({ say });
let server = await startServer(data);
let failed = false;
try {
  await createTopic(kafka.bootstrap, 'ids', PARTITIONS);
  await query(server.port, 'CREATE DATABASE d');
  await query(
    server.port,
    'CREATE TABLE d.ids (id BIGINT NOT NULL, p INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 4',
  );
  await query(
    server.port,
    `CREATE ROUTINE LOAD d.j ON ids COLUMNS TERMINATED BY "," FROM KAFKA ("kafka_broker_list" = "${kafka.bootstrap}", "kafka_topic" = "ids", "property.kafka_default_offsets" = "OFFSET_BEGINNING")`,
  );
  const producer = await openProducer(kafka.bootstrap);
  let sent = 0;
  let producing = true;
  const produce = (async () => {
    while (producing) {
      const messages = Array.from({ length: BATCH }, (_, i) => {
        const id = sent + i;
        return { partition: id % PARTITIONS, value: `${id},${id % PARTITIONS}` };
      });
      await producer.send('ids', messages);
      sent += BATCH;
      await sleep(systemClock, 100);
    }
  })();
  for (let kill = 1; kill <= KILLS; kill++) {
    await sleep(systemClock, 200 + Math.random() * 1_500);
    const exited = new Promise((resolve) => server.child.once('exit', resolve));
    server.child.kill('SIGKILL');
    await exited;
    server = await startServer(data);
    const [row] = await query(server.port, 'SELECT count(*), count(DISTINCT id) FROM d.ids');
    say(
      `kill ${kill}: ready in ${Math.round(server.readyMs)} ms, sent ${sent}, rows ${row?.[0]}, distinct ${row?.[1]}`,
    );
    if (row?.[0] !== row?.[1]) throw new Error('a row was loaded twice');
  }
  producing = false;
  await produce;
  await producer.close();
  await waitFor(
    async () => {
      const [row] = await query(server.port, 'SELECT count(*) FROM d.ids');
      return Number(row?.[0]) >= sent;
    },
    { what: `${sent} rows`, timeoutMs: 60_000, intervalMs: 250 },
  );
  const [end] = await query(
    server.port,
    'SELECT count(*), count(DISTINCT id), min(id), max(id) FROM d.ids',
  );
  const exact =
    end?.[0] === String(sent) &&
    end[1] === String(sent) &&
    end[2] === '0' &&
    end[3] === String(sent - 1);
  failed = !exact;
  say(
    `${KILLS} kills, ${sent} ids: ${exact ? 'every id exactly once' : `WRONG: ${JSON.stringify(end)}`}`,
  );
} catch (error) {
  failed = true;
  say(`failed: ${error instanceof Error ? error.message : String(error)}`);
  const rows = await query(server.port, 'SHOW ROUTINE LOAD FROM d').catch(() => []);
  say(JSON.stringify(rows));
} finally {
  server.child.kill('SIGKILL');
  await kafka.stop();
  await rm(data, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
