/**
 * Kafka to table: rows a second from CREATE ROUTINE LOAD until all are visible, beside kafkajs' consumer that merely reads the
 * same topic, and a Python loader. Variants are measured beside the plain one, in the same round. Not measured: several
 * jobs at a time, brokers on another machine.
 */
import { type KafkaHandle, startKafka } from '../scripts/services/kafka.ts';
import { type Millrace, startMillrace } from '../test/kit/millrace.ts';
import { waitFor } from '../test/kit/wait-for.ts';
import type { Format } from './messages.ts';
import { readBare } from './peers/kafkajs-read.ts';
import { type PythonLoad, pythonLoad, pythonPeer } from './peers/python-loader.ts';
import {
  coreWaitMs,
  peakRssMiB,
  type Usage,
  usageOf,
  usedSince,
  watchStolen,
} from './process-usage.ts';
import type { BenchCodec } from './raw-producer.ts';
import { median, quantile, round } from './report.ts';
import { SqlConnection } from './sql.ts';
import { fillTopic } from './topic.ts';
import { type VariantName, variants } from './variants.ts';

export interface RoutineLoadBench {
  readonly rows: number;
  readonly format: Format;
  readonly rounds: number;
  readonly partitions: number;
  readonly be: number;
  readonly compression: BenchCodec;
  readonly variant: VariantName;
  /** Rows of another topic of the plain variant, loaded in the same rounds; 0: none. */
  readonly besideRows: number;
  readonly python: boolean;
  readonly say: (text: string) => void;
}

interface Run {
  readonly topic: string;
  readonly rows: number;
  readonly variant: VariantName;
}

/** One SHOW ROUTINE LOAD, and what of it was a thread's wait for a core that others had. */
interface Show {
  readonly ms: number;
  readonly clientWaitMs: number;
  readonly serverWaitMs: number;
}

interface Loaded {
  readonly rowsPerSecond: number;
  readonly seconds: number;
  readonly millrace: Usage;
  /** Of the whole process: what a slower minute of the machine changes less than the rate. */
  readonly cpuNsPerRow: number;
  readonly kafkaCpuSeconds: number;
  /** Of all cores while it ran. */
  readonly stolenShare: number;
  readonly shows: readonly Show[];
  /** When all was visible, before the rows were checked, which is a query of its own. */
  readonly peakRssMiB: number;
  readonly statistic: object;
}

