/**
 * From produce to visible at a steady rate, with the default max_batch_interval: as the server measures it (a record's
 * timestamp to VISIBLE), and as a client sees it that counts all the time. Beside kafkajs' consumer that only takes the
 * messages, at the same rate, before. Not measured: clocks of other machines.
 */
import { startKafka } from '../scripts/services/kafka.ts';
import { kafkaClient } from '../scripts/services/kafka-client.ts';
import { createTopic } from '../test/kit/kafka-topics.ts';
import { type Millrace, startMillrace } from '../test/kit/millrace.ts';
import { waitFor } from '../test/kit/wait-for.ts';
import { type Format, message, sumBelow } from './messages.ts';
import { peakRssMiB, usageOf, usedSince } from './process-usage.ts';
import { batchOf, RawProducer } from './raw-producer.ts';
import { quantile, round } from './report.ts';
import { SqlConnection } from './sql.ts';

export interface FreshnessBench {
  readonly rate: number;
  readonly seconds: number;
  readonly format: Format;
  readonly partitions: number;
  readonly be: number;
  readonly say: (text: string) => void;
}

const TICK_MS = 10;
/** Half of what a broker takes; what is due beyond it, as this process had no core, goes with the next tick. */
const BATCH_MESSAGES_MAX = 5_000;
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

interface Sent {
  /** Messages sent up to here, and when. */
  readonly upTo: number;
  readonly atMs: number;
}

/** Every tick a batch to one partition after the other, from id 1 on; `sent` grows while it goes on. Gives how many there are then, with id 0. */
async function produceSteadily(
  bootstrap: string,
  topic: string,
  { rate, format, partitions }: FreshnessBench,
  seconds: number,
  sent: Sent[],
): Promise<number> {
  const producer = await RawProducer.open(bootstrap);
  const fromMs = performance.now();
  let id = 1;
  for (let tick = 0; performance.now() - fromMs < seconds * 1_000; tick++) {
    const due = 1 + Math.floor(((performance.now() - fromMs) / 1_000) * rate);
    const values: string[] = [];
    for (; id < due && values.length < BATCH_MESSAGES_MAX; id++) values.push(message(format, id));
    if (values.length > 0) {
      const atMs = Date.now();
      await producer.send(topic, tick % partitions, batchOf(values, atMs, 'none'));
      sent.push({ upTo: id, atMs });
    }
    await sleep(TICK_MS);
  }
  await producer.close();
  return id;
}

/** Id 0. */
async function sendFirst(bootstrap: string, topic: string, format: Format): Promise<void> {
  const producer = await RawProducer.open(bootstrap);
  await producer.send(topic, 0, batchOf([message(format, 0)], Date.now(), 'none'));
  await producer.close();
}

export async function benchFreshness(options: FreshnessBench): Promise<object> {
  const { format, partitions, say, rate, seconds } = options;
  const kafka = await startKafka({ say });
  let server: Millrace | undefined;
  try {
    const { bootstrap } = kafka;
    await createTopic(bootstrap, 'peer', partitions);
    const kafkajs = await readSteadily(bootstrap, options);
    say(`kafkajs takes a message after ${kafkajs.p99Ms} ms (p99)`);
    await createTopic(bootstrap, 'fresh', partitions);
    server = await startMillrace({ be: options.be });
    const sql = await SqlConnection.open(server.port);
    await sql.query('CREATE DATABASE d');
    await sql.query(
      'CREATE TABLE d.t (id BIGINT NOT NULL, day DATE, name VARCHAR(40), country INT, price DOUBLE) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id)',
    );
    const how =
      format === 'csv'
        ? 'COLUMNS TERMINATED BY ","'
        : 'PROPERTIES ("format" = "json", "jsonpaths" = "[\\"$.id\\",\\"$.day\\",\\"$.name\\",\\"$.country\\",\\"$.price\\"]")';
    await sql.query(
      `CREATE ROUTINE LOAD d.j ON t ${how} FROM KAFKA ("kafka_broker_list" = "${bootstrap}", "kafka_topic" = "fresh", "property.kafka_default_offsets" = "OFFSET_BEGINNING")`,
    );
    // The first message waits for the job to be scheduled, which is another figure.
    await sendFirst(bootstrap, 'fresh', format);
    await waitFor(async () => (await sql.count('d.t')) === 1, { what: 'the first row' });
    const before = await usageOf(server.pid);
    const sent: Sent[] = [];
    let isOver = false;
    const producing = produceSteadily(bootstrap, 'fresh', options, seconds, sent).finally(() => {
      isOver = true;
    });
    const seenMs: number[] = [];
    let next = 0;
    while (!isOver) {
      const count = await sql.count('d.t');
      const now = Date.now();
      // Partitions become visible apart, so this is off by what one of them is ahead.
      for (; (sent[next]?.upTo ?? Infinity) <= count; next++) seenMs.push(now - sent[next]!.atMs);
      await sleep(TICK_MS);
    }
    const rows = await producing;
    const [row] = await sql.query('SHOW ROUTINE LOAD FOR d.j');
    const statistic = JSON.parse(row?.Statistic ?? '{}') as {
      produceToVisible: { p50Ms: number; p99Ms: number; maxMs: number };
      committedTaskNum: number;
    };
    const used = usedSince(before, await usageOf(server.pid));
    await waitFor(async () => (await sql.count('d.t')) >= rows, { what: `${rows} rows` });
    const [check] = await sql.query(
      'SELECT count(*) AS n, count(DISTINCT id) AS d, sum(id) AS s FROM d.t',
    );
    if (check?.n !== String(rows) || check.d !== check.n || check.s !== String(sumBelow(rows))) {
      throw new Error(`the rows are not those of the log: ${JSON.stringify(check)}`);
    }
    await sql.close();
    const { p99Ms } = statistic.produceToVisible;
    return {
      medians: {
        produceToVisibleMs: statistic.produceToVisible,
        seenByClientMs: { p50: quantile(seenMs, 0.5), p99: quantile(seenMs, 0.99) },
        kafkajs,
        ratioToKafkajs: round(p99Ms / Math.max(1, kafkajs.p99Ms)),
        coresUsed: round(used.cpuSeconds / seconds),
      },
      rate,
      seconds,
      rows,
      commits: statistic.committedTaskNum,
      breakdown: used,
      peakRssMiB: await peakRssMiB(server.pid),
    };
  } finally {
    await server?.stop();
    await kafka.stop();
  }
}

/** From a record's timestamp until kafkajs' consumer has it. */
async function readSteadily(
  bootstrap: string,
  options: FreshnessBench,
): Promise<{ p50Ms: number; p99Ms: number }> {
  const consumer = kafkaClient(bootstrap).consumer({ groupId: 'bench-fresh' });
  await consumer.connect();
  await consumer.subscribe({ topic: 'peer', fromBeginning: true });
  const tookMs: number[] = [];
  await consumer.run({
    eachBatch: async ({ batch }) => {
      const now = Date.now();
      const first = batch.messages[0];
      if (first !== undefined) tookMs.push(now - Number(first.timestamp));
    },
  });
  // The group has to form before the clock counts.
  await waitFor(
    async () => {
      await sendFirst(bootstrap, 'peer', options.format);
      return tookMs.length > 0;
    },
    { what: 'kafkajs to take a message', intervalMs: 200 },
  );
  tookMs.length = 0;
  await produceSteadily(bootstrap, 'peer', options, Math.min(10, options.seconds), []);
  await consumer.disconnect();
  return { p50Ms: quantile(tookMs, 0.5), p99Ms: quantile(tookMs, 0.99) };
}
