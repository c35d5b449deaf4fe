/**
 * `millrace start`: FE and N BEs in one process, a worker each. Stops in order: clients, FE, BEs, directory.
 * A journal that failed ends the process (PROTOCOL.md D3): nothing that was not durable is answered.
 */
import { flushCompileCache } from 'node:module';
import { availableParallelism, totalmem } from 'node:os';
import { openFe } from '../actors/fe/fe.ts';
import { feRoutes } from '../actors/fe/http-routes.ts';
import { BEHIND_HINT } from '../actors/fe/registrations.ts';
import { createSessionHost } from '../actors/fe/session.ts';
import { assert } from '../base/assert.ts';
import { systemClock } from '../base/clock.ts';
import { LoadError } from '../base/errors.ts';
import { consoleLog, type Log, type LogLevel } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import type { Bus } from '../protocol/bus.types.ts';
import { download } from '../protocol/http/download.ts';
import { createHttpServer } from '../protocol/http/server.ts';
import { createLocalHub, type LocalHub } from '../protocol/local/local-bus.ts';
import { createPartHub, type PartHub } from '../protocol/local/part-hub.ts';
import { connectPartStore } from '../protocol/local/part-store.ts';
import { linkTransfers, linkWorker } from '../protocol/local/worker-link.ts';
import { createMysqlServer, type MysqlServer } from '../protocol/mysql/server.ts';
import { type DataDir, openDataDir } from '../storage/data-dir.ts';
import { openLevelStore } from '../storage/level-store.ts';
import type { BeThread } from './be-threads.ts';
import type { BeWorkerData } from './be-worker.ts';
import { beMemoryMb } from './memory.ts';

export interface StartOptions {
  readonly dataDir: string;
  readonly beCount: number;
  readonly host: string;
  readonly mysqlPort: number;
  readonly httpPort: number;
  readonly natsUrl: string | null;
  /** Of DuckDB in all BEs together; null: as memory.ts says. */
  readonly memoryMb: number | null;
  /** PROTOCOL.md D4. */
  readonly acceptLoss: boolean;
  readonly logLevel: LogLevel;
}

export interface Running {
  readonly mysqlPort: number;
  readonly httpPort: number;
  /** Settled when a store failed: the process ends with an error. */
  readonly failed: Promise<Error>;
  close(): Promise<void>;
}

export const SERVER_VERSION = '8.0.33';
const LOAD_AFTER_MS = 1_000;

/** `threads` are those of the BEs, as many as are asked for; they are closed with the rest. */
export async function startAllInOne(
  options: StartOptions,
  threads: readonly BeThread[],
): Promise<Running> {
  const log = consoleLog(options.logLevel, 'fe');
  const closeThreads = () => Promise.all(threads.map((thread) => thread.close()));
  const closers: (() => Promise<unknown>)[] = [closeThreads];
  const closeAll = async () => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    const dir = await openDataDir(options.dataDir, {
      beCount: options.beCount,
      random: systemRandom,
    });
    closers.push(() => dir.close(), closeThreads);
    const hub = createLocalHub({ clock: systemClock, log });
    const partHub = createPartHub({ clock: systemClock, log });
    const prefix = `millrace.${dir.clusterId}.`;
    const bus =
      options.natsUrl === null ? hub.bus('fe') : await connectNats(options.natsUrl, prefix, log);
    closers.push(() => bus.close());
    const parts = connectPartStore(partHub, 'fe', { clock: systemClock, log });
    closers.push(() => parts.close());

    let fail: (error: Error) => void = () => {};
    const failed = new Promise<Error>((resolve) => {
      fail = resolve;
    });
    // While the FE reads its journal the BEs read theirs.
    openThreads(threads, { options, dir, hub, partHub, prefix });
    for (const thread of threads) void thread.failed.then(fail);
    let httpPort = options.httpPort;
    const fe = await openFe({
      store: await openLevelStore(dir.fe),
      clusterId: dir.clusterId,
      bus,
      parts,
      clock: systemClock,
      random: systemRandom,
      log,
      httpAddress: () => `http://${options.host}:${httpPort}`,
      download,
      acceptLoss: options.acceptLoss,
    });
    closers.push(() => fe.close());
    void fe.failed.then(fail);

    // They stop before the FE does.
    closers.push(closeThreads);
    // A copy of another FE's directory on one bus takes over the BEs that it knows, before the other gets to know new ones.
    void fe.claimed.then(() => {
      for (const thread of threads) thread.register();
    });
    // With NATS the BEs register when it can be reached; statements that need none are answered before.
    if (options.natsUrl === null) {
      const states = await Promise.all(
        threads.map(({ ready, refused }) => Promise.race([ready, refused])),
      );
      const refusal = fe.refusal();
      if (refusal !== null) throw new LoadError('FE_BEHIND', refusal, { hint: BEHIND_HINT });
      for (const state of states)
        if (state !== null) log.write('warn', 'a BE is refused', { reason: state });
    }

    const http = createHttpServer({
      host: options.host,
      port: options.httpPort,
      routes: feRoutes(fe),
      log,
    });
    ({ port: httpPort } = await http.listen());
    closers.push(() => http.close());
    const mysql: MysqlServer = createMysqlServer({
      host: options.host,
      port: options.mysqlPort,
      sessions: createSessionHost(fe, {
        version: SERVER_VERSION,
        processes: {
          list: () => mysql.connections(),
          kill: (id, queryOnly) => mysql.kill(id, queryOnly),
        },
      }),
      clock: systemClock,
      log,
      random: systemRandom,
    });
    const { port: mysqlPort } = await mysql.listen();
    closers.push(() => mysql.close());
    closers.push(loadSoon(threads));
    log.write('info', 'started', { cores: availableParallelism(), bes: options.beCount });
    return { mysqlPort, httpPort, failed, close: closeAll };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/**
 * What a start did not need, one BE after the other, so that a core is left. Not at once: a statement that comes with the
 * start loads what it needs itself, and sooner where nothing else is loaded beside it.
 */
function loadSoon(threads: readonly BeThread[]): () => Promise<void> {
  const loadAll = async () => {
    for (const thread of threads) await thread.load();
    flushCompileCache();
  };
  const timer = systemClock.setTimeout(() => void loadAll(), LOAD_AFTER_MS);
  return async () => systemClock.clearTimeout(timer);
}

async function connectNats(url: string, prefix: string, log: Log): Promise<Bus> {
  const { connectNatsBus } = await import('../protocol/nats/nats-bus.ts');
  return connectNatsBus({ url, prefix, from: 'fe', clock: systemClock, log });
}

interface Opening {
  readonly options: StartOptions;
  readonly dir: DataDir;
  readonly hub: LocalHub;
  readonly partHub: PartHub;
  readonly prefix: string;
}

function openThreads(threads: readonly BeThread[], opening: Opening): void {
  const { options, dir, hub, partHub, prefix } = opening;
  const machineMb = Math.floor(totalmem() / 1024 / 1024);
  const memoryLimitMb = beMemoryMb(options.beCount, options.memoryMb, machineMb);
  const partDirs = dir.bes.flatMap(({ parts, staging }) => [parts, staging]);
  threads.forEach((thread, i) => {
    const be = dir.bes[i];
    assert(be !== undefined, 'a thread for each BE');
    const link = linkWorker({ bus: hub, parts: partHub }, thread.name);
    const data: BeWorkerData = {
      link,
      name: thread.name,
      dir: be,
      partDirs,
      logLevel: options.logLevel,
      memoryLimitMb,
      nats: options.natsUrl === null ? null : { url: options.natsUrl, prefix },
    };
    thread.open(data, linkTransfers(link));
  });
}
