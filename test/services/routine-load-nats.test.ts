/** The main job with every message between FE and BEs over a real nats-server. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type KafkaHandle, startKafka } from '../../scripts/services/kafka.ts';
import { type NatsHandle, startNats } from '../../scripts/services/nats.ts';
import { produce } from '../kit/kafka-messages.ts';
import { type Millrace, startMillrace } from '../kit/millrace.ts';
import { Jobs } from '../kit/routine-load.ts';
import { waitFor } from '../kit/wait-for.ts';

let kafka: KafkaHandle;
let nats: NatsHandle;
let server: Millrace;
const jobs = new Jobs(
  () => server,
  () => kafka,
);

beforeAll(async () => {
  [kafka, nats] = await Promise.all([startKafka(), startNats()]);
  server = await startMillrace({ be: 3, args: ['--nats', nats.url] });
  // The BEs register over NATS, a moment after the process is ready.
  await waitFor(
    async () =>
      (await jobs.query('SHOW BACKENDS')).filter((be) => be.Alive === 'true').length === 3,
    { what: '3 BEs that are alive' },
  );
  await jobs.query('CREATE DATABASE example_db');
});

afterAll(async () => {
  await server?.stop();
  await nats?.stop();
  await kafka?.stop();
});

it('INSERT and SELECT, also of results that no message could hold', async () => {
  await jobs.query(
    'CREATE TABLE example_db.wide (id INT NOT NULL, body VARCHAR(2000)) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id)',
  );
  const text = 'x'.repeat(1_000);
  const values = Array.from({ length: 1_000 }, (_, i) => `(${i}, '${text}')`);
  await jobs.query(`INSERT INTO example_db.wide VALUES ${values.join(', ')}`);
  const found = await jobs.query('SELECT * FROM example_db.wide ORDER BY id');
  expect(found).toHaveLength(1_000);
  expect(found.at(-1)).toEqual({ id: '999', body: text });
});

it('a job loads, waits while nats-server is dead, and goes on without loss or repetition', async () => {
  await jobs.topicAndTable('bus', 'bus', { partitions: 3 });
  const messages = (from: number) =>
    Array.from({ length: 3_000 }, (_, i) => ({ partition: i % 3, value: `${from + i},x` }));
  await produce(kafka.bootstrap, 'bus', messages(0));
  await jobs.create('bus', 'bus', 'bus');
  await jobs.rows('bus', 3_000);
  await nats.kill();
  await produce(kafka.bootstrap, 'bus', messages(3_000));
  // The FE answers without its BEs, and says what it waits for.
  await waitFor(
    async () => (await jobs.query('SHOW BACKENDS')).every((be) => be.Alive === 'false'),
    { what: 'BEs that are not alive', timeoutMs: 60_000 },
  );
  expect((await jobs.show('bus')).ReasonOfStateChanged).not.toBe('');
  await nats.restart();
  await jobs.rows('bus', 6_000);
  const [found] = await jobs.query('SELECT count(DISTINCT id) AS n FROM example_db.bus');
  expect(found?.n).toBe('6000');
  await jobs.until('bus', 'RUNNING', (row) => row.ReasonOfStateChanged === '');
});
