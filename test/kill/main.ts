/**
 * The kill loop: a real Kafka, a producer with unique ids, `kill -9` of the whole process at random moments; on the way
 * Kafka, and with `--nats` nats-server, are killed as well. At the end the table holds what the log holds, every id once.
 *
 *   npm run test:kill -- [--kills 30] [--rate 3000] [--kafka-kills 2] [--nats [--nats-kills 2]]
 *
 * What it does not show: a lost page cache (PROTOCOL.md E3).
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startKafka } from '../../scripts/services/kafka.ts';
import { startNats } from '../../scripts/services/nats.ts';
import { sleep, systemClock } from '../../src/base/clock.ts';
import { consume, openProducer } from '../kit/kafka-messages.ts';
import { createTopic, endOffsets } from '../kit/kafka-topics.ts';
import { type Millrace, startMillrace } from '../kit/millrace.ts';
import { waitFor } from '../kit/wait-for.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '30' },
    rate: { type: 'string', default: '3000' },
    'kafka-kills': { type: 'string', default: '2' },
    nats: { type: 'boolean', default: false },
    'nats-kills': { type: 'string', default: '2' },
  },
});
const KILLS = Number(values.kills);
const BATCH = Math.max(1, Math.round(Number(values.rate) / 10));
const PARTITIONS = 3;

const say = (text: string) => process.stdout.write(`${text}\n`);

/** Which of `kills` rounds carry one of `count` other kills: spread evenly, none in the first. */
const spread = (count: number) =>
  new Set(Array.from({ length: count }, (_, i) => Math.ceil(((i + 1) * KILLS) / (count + 1))));
const kafkaRounds = spread(Number(values['kafka-kills']));
const natsRounds = spread(values.nats ? Number(values['nats-kills']) : 0);

const dataDir = await mkdtemp(join(tmpdir(), 'millrace-kill-'));
const kafka = await startKafka({ say });
const nats = values.nats ? await startNats({ say }) : undefined;
const args = nats === undefined ? [] : ['--nats', nats.url];
const start = () => startMillrace({ be: 3, dataDir, args });
let server: Millrace = await start();
let failed = false;
let producing = true;
let sent = 0;

/** With NATS the BEs register a moment after the process is ready; a kill before that shows nothing. */
async function registered(): Promise<void> {
  await waitFor(
    async () => {
      const found = await server.query('SHOW BACKENDS');
      return found.filter(({ Alive }) => Alive === 'true').length === 3;
    },
    { what: '3 BEs that are alive', timeoutMs: 60_000 },
  );
}

/**
 * A send that failed may have come through: its ids are not sent again, so that an id stands in the log once at the most.
 * The log is the measure of what came of them.
 */
async function produceAll(): Promise<void> {
  while (producing) {
    const producer = await openProducer(kafka.bootstrap, { idempotent: true }).catch(() => null);
    while (producing && producer !== null) {
      const messages = Array.from({ length: BATCH }, (_, i) => {
        const id = sent + i;
        return { partition: id % PARTITIONS, value: `${id},${id % PARTITIONS}` };
      });
      sent += BATCH;
      const isSent = await producer.send('ids', messages).then(
        () => true,
        () => false,
      );
      if (!isSent) break;
      await sleep(systemClock, 100);
    }
    await producer?.close().catch(() => {});
    if (producing) await sleep(systemClock, 100);
  }
}

try {
  await createTopic(kafka.bootstrap, 'ids', PARTITIONS);
  await registered();
  await server.query('CREATE DATABASE d');
  await server.query(
    'CREATE TABLE d.ids (id BIGINT NOT NULL, p INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 4',
  );
  await server.query(
    `CREATE ROUTINE LOAD d.j ON ids COLUMNS TERMINATED BY "," FROM KAFKA ("kafka_broker_list" = "${kafka.bootstrap}", "kafka_topic" = "ids", "property.kafka_default_offsets" = "OFFSET_BEGINNING")`,
  );
  const production = produceAll();
  production.catch(() => {});
  for (let kill = 1; kill <= KILLS; kill++) {
    const others: Promise<void>[] = [];
    if (kafkaRounds.has(kill)) {
      await kafka.kill();
      others.push(sleep(systemClock, Math.random() * 2_000).then(() => kafka.restart()));
      say(`kill ${kill}: Kafka as well`);
    }
    if (nats !== undefined && natsRounds.has(kill)) {
      await nats.kill();
      others.push(sleep(systemClock, Math.random() * 2_000).then(() => nats.restart()));
      say(`kill ${kill}: nats-server as well`);
    }
    await sleep(systemClock, 200 + Math.random() * 1_500);
    await server.kill();
    // With NATS the process waits for its server to start.
    if (nats !== undefined) await Promise.all(others);
    const from = performance.now();
    server = await start();
    await registered();
    const readyMs = Math.round(performance.now() - from);
    const [row] = await waitFor(
      () => server.query('SELECT count(*) AS n, count(DISTINCT id) AS d FROM d.ids'),
      { what: 'an answer', timeoutMs: 60_000 },
    );
    say(`kill ${kill}: ready in ${readyMs} ms, sent ${sent}, rows ${row?.n}, distinct ${row?.d}`);
    if (row?.n !== row?.d) throw new Error('a row was loaded twice');
    await Promise.all(others);
  }
  producing = false;
  await production;
  const written = (await endOffsets(kafka.bootstrap, 'ids')).reduce((a, b) => a + Number(b), 0);
  await waitFor(
    async () => {
      const [row] = await server.query('SELECT count(*) AS n FROM d.ids');
      return Number(row?.n) >= written;
    },
    { what: `${written} rows`, timeoutMs: 120_000, intervalMs: 250 },
  );
  const log = await consume(kafka.bootstrap, 'ids', written, { timeoutMs: 120_000 });
  const inLog = log.map(({ value }) => Number.parseInt(String(value), 10)).sort((a, b) => a - b);
  const inTable = (await server.query('SELECT id FROM d.ids ORDER BY id')).map(({ id }) =>
    Number(id),
  );
  const isExact =
    inLog.length === inTable.length && inLog.every((id, index) => inTable[index] === id);
  const distinct = new Set(inTable).size;
  failed = !isExact || distinct !== inTable.length;
  say(
    `${KILLS} kills, ${kafkaRounds.size} of Kafka, ${natsRounds.size} of nats-server; ${inLog.length} ids in the log, ${inTable.length} rows, ${distinct} distinct: ${failed ? 'WRONG' : 'every id exactly once'}`,
  );
} catch (error) {
  failed = true;
  say(`failed: ${error instanceof Error ? error.message : String(error)}`);
  const rows = await server.query('SHOW ROUTINE LOAD FROM d').catch(() => []);
  say(JSON.stringify(rows));
} finally {
  await server.kill();
  await kafka.stop();
  await nats?.stop();
  await rm(dataDir, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
