/**
 * What jobs cost that have nothing to do: CPU of the whole process with so many jobs on quiet topics of one partition, beside
 * the same process before it had a job; and how soon a message on one of the topics is visible.
 */
import { startKafka } from '../scripts/services/kafka.ts';
import { kafkaClient } from '../scripts/services/kafka-client.ts';
import { type Millrace, startMillrace } from '../test/kit/millrace.ts';
import { waitFor } from '../test/kit/wait-for.ts';
import { message } from './messages.ts';
import { peakRssMiB, usageOf, usedSince } from './process-usage.ts';
import { batchOf, RawProducer } from './raw-producer.ts';
import { median, quantile, round } from './report.ts';
import { SqlConnection } from './sql.ts';

export interface IdleBench {
  readonly jobs: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly be: number;
  readonly say: (text: string) => void;
}

const WAKES = 20;
/** After the last CREATE until requests have become as long as they get. */
const SETTLE_MS = 45_000;
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export async function benchIdle(options: IdleBench): Promise<object> {
  const { jobs, say, seconds } = options;
  const kafka = await startKafka({ say });
  let server: Millrace | undefined;
  try {
    const admin = kafkaClient(kafka.bootstrap).admin();
    await admin.connect();
    for (let from = 0; from < jobs; from += 200) {
      const topics = Array.from({ length: Math.min(200, jobs - from) }, (_, i) => ({
        topic: `quiet${from + i}`,
        numPartitions: 1,
      }));
      await admin.createTopics({ topics, waitForLeaders: false });
    }
    await admin.disconnect();
    server = await startMillrace({ be: options.be });
    const { pid } = server;
    const share = async () => {
      const before = await usageOf(pid);
      await sleep(seconds * 1_000);
      const used = usedSince(before, await usageOf(pid));
      return { percentOfACore: round((used.cpuSeconds / seconds) * 100, 1), ...used };
    };
    await sleep(5_000);
    const none = await share();
    say(`without a job: ${none.percentOfACore} % of a core`);
    const sql = await SqlConnection.open(server.port);
    await sql.query('CREATE DATABASE d');
    await sql.query(
      'CREATE TABLE d.t (id BIGINT NOT NULL, day DATE, name VARCHAR(40), country INT, price DOUBLE) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id)',
    );
    await sql.query(
      `ADMIN SET FRONTEND CONFIG ("max_routine_load_task_num_per_be" = "${Math.max(jobs, 16)}")`,
    );
    for (let i = 0; i < jobs; i++) {
      await sql.query(
        `CREATE ROUTINE LOAD d.j${i} ON t COLUMNS TERMINATED BY "," FROM KAFKA ("kafka_broker_list" = "${kafka.bootstrap}", "kafka_topic" = "quiet${i}", "property.kafka_default_offsets" = "OFFSET_BEGINNING")`,
      );
    }
    const isRunning = async () => {
      const rows = await sql.query('SHOW ROUTINE LOAD FROM d');
      return rows.filter(({ State }) => State === 'RUNNING').length === jobs;
    };
    await waitFor(isRunning, { what: `${jobs} jobs`, timeoutMs: 120_000, intervalMs: 1_000 });
    say(`${jobs} jobs run`);
    await sleep(SETTLE_MS);
    const rounds = [];
    for (let i = 0; i < options.rounds; i++) {
      const one = await share();
      say(`round ${i + 1}: ${one.percentOfACore} % of a core`);
      rounds.push(one);
    }
    const wakeMs = await wakes(sql, kafka.bootstrap, jobs);
    await sql.close();
    const percent = median(rounds.map(({ percentOfACore }) => percentOfACore));
    return {
      medians: {
        percentOfACore: percent,
        withoutJobs: none.percentOfACore,
        ratioToNoJobs: round(percent / Math.max(0.1, none.percentOfACore)),
        wakeMs: { p50: round(quantile(wakeMs, 0.5), 0), max: round(Math.max(...wakeMs), 0) },
      },
      jobs,
      rounds,
      peakRssMiB: await peakRssMiB(pid),
    };
  } finally {
    await server?.stop();
    await kafka.stop();
  }
}

/** A message on one quiet topic after the other: until it is counted. */
async function wakes(sql: SqlConnection, bootstrap: string, jobs: number): Promise<number[]> {
  const producer = await RawProducer.open(bootstrap);
  const tookMs: number[] = [];
  for (let i = 1; i <= WAKES; i++) {
    const fromMs = performance.now();
    const topic = `quiet${(i * 37) % jobs}`;
    await producer.send(topic, 0, batchOf([message('csv', i)], Date.now(), 'none'));
    await waitFor(async () => (await sql.count('d.t')) >= i, { what: `row ${i}`, intervalMs: 2 });
    tookMs.push(performance.now() - fromMs);
  }
  await producer.close();
  return tookMs;
}
