/**
 * `millrace start`: FE and N BEs in one process, a worker each. Stops in order: clients, FE, BEs, directory.
 * A journal that failed ends the process (PROTOCOL.md D3): nothing that was not durable is answered.
 */
import { availableParallelism, totalmem } from 'node:os';
import { Worker } from 'node:worker_threads';
import { openFe } from '../actors/fe/fe.ts';
import { feRoutes } from '../actors/fe/http-routes.ts';
import { BEHIND_HINT } from '../actors/fe/nodes.ts';
import { createSessionHost } from '../actors/fe/session.ts';
import { systemClock } from '../base/clock.ts';
import { fromErrorData, LoadError } from '../base/errors.ts';
import { consoleLog, type LogLevel } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { download } from '../protocol/http/download.ts';
import { createHttpServer } from '../protocol/http/server.ts';
import { createLocalHub } from '../protocol/local/local-bus.ts';
import { createPartHub } from '../protocol/local/part-hub.ts';
import { connectPartStore } from '../protocol/local/part-store.ts';
import { linkTransfers, linkWorker } from '../protocol/local/worker-link.ts';
import { createMysqlServer, type MysqlServer } from '../protocol/mysql/server.ts';
import { connectNatsBus } from '../protocol/nats/nats-bus.ts';
import { openDataDir } from '../storage/data-dir.ts';
import { openLevelStore } from '../storage/level-store.ts';
import type { BeWorkerData, BeWorkerMessage } from './be-worker.ts';

export interface StartOptions {
  readonly dataDir: string;
  readonly beCount: number;
  readonly host: string;
  readonly mysqlPort: number;
  readonly httpPort: number;
  readonly natsUrl: string | null;
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
const WORKER_CLOSE_MS = 15_000;

export async function startAllInOne(options: StartOptions): Promise<Running> {
  const log = consoleLog(options.logLevel, 'fe');
  const dir = await openDataDir(options.dataDir, {
    beCount: options.beCount,
    random: systemRandom,
  });
  const closers: (() => Promise<unknown>)[] = [() => dir.close()];
  const closeAll = async () => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    const hub = createLocalHub({ clock: systemClock, log });
    const partHub = createPartHub({ clock: systemClock, log });
    const prefix = `millrace.${dir.clusterId}.`;
    const bus =
      options.natsUrl === null
        ? hub.bus('fe')
        : await connectNatsBus({
            url: options.natsUrl,
            prefix,
            from: 'fe',
            clock: systemClock,
            log,
          });
    closers.push(() => bus.close());
    const parts = connectPartStore(partHub, 'fe', { clock: systemClock, log });
    closers.push(() => parts.close());

    let fail: (error: Error) => void = () => {};
    const failed = new Promise<Error>((resolve) => {
      fail = resolve;
    });
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

    const memoryLimitMb = Math.max(
      256,
      Math.floor(totalmem() / 1024 / 1024 / 4 / Math.max(1, options.beCount)),
    );
    const workers = dir.bes.map((be) => {
      const name = `be-${be.index}`;
      const link = linkWorker({ bus: hub, parts: partHub }, name);
      const workerData: BeWorkerData = {
        link,
        name,
        dir: be,
        partDirs: dir.bes.flatMap(({ parts: live, staging }) => [live, staging]),
        logLevel: options.logLevel,
        memoryLimitMb,
        nats: options.natsUrl === null ? null : { url: options.natsUrl, prefix },
      };
      return startWorker(workerData, linkTransfers(link), fail);
    });
    closers.push(() => Promise.all(workers.map((worker) => worker.close())));
    // With NATS the BEs register when it can be reached; statements that need none are answered before.
    if (options.natsUrl === null) {
      const states = await Promise.all(
        workers.map(({ ready, refused }) => Promise.race([ready, refused])),
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
    log.write('info', 'started', { cores: availableParallelism(), bes: options.beCount });
    return { mysqlPort, httpPort, failed, close: closeAll };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

function startWorker(
  workerData: BeWorkerData,
  transferList: ReturnType<typeof linkTransfers>,
  fail: (error: Error) => void,
): {
  readonly ready: Promise<null>;
  /** The first reason for which the BE is not taken. */
  readonly refused: Promise<string>;
  close(): Promise<void>;
} {
  const worker = new Worker(
    new URL(import.meta.url.endsWith('.ts') ? './be-worker.ts' : './be-worker.js', import.meta.url),
    {
      workerData,
      transferList,
      name: workerData.name,
    },
  );
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  let refuse: (reason: string) => void = () => {};
  const refused = new Promise<string>((resolve) => {
    refuse = resolve;
  });
  const ready = new Promise<null>((resolve, reject) => {
    worker.on('message', (message: BeWorkerMessage) => {
      if (message.type === 'ready') resolve(null);
      if (message.type === 'refused') refuse(message.reason);
      if (message.type === 'failed') {
        const error = fromErrorData(message.error);
        reject(error);
        fail(error);
      }
    });
    worker.once('error', (error) => {
      reject(error);
      fail(error instanceof Error ? error : new Error(String(error)));
    });
  });
  ready.catch(() => {});
  return {
    ready,
    refused,
    async close() {
      worker.postMessage({ type: 'close' });
      const late = new Promise<'late'>((resolve) => {
        systemClock.setTimeout(() => resolve('late'), WORKER_CLOSE_MS).unref();
      });
      if ((await Promise.race([exited, late])) === 'late') {
        throw new LoadError(
          'BE_CLOSE',
          `${workerData.name} did not close in ${WORKER_CLOSE_MS} ms`,
        );
      }
    },
  };
}
