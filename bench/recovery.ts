/**
 * How soon after kill -9 it is ready, and answers: with so many entries in the FE's journal, made by INSERTs of many sessions.
 * Beside the start of an empty directory, which is what Node and the libraries take. The page cache is warm.
 */
import { type Millrace, startMillrace } from '../test/kit/millrace.ts';
import { peakRssMiB } from './process-usage.ts';
import { median, round } from './report.ts';
import { SqlConnection } from './sql.ts';

export interface RecoveryBench {
  readonly entries: number;
  readonly rounds: number;
  readonly be: number;
  readonly say: (text: string) => void;
}

const SESSIONS = 16;
/** An INSERT is a commit entry and one of its visibility. */
const ENTRIES_PER_INSERT = 2;

async function emptyStartMs(be: number): Promise<number> {
  const fromMs = performance.now();
  const server = await startMillrace({ be });
  const tookMs = performance.now() - fromMs;
  await server.stop();
  return tookMs;
}

export async function benchRecovery(options: RecoveryBench): Promise<object> {
  const { entries, be, say } = options;
  let server: Millrace = await startMillrace({ be });
  try {
    const { dataDir } = server;
    const inserts = Math.ceil(entries / ENTRIES_PER_INSERT);
    await fill(server, inserts);
    say(`${inserts} transactions are in the journal`);
    const rounds: { readyMs: number; answerMs: number; emptyMs: number }[] = [];
    for (let i = 1; i <= options.rounds; i++) {
      const emptyMs = await emptyStartMs(be);
      await server.kill();
      const fromMs = performance.now();
      server = await startMillrace({ be, dataDir });
      const readyMs = performance.now() - fromMs;
      const sql = await SqlConnection.open(server.port);
      const [row] = await sql.query('SELECT count(*) AS n, sum(id) AS s FROM d.t');
      const answerMs = performance.now() - fromMs;
      const sum = (BigInt(inserts) * BigInt(inserts - 1)) / 2n;
      if (row?.n !== String(inserts) || row.s !== String(sum)) {
        throw new Error(`not the rows that were inserted: ${JSON.stringify(row)}`);
      }
      await sql.close();
      rounds.push({
        readyMs: round(readyMs, 0),
        answerMs: round(answerMs, 0),
        emptyMs: round(emptyMs, 0),
      });
      say(
        `round ${i}: ready after ${round(readyMs, 0)} ms, first answer after ${round(answerMs, 0)} ms`,
      );
    }
    const readyMs = median(rounds.map((one) => one.readyMs));
    const emptyMs = median(rounds.map((one) => one.emptyMs));
    return {
      medians: {
        readyMs,
        answerMs: median(rounds.map((one) => one.answerMs)),
        emptyStartMs: emptyMs,
        ratioToEmptyStart: round(readyMs / emptyMs),
      },
      entries: inserts * ENTRIES_PER_INSERT,
      rounds,
      peakRssMiB: await peakRssMiB(server.pid),
    };
  } finally {
    await server.stop();
  }
}

async function fill(server: Millrace, inserts: number): Promise<void> {
  const first = await SqlConnection.open(server.port);
  await first.query('CREATE DATABASE d');
  await first.query(
    'CREATE TABLE d.t (id BIGINT NOT NULL, name VARCHAR(20)) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id)',
  );
  await first.close();
  let next = 0;
  await Promise.all(
    Array.from({ length: SESSIONS }, async () => {
      const sql = await SqlConnection.open(server.port);
      while (next < inserts) {
        const id = next++;
        await sql.query(`INSERT INTO d.t VALUES (${id}, 'n')`);
      }
      await sql.close();
    }),
  );
}
