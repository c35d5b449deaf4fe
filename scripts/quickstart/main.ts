/**
 * The main job end to end, on real input: a real Kafka, the documents' messages, tables and jobs, and what to see then.
 * With `--exit` it ends by itself; Ctrl-C leaves nothing running.
 */

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { systemClock } from '../../src/base/clock.ts';
import { toErrorData } from '../../src/base/errors.ts';
import { MysqlClient } from '../../src/protocol/mysql/client.ts';
import { produce } from '../../test/kit/kafka-messages.ts';
import { createTopic } from '../../test/kit/kafka-topics.ts';
import { waitFor } from '../../test/kit/wait-for.ts';
import { down, up } from '../services/services.ts';
import {
  CSV_JOB,
  CSV_MESSAGES,
  CSV_TABLE,
  JSON_JOB,
  JSON_MESSAGES,
  JSON_TABLE,
} from './documents.ts';

const say = (text: string) => process.stdout.write(`${text}\n`);
const closers: (() => Promise<unknown>)[] = [];

async function closeAll(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close().catch(() => undefined);
}

async function startMillrace(): Promise<{ host: string; port: number; line: string }> {
  const data = await mkdtemp(join(tmpdir(), 'millrace-quickstart-'));
  closers.push(() => rm(data, { recursive: true, force: true }));
  const main = new URL('../../src/server/main.ts', import.meta.url).pathname;
  const child = spawn(
    process.execPath,
    [main, 'start', '--data', data, '--be', '3', '--mysql-port', '0', '--http-port', '0'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  closers.push(() => {
    child.kill('SIGTERM');
    return exited;
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const match = /^millrace ready mysql=(.*):(\d+) http=/.exec(line);
    if (match !== null) return { host: match[1] ?? '', port: Number(match[2]), line };
  }
  throw new Error('millrace ended before it was ready');
}

type Rows = { columns: string[]; rows: (string | null)[][] };

async function main(): Promise<void> {
  say('1. a real Kafka (the first time it is fetched, which takes a while)');
  const services = await up(['kafka'], say);
  const kafka = services.find(({ name }) => name === 'kafka');
  if (kafka === undefined) throw new Error('no Kafka');
  if (kafka.from === 'started') closers.push(() => down(['kafka']));
  const run = Date.now().toString(36);
  const topics = { csv: `ordertest1-${run}`, json: `ordertest2-${run}` };
  for (const topic of Object.values(topics)) await createTopic(kafka.address, topic, 5);
  await produce(
    kafka.address,
    topics.csv,
    CSV_MESSAGES.map((value, i) => ({ value, partition: i % 5 })),
  );
  await produce(
    kafka.address,
    topics.json,
    JSON_MESSAGES.map((value, i) => ({ value, partition: i % 5 })),
  );
  say(`   ${kafka.address}: ${CSV_MESSAGES.length} CSV and ${JSON_MESSAGES.length} JSON messages`);

  say('2. millrace: FE and 3 BEs in one process');
  const server = await startMillrace();
  say(`   ${server.line}`);
  const client = await MysqlClient.connect({
    host: server.host,
    port: server.port,
    user: 'root',
    password: '',
    clock: systemClock,
  });
  closers.push(async () => client.close());
  const query = async (sql: string): Promise<Rows> => {
    let found: Rows = { columns: [], rows: [] };
    for await (const result of client.query(sql)) {
      if (result.kind === 'rows') {
        found = {
          columns: result.columns.map(({ name }) => name),
          rows: result.rows.map((row) => [...row]),
        };
      }
    }
    return found;
  };
  say("3. the documents' tables and jobs");
  const place = (sql: string, topic: string) =>
    sql
      .replace(
        /<kafka_broker1_ip>:<kafka_broker1_port>,<kafka_broker2_ip>:<kafka_broker2_port>/,
        kafka.address,
      )
      .replace(/ordertest[12]"/, `${topic}"`);
  await query('CREATE DATABASE example_db');
  await query('USE example_db');
  await query(CSV_TABLE);
  await query(JSON_TABLE);
  await query(place(CSV_JOB, topics.csv));
  await query(place(JSON_JOB, topics.json));
  await waitFor(
    async () => {
      const { rows } = await query(
        'SELECT (SELECT count(*) FROM example_tbl1), (SELECT count(*) FROM example_tbl2)',
      );
      say(`   rows so far: example_tbl1 ${rows[0]?.[0]}, example_tbl2 ${rows[0]?.[1]}`);
      return rows[0]?.[0] === '6' && rows[0]?.[1] === '3';
    },
    { what: 'all messages to be rows', timeoutMs: 180_000, intervalMs: 500 },
  );
  say('4. what is there now');
  const show = (rows: Rows) => {
    for (const row of rows.rows) say(`   ${row.map((value) => value ?? 'NULL').join(' | ')}`);
  };
  show(await query('SELECT * FROM example_tbl1 ORDER BY order_id, customer_name'));
  show(await query('SELECT * FROM example_tbl2 ORDER BY commodity_id'));
  const jobs = await query('SHOW ROUTINE LOAD FOR example_tbl2_ordertest2');
  jobs.columns.forEach((name, i) => {
    say(`   ${name.padStart(20)}: ${jobs.rows[0]?.[i] ?? 'NULL'}`);
  });
  say('5. try next, from another terminal:');
  say(
    `   mysql -h ${server.host} -P ${server.port} -u root    (or: npx millrace sql --port ${server.port})`,
  );
  say(
    '   PAUSE ROUTINE LOAD FOR example_db.example_tbl1_ordertest1;  SHOW ROUTINE LOAD TASK FROM example_db WHERE JobName = "example_tbl2_ordertest2";',
  );
}

const stopped = new Promise<void>((resolve) => {
  process.once('SIGINT', () => resolve());
  process.once('SIGTERM', () => resolve());
});
try {
  const done = main();
  await Promise.race([done, stopped]);
  if (!process.argv.includes('--exit')) {
    say('Ctrl-C ends it all.');
    await stopped;
  }
  await closeAll();
  process.exit(0);
} catch (error) {
  const { message, hint } = toErrorData(error);
  process.stderr.write(`quickstart: ${message}${hint === undefined ? '' : `. ${hint}`}\n`);
  await closeAll();
  process.exit(1);
}