export async function benchRoutineLoad(options: RoutineLoadBench): Promise<object> {
  const { rows, format, partitions, compression, say } = options;
  const kafka = await startKafka({ say });
  let server: Millrace | undefined;
  try {
    const python = options.python ? await pythonPeer(say) : null;
    const plain: Run = { topic: 'plain', variant: 'plain', rows };
    const other = otherRun(options);
    const fill = async ({ topic, variant, rows }: Run, codec: BenchCodec) => {
      const { value } = variants[variant];
      const { bootstrap } = kafka;
      const bytes = await fillTopic({
        bootstrap,
        topic,
        partitions,
        rows,
        codec,
        value: (id) => value(format, id),
      });
      const each = Math.round(bytes / rows);
      say(`${rows} messages are in topic "${topic}", ${each} bytes each`);
      return each;
    };
    const bytesPerMessage = {
      plain: await fill(plain, 'none'),
      ...(other === null ? {} : { variant: await fill(other, compression) }),
    };
    server = await startMillrace({ be: options.be });
    await server.query('CREATE DATABASE d');
    const rounds: {
      kafkajs: number;
      python: PythonLoad | null;
      plain: Loaded;
      other: Loaded | null;
    }[] = [];
    for (let i = 1; i <= options.rounds; i++) {
      const kafkajs = rows / (await readBare(kafka.bootstrap, plain.topic, rows));
      const of = { bootstrap: kafka.bootstrap, topic: plain.topic, partitions, rows, format };
      const peer = python === null ? null : await pythonLoad(python, of);
      if (peer !== null && (peer.rows !== rows || peer.distinct !== rows)) {
        throw new Error(`the Python loader has other rows: ${JSON.stringify(peer)}`);
      }
      // The one that goes second has warmer code and caches: they take turns.
      const isFirst = i % 2 === 1;
      const early = isFirst ? await load(server, kafka, options, plain, i) : null;
      const beside = other === null ? null : await load(server, kafka, options, other, i);
      const loaded = early ?? (await load(server, kafka, options, plain, i));
      rounds.push({ kafkajs, python: peer, plain: loaded, other: beside });
      const rate = (value: number) => `${round(value / 1e6)} M/s`;
      say(
        `round ${i}: ${rate(loaded.rowsPerSecond)}` +
          (beside === null
            ? ''
            : `, ${other?.variant} ${compression} ${other?.rows} ${rate(beside.rowsPerSecond)}`) +
          `, kafkajs ${rate(kafkajs)}` +
          (peer === null ? '' : `, Python ${rate(rows / peer.seconds)}`),
      );
    }
    const rate = median(rounds.map((one) => one.plain.rowsPerSecond));
    const kafkajs = median(rounds.map((one) => one.kafkajs));
    const pythons = rounds.flatMap((one) =>
      one.python === null ? [] : [rows / one.python.seconds],
    );
    const others = rounds.flatMap((one) => (one.other === null ? [] : [one.other.rowsPerSecond]));
    const shows = rounds.flatMap((one) => [...one.plain.shows, ...(one.other?.shows ?? [])]);
    const last = rounds.at(-1);
    // Of each round, as what is compared ran right beside each other: the machine's clock may be another in the next.
    const ratios = (of: (one: (typeof rounds)[number]) => number | null) =>
      rounds.map(of).filter((ratio) => ratio !== null);
    return {
      medians: {
        rowsPerSecond: Math.round(rate),
        kafkajsMessagesPerSecond: Math.round(kafkajs),
        ratioToKafkajs: round(median(rounds.map((one) => one.plain.rowsPerSecond / one.kafkajs))),
        ...(pythons.length === 0
          ? {}
          : {
              pythonRowsPerSecond: Math.round(median(pythons)),
              ratioToPython: round(
                median(
                  ratios(
                    ({ plain, python }) => python && plain.rowsPerSecond / (rows / python.seconds),
                  ),
                ),
              ),
            }),
        ...(others.length === 0
          ? {}
          : {
              variantRows: other?.rows,
              variantRowsPerSecond: Math.round(median(others)),
              shareOfPlain: round(
                median(
                  ratios(({ plain, other }) => other && other.rowsPerSecond / plain.rowsPerSecond),
                ),
              ),
            }),
        showRoutineLoadMs: showFigures(shows),
        cpuSeconds: median(rounds.map((one) => one.plain.millrace.cpuSeconds)),
      },
      // The mark only ever rises: before any check there is the first load alone.
      peakRssMiB: rounds[0]?.plain.peakRssMiB,
      peakRssWithChecksMiB: await peakRssMiB(server.pid),
      bytesPerMessage,
      breakdown:
        (last?.other ?? last?.plain) === undefined ? null : shown(last?.other ?? last!.plain),
      rounds: rounds.map((one) => ({
        rowsPerSecond: Math.round(one.plain.rowsPerSecond),
        stolenShare: one.plain.stolenShare,
        ...(one.other === null
          ? {}
          : {
              variant: Math.round(one.other.rowsPerSecond),
              variantStolenShare: one.other.stolenShare,
            }),
        cpuNsPerRow: {
          plain: one.plain.cpuNsPerRow,
          ...(one.other === null ? {} : { variant: one.other.cpuNsPerRow }),
        },
        kafkajs: Math.round(one.kafkajs),
        python: one.python,
      })),
    };
  } finally {
    await server?.stop();
    await kafka.stop();
  }
}

function showFigures(shows: readonly Show[]): object {
  const of = (msOf: (show: Show) => number, share: number) =>
    round(quantile(shows.map(msOf), share), 1);
  const slowest = [...shows].sort((a, b) => b.ms - a.ms).slice(0, 3);
  return {
    p50: of(({ ms }) => ms, 0.5),
    p99: of(({ ms }) => ms, 0.99),
    // The client shares the cores with all others: what it did not run is not the server's.
    p99WithoutClientWait: of(({ ms, clientWaitMs }) => Math.max(0, ms - clientWaitMs), 0.99),
    slowest: slowest.map(({ ms, clientWaitMs, serverWaitMs }) => ({
      ms: round(ms, 1),
      clientWaitMs: round(clientWaitMs, 1),
      serverWaitMs: round(serverWaitMs, 1),
    })),
  };
}

function shown({ seconds, millrace, kafkaCpuSeconds, statistic }: Loaded): object {
  return { seconds: round(seconds), ...millrace, kafkaCpuSeconds, statistic };
}

/** What is compared with the plain run of all rows. */
function otherRun({ variant, compression, besideRows, rows }: RoutineLoadBench): Run | null {
  if (besideRows > 0) return { topic: 'other', variant: 'plain', rows: besideRows };
  if (variant === 'plain' && compression === 'none') return null;
  return { topic: 'other', variant, rows };
}

