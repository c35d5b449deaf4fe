/** Kafka to table: rows a second, against kafkajs merely reading the same topic with its own consumer. */
import { readFile } from 'node:fs/promises';
import { startKafka } from '../scripts/services/kafka.ts';
import { kafkaClient } from '../scripts/services/kafka-client.ts';
import { openProducer } from '../test/kit/kafka-messages.ts';
import { createTopic } from '../test/kit/kafka-topics.ts';
import { type Millrace, startMillrace } from '../test/kit/millrace.ts';
import { waitFor } from '../test/kit/wait-for.ts';

export interface RoutineLoadBench {
  readonly rows: number;
  readonly format: 'json' | 'csv';
  readonly rounds: number;
  readonly partitions: number;
  readonly be: number;
  readonly say: (text: string) => void;
}

export interface RoutineLoadFigures {
  /** Medians over the rounds. */
  readonly rowsPerSecond: number;
  readonly kafkajsMessagesPerSecond: number;
  readonly ratio: number;
  readonly rounds: readonly { readonly rowsPerSecond: number; readonly kafkajs: number }[];
  readonly peakRssMiB: number;
}

const BATCH = 5_000;
const DAY_MS = 86_400_000;

/** About 100 bytes as JSON, 45 as CSV; five columns. */
function message(format: 'json' | 'csv', id: number): string {
  const day = new Date(Date.UTC(2024, 0, 1) + (id % 365) * DAY_MS).toISOString().slice(0, 10);
  const price = ((id * 7919) % 100_000) / 100;
  if (format === 'csv') return `${id},${day},customer ${id % 9973},${id % 211},${price}`;
  return `{"id": ${id}, "day": "${day}", "name": "customer ${id % 9973}", "country": ${id % 211}, "price": ${price}}`;
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

export async function benchRoutineLoad(options: RoutineLoadBench): Promise<RoutineLoadFigures> {
  const { rows, format, partitions, say } = options;
  const kafka = await startKafka({ say });
  let server: Millrace | undefined;
  try {
    await createTopic(kafka.bootstrap, 'bench', partitions);
    const producer = await openProducer(kafka.bootstrap);
    for (let from = 0; from < rows; from += BATCH * partitions) {
      const messages = [];
      for (let id = from; id < Math.min(rows, from + BATCH * partitions); id++) {
        messages.push({ partition: id % partitions, value: message(format, id) });
      }
      await producer.send('bench', messages);
    }
    await producer.close();
    say(`${rows} messages are in Kafka`);
    server = await startMillrace({ be: options.be });
    const { pid } = server;
    await server.query('CREATE DATABASE d');
    const rounds: { rowsPerSecond: number; kafkajs: number }[] = [];
    for (let round = 1; round <= options.rounds; round++) {
      const kafkajs = rows / (await readBare(kafka.bootstrap, rows, round));
      const rowsPerSecond = rows / (await load(server, kafka.bootstrap, options, round));
      rounds.push({ rowsPerSecond: Math.round(rowsPerSecond), kafkajs: Math.round(kafkajs) });
      say(`round ${round}: ${Math.round(rowsPerSecond)} rows/s, kafkajs ${Math.round(kafkajs)}`);
    }
    const loaded = median(rounds.map((one) => one.rowsPerSecond));
    const read = median(rounds.map((one) => one.kafkajs));
    return {
      rowsPerSecond: loaded,
      kafkajsMessagesPerSecond: read,
      ratio: Math.round((loaded / read) * 100) / 100,
      rounds,
      peakRssMiB: await peakRssMiB(pid),
    };
  } finally {
    await server?.stop();
    await kafka.stop();
  }
}

/** Seconds that kafkajs' own consumer takes to hand over all messages. */
async function readBare(bootstrap: string, rows: number, round: number): Promise<number> {
  const consumer = kafkaClient(bootstrap).consumer({ groupId: `bench-${round}` });
  await consumer.connect();
  await consumer.subscribe({ topic: 'bench', fromBeginning: true });
  let seen = 0;
  let fromMs = 0;
  const done = Promise.withResolvers<number>();
  await consumer.run({
    eachBatch: async ({ batch }) => {
      if (seen === 0) fromMs = performance.now();
      seen += batch.messages.length;
      if (seen >= rows) done.resolve((performance.now() - fromMs) / 1_000);
    },
  });
  const seconds = await done.promise;
  await consumer.disconnect();
  return seconds;
}

/** Seconds from CREATE ROUTINE LOAD until all rows are visible; then they are checked. */
async function load(
  server: Millrace,
  bootstrap: string,
  { rows, format }: RoutineLoadBench,
  round: number,
): Promise<number> {
  const table = `d.t${round}`;
  await server.query(
    `CREATE TABLE ${table} (id BIGINT NOT NULL, day DATE, name VARCHAR(40), country INT, price DOUBLE) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id)`,
  );
  const how =
    format === 'csv'
      ? 'COLUMNS TERMINATED BY ","'
      : 'PROPERTIES ("format" = "json", "jsonpaths" = "[\\"$.id\\",\\"$.day\\",\\"$.name\\",\\"$.country\\",\\"$.price\\"]")';
  const fromMs = performance.now();
  await server.query(
    `CREATE ROUTINE LOAD d.j${round} ON t${round} ${how} FROM KAFKA ("kafka_broker_list" = "${bootstrap}", "kafka_topic" = "bench", "property.kafka_default_offsets" = "OFFSET_BEGINNING")`,
  );
  await waitFor(
    async () => {
      const [row] = await server.query(`SELECT count(*) AS n FROM ${table}`);
      return Number(row?.n) >= rows;
    },
    { what: `${rows} rows`, timeoutMs: 600_000, intervalMs: 200 },
  );
  const seconds = (performance.now() - fromMs) / 1_000;
  const [check] = await server.query(
    `SELECT count(*) AS n, count(DISTINCT id) AS d, sum(id) AS s FROM ${table}`,
  );
  const sum = (BigInt(rows) * BigInt(rows - 1)) / 2n;
  if (check?.n !== String(rows) || check.d !== String(rows) || check.s !== String(sum)) {
    throw new Error(`the rows are not those of the log: ${JSON.stringify(check)}`);
  }
  await server.query(`STOP ROUTINE LOAD FOR d.j${round}`);
  await server.query(`DROP TABLE ${table}`);
  return seconds;
}

/** Of the whole process, workers and all; Linux only. */
async function peakRssMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Math.round(Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024);
}
