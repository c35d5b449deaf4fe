/**
 * The thread of one BE (PROTOCOL.md T1): its actors, LevelDB, DuckDB, fetch sockets and decoders live here.
 * It ends by interrupt, drain, close (T4): the main thread posts `close` and waits for its exit.
 *
 *   B1. A registration needs the store and the bus alone. What loads and queries need besides (`LATE`) is loaded when it is
 *       asked for, or by the order `load`, whichever is first.
 */
import { flushCompileCache } from 'node:module';
import { type MessagePort, parentPort } from 'node:worker_threads';
import { createBeService } from '../actors/be/be.ts';
import { assert } from '../base/assert.ts';
import { systemClock } from '../base/clock.ts';
import { toErrorData } from '../base/errors.ts';
import { consoleLog, type LogLevel } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { createLateEngine } from '../engine/late-engine.ts';
import { connectLink, type WorkerLink } from '../protocol/local/worker-link.ts';
import { createLateKafkaPort } from '../sources/kafka/late-kafka-port.ts';
import type { BeDir } from '../storage/data-dir.ts';
import { openLevelStore } from '../storage/level-store.ts';
import { openTabletStore } from '../storage/tablet-store.ts';

export interface BeWorkerData {
  readonly link: WorkerLink;
  readonly name: string;
  readonly dir: BeDir;
  /** Directories with the parts of all BEs of this machine: what a query may read. */
  readonly partDirs: readonly string[];
  readonly logLevel: LogLevel;
  readonly memoryLimitMb: number;
  readonly nats: { readonly url: string; readonly prefix: string } | null;
}

export type BeWorkerOrder =
  | { readonly type: 'open'; readonly data: BeWorkerData }
  /** The FE answers: before, nobody would hear the hello. */
  | { readonly type: 'register' }
  /** What loads and queries need besides, before somebody waits for it. */
  | { readonly type: 'load' }
  | { readonly type: 'close' };

export type BeWorkerMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'loaded' }
  /** The FE does not take this BE: it goes on asking. */
  | { readonly type: 'refused'; readonly reason: string }
  | { readonly type: 'failed'; readonly error: ReturnType<typeof toErrorData> };

interface Be {
  /** Resolves at the first registration. */
  start(): Promise<void>;
  loadRest(): Promise<unknown>;
  close(): Promise<void>;
}

/** By far the most of the modules: statements ask for the work and the engine, jobs for the rest. */
const LATE = {
  engine: () => import('../engine/duckdb-engine.ts'),
  work: () => import('../actors/be/be-work.ts'),
  tasks: () => import('../actors/be/task-run.ts'),
  kafka: () => import('../sources/kafka/kafka-port.ts'),
  transport: () => import('../sources/kafka/kafkajs-transport.ts'),
  nats: () => import('../protocol/nats/nats-bus.ts'),
};

async function openBe(data: BeWorkerData, post: (message: BeWorkerMessage) => void): Promise<Be> {
  const log = consoleLog(data.logLevel, data.name);
  const link = connectLink(data.link, { clock: systemClock, log });
  const connectNats = async ({ url, prefix }: { url: string; prefix: string }) => {
    const { connectNatsBus } = await LATE.nats();
    return connectNatsBus({ url, prefix, from: data.name, clock: systemClock, log });
  };
  const bus = data.nats === null ? link.bus : await connectNats(data.nats);
  const engine = createLateEngine(async () => {
    const { createDuckDbEngine } = await LATE.engine();
    return createDuckDbEngine({
      tempDir: data.dir.tmp,
      memoryLimitMb: data.memoryLimitMb,
      partDirs: [...data.partDirs],
      log,
    });
  });
  const store = await openTabletStore({
    store: await openLevelStore(data.dir.log),
    dir: data.dir.path,
    engine,
    clock: systemClock,
    random: systemRandom,
    log,
  });
  const kafka = createLateKafkaPort(async () => {
    const { createKafkaPort } = await LATE.kafka();
    const { kafkajsTransport } = await LATE.transport();
    return createKafkaPort({ open: kafkajsTransport(), clock: systemClock, log });
  });
  const service = createBeService({
    name: data.name,
    store,
    engine,
    bus,
    parts: link.parts,
    kafka,
    loadWork: async () => (await LATE.work()).openBeWork,
    runTask: async (...task) => (await LATE.tasks()).runTask(...task),
    clock: systemClock,
    random: systemRandom,
    log,
    onRefused: (reason) => post({ type: 'refused', reason }),
  });
  void service.failed.then((error) => post({ type: 'failed', error: toErrorData(error) }));
  return {
    start: () => service.start(),
    // One after the other: the first query waits for the engine, and is asked sooner than the first load.
    async loadRest() {
      await LATE.work();
      await engine.load();
      await LATE.tasks();
      await LATE.kafka();
      await LATE.transport();
    },
    async close() {
      await service.close();
      await kafka.close();
      await engine.close();
      await store.close();
      await link.parts.close();
      await bus.close();
      if (bus !== link.bus) await link.bus.close();
    },
  };
}

function serve(port: MessagePort): void {
  const post = (message: BeWorkerMessage) => port.postMessage(message);
  let opening: Promise<Be> | undefined;
  let closing = false;

  const fail = (error: unknown) => {
    if (closing) return;
    post({ type: 'failed', error: toErrorData(error) });
    // Nobody would answer `close`: the thread ends with what it opened.
    port.close();
    process.exit(1);
  };
  const register = async () => {
    const be = await opening;
    assert(be !== undefined, 'a BE registers once it is open');
    await be.start();
    if (!closing) post({ type: 'ready' });
  };
  const load = async () => {
    await (await opening)?.loadRest();
    // Else it is written when the process ends, and after a kill -9 never.
    flushCompileCache();
    post({ type: 'loaded' });
  };
  const close = async () => {
    closing = true;
    const be = await opening?.catch(() => undefined);
    await be?.close();
    port.close();
    // What failed to open may hold the thread.
    if (be === undefined) process.exit();
  };
  port.on('message', (order: BeWorkerOrder) => {
    switch (order.type) {
      case 'open':
        opening = openBe(order.data, post);
        opening.catch(fail);
        return;
      case 'register':
        register().catch(fail);
        return;
      case 'load':
        load().catch(fail);
        return;
      case 'close':
        void close();
        return;
    }
  });
}

assert(parentPort !== null, 'be-worker.ts runs in a worker');
serve(parentPort);
