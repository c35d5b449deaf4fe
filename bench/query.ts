/**
 * Queries over loaded rows: GROUP BY, a filtered top-n, a point filter, unfiltered count(*), through the MySQL port; beside
 * DuckDB in this process, on a table of its own and on the Parquet files that millrace wrote. All with the machine's cores.
 */
import { glob, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startKafka } from '../scripts/services/kafka.ts';
import { type Millrace, startMillrace } from '../test/kit/millrace.ts';
import { waitFor } from '../test/kit/wait-for.ts';
import { message } from './messages.ts';
import { DuckDbPeer } from './peers/duckdb.ts';
import { peakRssMiB, usageOf, usedSince } from './process-usage.ts';
import { median, round } from './report.ts';
import { SqlConnection } from './sql.ts';
import { fillTopic } from './topic.ts';

export interface QueryBench {
  readonly rows: number;
  readonly rounds: number;
  readonly partitions: number;
  readonly be: number;
  readonly say: (text: string) => void;
}

const QUERIES = {
  groupBy:
    'SELECT country, count(*) AS n, min(price) AS low, max(price) AS high FROM t GROUP BY country ORDER BY country',
  topN: 'SELECT id, name, price FROM t WHERE country = 17 ORDER BY price DESC, id LIMIT 10',
  point: 'SELECT id, name, country, price FROM t WHERE id = 1234567',
  count: 'SELECT count(*) AS n FROM t',
} as const;

type QueryName = keyof typeof QUERIES;
const NAMES = Object.keys(QUERIES) as QueryName[];

/** Compaction that comes on its own is over when the files stay as they are for so long. */
const QUIET_MS = 15_000;

export async function benchQuery(options: QueryBench): Promise<object> {
  const { rows, say } = options;
  const dir = await mkdtemp(join(tmpdir(), 'bench-duckdb-'));
  let server: Millrace | undefined;
  try {
    server = await startMillrace({ be: options.be });
    const sql = await SqlConnection.open(server.port);
    await load(sql, options);
    const files = await settledFiles(server.dataDir);
    say(`${rows} rows are loaded, in ${files.length} files`);
    const duck = await DuckDbPeer.open(join(dir, 'd.duckdb'));
    await duck.makeTable(rows);
    await duck.makeView(files);
    await sql.query('USE d');
    const before = await usageOf(server.pid);
    const took: Record<QueryName, { millrace: number[]; own: number[]; files: number[] }> = {
      groupBy: { millrace: [], own: [], files: [] },
      topN: { millrace: [], own: [], files: [] },
      point: { millrace: [], own: [], files: [] },
      count: { millrace: [], own: [], files: [] },
    };
    // The first round of each is for the caches.
    for (let i = 0; i <= options.rounds; i++) {
      for (const name of NAMES) {
        const text = QUERIES[name];
        const ours = await timed(async () =>
          (await sql.query(text)).map((row) => Object.values(row)),
        );
        const own = await timed(() => duck.query(text.replace('FROM t', 'FROM own')));
        const parquet = await timed(() => duck.query(text.replace('FROM t', 'FROM files')));
        if (!isSame(ours.result, own.result)) {
          throw new Error(
            `${name}: ${JSON.stringify(ours.result.slice(0, 3))} and DuckDB ${JSON.stringify(own.result.slice(0, 3))}`,
          );
        }
        if (i === 0) continue;
        took[name].millrace.push(ours.ms);
        took[name].own.push(own.ms);
        took[name].files.push(parquet.ms);
      }
    }
    const used = usedSince(before, await usageOf(server.pid));
    duck.close();
    await sql.close();
    const medians = Object.fromEntries(
      NAMES.map((name) => {
        const [ms, ownMs, filesMs] = [took[name].millrace, took[name].own, took[name].files].map(
          median,
        );
        const one = { ms: ms ?? 0, ownMs: ownMs ?? 0, filesMs: filesMs ?? 0 };
        return [
          name,
          {
            ms: round(one.ms, 1),
            duckdbTableMs: round(one.ownMs, 1),
            duckdbFilesMs: round(one.filesMs, 1),
            ratioToTable: round(one.ms / one.ownMs),
            ratioToFiles: round(one.ms / one.filesMs),
          },
        ];
      }),
    );
    return {
      medians,
      files: files.length,
      breakdown: used,
      peakRssMiB: await peakRssMiB(server.pid),
    };
  } finally {
    await server?.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; ms: number }> {
  const fromMs = performance.now();
  const result = await work();
  return { result, ms: performance.now() - fromMs };
}

function isSame(
  a: readonly (readonly (string | null)[])[],
  b: readonly (readonly (string | null)[])[],
): boolean {
  // 5 and 5.0 are one number, however they are printed.
  const plain = (value: string | null | undefined) =>
    value !== null && value !== undefined && value !== '' && Number.isFinite(Number(value))
      ? Number(value)
      : value;
  return (
    a.length === b.length &&
    a.every((row, i) => row.every((value, k) => plain(value) === plain(b[i]?.[k])))
  );
}

async function load(sql: SqlConnection, { rows, partitions, say }: QueryBench): Promise<void> {
  const kafka = await startKafka({ say });
  try {
    const { bootstrap } = kafka;
    const value = (id: number) => message('csv', id);
    await fillTopic({ bootstrap, topic: 'rows', partitions, rows, codec: 'none', value });
    await sql.query('CREATE DATABASE d');
    await sql.query(
      'CREATE TABLE d.t (id BIGINT NOT NULL, day DATE, name VARCHAR(40), country INT, price DOUBLE) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id)',
    );
    await sql.query(
      `CREATE ROUTINE LOAD d.j ON t COLUMNS TERMINATED BY "," FROM KAFKA ("kafka_broker_list" = "${bootstrap}", "kafka_topic" = "rows", "property.kafka_default_offsets" = "OFFSET_BEGINNING")`,
    );
    const isOver = async () => (await sql.count('d.t')) >= rows;
    await waitFor(isOver, { what: `${rows} rows`, timeoutMs: 1_800_000, intervalMs: 500 });
    await sql.query('STOP ROUTINE LOAD FOR d.j');
  } finally {
    await kafka.stop();
  }
}

async function settledFiles(dataDir: string): Promise<string[]> {
  let last: string[] = [];
  let sinceMs = performance.now();
  for (;;) {
    const found: string[] = [];
    for await (const file of glob(`${dataDir}/**/*.parquet`)) found.push(file);
    found.sort();
    if (found.join() !== last.join()) {
      last = found;
      sinceMs = performance.now();
    } else if (performance.now() - sinceMs > QUIET_MS) return found;
    await new Promise<void>((resolve) => setTimeout(resolve, 1_000));
  }
}
