/** A real `millrace start` in a process of its own, for tests through the MySQL port. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { systemClock } from '../../src/base/clock.ts';
import { MysqlClient } from '../../src/protocol/mysql/client.ts';

export interface Millrace {
  readonly port: number;
  readonly http: string;
  readonly pid: number;
  readonly dataDir: string;
  /** What it has written to its error stream so far. */
  log(): string;
  /** Settled when the process is gone: its exit code, null after a signal. */
  readonly exited: Promise<number | null>;
  /** The rows of the last result, by column name. */
  query(sql: string): Promise<Record<string, string | null>[]>;
  kill(): Promise<void>;
  /** Asks it to stop, and keeps its data. */
  end(): Promise<void>;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

const LOG_KEPT = 64 * 1024;

export interface StartOptions {
  readonly dataDir?: string;
  readonly be?: number;
  readonly args?: readonly string[];
  /** A command that runs it, e.g. strace with its options. */
  readonly under?: readonly string[];
  /** Its error stream is not shown, for tests that expect it to complain. */
  readonly quiet?: boolean;
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

/** Rejects with what the process said when it ends before it is ready. */
export async function startMillrace(options: StartOptions = {}): Promise<Millrace> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'millrace-test-')));
  const main = new URL('../../src/server/main.ts', import.meta.url).pathname;
  const be = String(options.be ?? 3);
  const [command = process.execPath, ...before] = [...(options.under ?? []), process.execPath];
  const child: ChildProcess = spawn(
    command,
    [
      ...before,
      ...[main, 'start', '--data', dataDir, '--be', be, '--mysql-port', '0', '--http-port', '0'],
      ...(options.args ?? []),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-LOG_KEPT);
    if (options.quiet !== true) process.stderr.write(text);
  });
  let port = 0;
  let http = '';
  for await (const line of createInterface({ input: child.stdout! })) {
    const match = /^millrace ready mysql=.*:(\d+) http=(.*)$/.exec(line);
    if (match === null) continue;
    port = Number(match[1]);
    http = `http://${match[2]}`;
    break;
  }
  if (port === 0) {
    await exited;
    throw new Error(`millrace ended before it was ready: ${log}`);
  }
  const end = async (signal: 'SIGKILL' | 'SIGTERM') => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    // A command around it may keep signals to itself: they go to the process within.
    const [pid = child.pid] =
      options.under === undefined ? [] : await childrenOf(child.pid as number);
    process.kill(pid as number, signal);
    await exited;
  };
  return {
    port,
    http,
    pid: child.pid ?? 0,
    dataDir,
    log: () => log,
    exited,
    async query(sql) {
      const client = await MysqlClient.connect({
        host: '127.0.0.1',
        port,
        user: 'root',
        password: '',
        clock: systemClock,
      });
      try {
        let found: Record<string, string | null>[] = [];
        for await (const result of client.query(sql)) {
          if (result.kind !== 'rows') continue;
          const names = result.columns.map(({ name }) => name);
          found = result.rows.map((row) =>
            Object.fromEntries(names.map((name, i) => [name, row[i] ?? null])),
          );
        }
        return found;
      } finally {
        await client.close();
      }
    },
    kill: () => end('SIGKILL'),
    end: () => end('SIGTERM'),
    async stop() {
      await end('SIGTERM');
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
