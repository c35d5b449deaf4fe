/** `millrace start | sql`: options, the ready line, signals, exit codes. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { toErrorData } from '../base/errors.ts';
import type { LogLevel } from '../base/log.ts';
import type { StartOptions } from './all-in-one.ts';
import { startBeThreads } from './be-threads.ts';

const USAGE = `usage:
  millrace start [--data DIR] [--be N] [--host ADDRESS] [--mysql-port 9030] [--http-port 8030] [--nats URL]
                 [--memory-mb N] [--accept-loss] [--log-level error|warn|info|debug]
  millrace sql   [--host ADDRESS] [--port 9030] [--user root] [--password P] [--database DB] [-e "…"]
`;

class UsageError extends Error {}

function whole(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new UsageError(`--${name} takes a whole number from ${min} to ${max}, not "${text}"`);
  }
  return value;
}

const LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];

export function readStartOptions(args: readonly string[]): StartOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      data: { type: 'string', default: './millrace-data' },
      be: { type: 'string', default: '3' },
      host: { type: 'string', default: '127.0.0.1' },
      'mysql-port': { type: 'string', default: '9030' },
      'http-port': { type: 'string', default: '8030' },
      nats: { type: 'string' },
      'memory-mb': { type: 'string' },
      'accept-loss': { type: 'boolean', default: false },
      'log-level': { type: 'string', default: 'warn' },
    },
  });
  const logLevel = LEVELS.find((level) => level === values['log-level']);
  if (logLevel === undefined) {
    throw new UsageError(
      `--log-level is one of ${LEVELS.join(', ')}, not "${values['log-level']}"`,
    );
  }
  return {
    dataDir: resolve(values.data),
    beCount: whole('be', values.be, 1, 64),
    host: values.host,
    mysqlPort: whole('mysql-port', values['mysql-port'], 0, 65_535),
    httpPort: whole('http-port', values['http-port'], 0, 65_535),
    natsUrl: values.nats ?? null,
    memoryMb:
      values['memory-mb'] === undefined
        ? null
        : whole('memory-mb', values['memory-mb'], 192, 1_048_576),
    acceptLoss: values['accept-loss'],
    logLevel,
  };
}

async function start(args: readonly string[]): Promise<number> {
  const options = readStartOptions(args);
  // Their modules are loaded beside those of the FE.
  const threads = startBeThreads(options.beCount);
  const { startAllInOne } = await import('./all-in-one.ts');
  const running = await startAllInOne(options, threads);
  process.stdout.write(
    `millrace ready mysql=${options.host}:${running.mysqlPort} http=${options.host}:${running.httpPort}\n`,
  );
  const signal = new Promise<'stop'>((done) => {
    process.once('SIGINT', () => done('stop'));
    process.once('SIGTERM', () => done('stop'));
  });
  const ended = await Promise.race([signal, running.failed]);
  if (ended !== 'stop') {
    // D3: what the disk holds is unknown, so nothing is closed in order: replay decides at the next start.
    process.stderr.write(`millrace stops: ${ended.message}\n`);
    return 70;
  }
  await running.close();
  return 0;
}

async function sql(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      host: { type: 'string', short: 'h', default: '127.0.0.1' },
      port: { type: 'string', short: 'P', default: '9030' },
      user: { type: 'string', short: 'u', default: 'root' },
      password: { type: 'string', short: 'p', default: '' },
      database: { type: 'string', short: 'D' },
      execute: { type: 'string', short: 'e' },
    },
  });
  const { runSqlClient } = await import('./sql-client.ts');
  return runSqlClient({
    host: values.host,
    port: whole('port', values.port, 1, 65_535),
    user: values.user,
    password: values.password,
    input: process.stdin,
    output: process.stdout,
    ...(values.database === undefined ? {} : { database: values.database }),
    ...(values.execute === undefined ? {} : { execute: values.execute }),
  });
}

export async function runCommand(argv: readonly string[]): Promise<never> {
  const [command, ...args] = argv;
  try {
    if (command === 'start') process.exit(await start(args));
    if (command === 'sql') process.exit(await sql(args));
    process.stdout.write(USAGE);
    process.exit(command === undefined || command === '--help' || command === 'help' ? 0 : 2);
  } catch (error) {
    const usage =
      error instanceof UsageError ||
      String((error as { code?: unknown }).code ?? '').startsWith('ERR_PARSE_ARGS');
    const { message, hint } = toErrorData(error);
    process.stderr.write(`millrace: ${message}${hint === undefined ? '' : `. ${hint}`}\n`);
    if (usage) process.stderr.write(USAGE);
    process.exit(usage ? 2 : 1);
  }
}