async function kafkaUsage(kafka: KafkaHandle): Promise<number> {
  const pids = kafka.brokers.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  const all = await Promise.all(pids.map((pid) => usageOf(pid)));
  return all.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
}

/** Until all rows are visible; then they are checked, and the job and the table removed. */
async function load(
  server: Millrace,
  kafka: KafkaHandle,
  { format }: RoutineLoadBench,
  { topic, variant: name, rows }: Run,
  i: number,
): Promise<Loaded> {
  const variant = variants[name];
  const table = `d.${topic}_${i}`;
  const job = `d.j_${topic}_${i}`;
  const expected = variant.expected(rows);
  const sql = await SqlConnection.open(server.port);
  const show = await SqlConnection.open(server.port);
  await sql.query(
    `CREATE TABLE ${table} (${variant.columns}) ${variant.model} DISTRIBUTED BY HASH(id)`,
  );
  const clauses = [...(format === 'csv' ? ['COLUMNS TERMINATED BY ","'] : []), variant.clauses];
  const properties = [
    variant.properties,
    ...(format === 'csv'
      ? []
      : [
          '"format" = "json"',
          '"jsonpaths" = "[\\"$.id\\",\\"$.day\\",\\"$.name\\",\\"$.country\\",\\"$.price\\"]"',
        ]),
  ].filter((one) => one !== '');
  const before = await usageOf(server.pid);
  const kafkaBefore = await kafkaUsage(kafka);
  const stolen = await watchStolen();
  const fromMs = performance.now();
  await sql.query(
    `CREATE ROUTINE LOAD ${job} ON ${topic}_${i} ${clauses.filter((one) => one !== '').join(', ')} ${
      properties.length === 0 ? '' : `PROPERTIES (${properties.join(', ')})`
    } FROM KAFKA ("kafka_broker_list" = "${kafka.bootstrap}", "kafka_topic" = "${topic}", "property.kafka_default_offsets" = "OFFSET_BEGINNING")`,
  );
  const shows: Show[] = [];
  const waits = () => Promise.all([coreWaitMs(process.pid), coreWaitMs(server.pid)]);
  const isOver = async () => {
    const [client, own] = await waits();
    const ms = await show.ms(`SHOW ROUTINE LOAD FOR ${job}`);
    const [clientAfter, ownAfter] = await waits();
    shows.push({ ms, clientWaitMs: clientAfter - client, serverWaitMs: ownAfter - own });
    return name === 'aggregate'
      ? (await lagOf(show, job)) === 0
      : (await sql.count(table)) >= Number(expected.n);
  };
  await waitFor(isOver, { what: `${rows} rows`, timeoutMs: 1_800_000, intervalMs: 50 });
  const seconds = (performance.now() - fromMs) / 1_000;
  const millrace = usedSince(before, await usageOf(server.pid));
  const kafkaCpuSeconds = round((await kafkaUsage(kafka)) - kafkaBefore);
  const stolenShare = await stolen();
  const peak = await peakRssMiB(server.pid);
  const [check] = await sql.query(`${variant.check} ${table}`);
  if (JSON.stringify(check) !== JSON.stringify(expected)) {
    throw new Error(`${JSON.stringify(check)} in place of ${JSON.stringify(expected)}`);
  }
  const [row] = await show.query(`SHOW ROUTINE LOAD FOR ${job}`);
  const statistic = JSON.parse(row?.Statistic ?? '{}') as object;
  await sql.query(`STOP ROUTINE LOAD FOR ${job}`);
  await sql.query(`DROP TABLE ${table}`);
  await sql.close();
  await show.close();
  const rowsPerSecond = rows / seconds;
  return {
    rowsPerSecond,
    seconds,
    millrace,
    cpuNsPerRow: Math.round((1e9 * millrace.cpuSeconds) / rows),
    kafkaCpuSeconds,
    stolenShare,
    shows,
    peakRssMiB: peak,
    statistic,
  };
}

/** Rows of an AGGREGATE table cannot be counted against the log: its position can. Null: not known yet. */
async function lagOf(sql: SqlConnection, job: string): Promise<number | null> {
  const [row] = await sql.query(`SHOW ROUTINE LOAD FOR ${job}`);
  const { lagRecords, committedTaskNum } = JSON.parse(row?.Statistic ?? '{}') as Record<
    string,
    number
  >;
  return committedTaskNum === 0 ? null : (lagRecords ?? null);
}
