/**
 * The thread of one BE (PROTOCOL.md T1): its actors, LevelDB, DuckDB, fetch sockets and decoders live here.
 * It ends by interrupt, drain, close (T4): the main thread posts `close` and waits for `closed`.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { createBeService } from '../actors/be/be.ts';
import { assert } from '../base/assert.ts';
import { systemClock } from '../base/clock.ts';
import { toErrorData } from '../base/errors.ts';
import { consoleLog, type LogLevel } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { createDuckDbEngine } from '../engine/duckdb-engine.ts';
import { connectLink, type WorkerLink } from '../protocol/local/worker-link.ts';
import { connectNatsBus } from '../protocol/nats/nats-bus.ts';
import { createKafkaPort } from '../sources/kafka/kafka-port.ts';
import { kafkajsTransport } from '../sources/kafka/kafkajs-transport.ts';
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

export type BeWorkerMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'closed' }
  /** The FE does not take this BE: it goes on asking. */
  | { readonly type: 'refused'; readonly reason: string }
  | { readonly type: 'failed'; readonly error: ReturnType<typeof toErrorData> };

const port = parentPort;
assert(port !== null, 'be-worker.ts runs in a worker');
const data = workerData as BeWorkerData;
const log = consoleLog(data.logLevel, data.name);
const post = (message: BeWorkerMessage) => port.postMessage(message);

try {
  const link = connectLink(data.link, { clock: systemClock, log });
  const bus =
    data.nats === null
      ? link.bus
      : await connectNatsBus({
          url: data.nats.url,
          prefix: data.nats.prefix,
          from: data.name,
          clock: systemClock,
          log,
        });
  const engine = await createDuckDbEngine({
    tempDir: data.dir.tmp,
    memoryLimitMb: data.memoryLimitMb,
    partDirs: [...data.partDirs],
    log,
  });
  const store = await openTabletStore({
    store: await openLevelStore(data.dir.log),
    dir: data.dir.path,
    engine,
    clock: systemClock,
    random: systemRandom,
    log,
  });
  const kafka = createKafkaPort({ open: kafkajsTransport(), clock: systemClock, log });
  const service = createBeService({
    name: data.name,
    store,
    engine,
    bus,
    parts: link.parts,
    kafka,
    clock: systemClock,
    random: systemRandom,
    log,
    onRefused: (reason) => post({ type: 'refused', reason }),
  });
  void service.failed.then((error) => post({ type: 'failed', error: toErrorData(error) }));
  port.on('message', (message: { type: string }) => {
    if (message.type !== 'close') return;
    void (async () => {
      await service.close();
      await kafka.close();
      await engine.close();
      await store.close();
      await link.parts.close();
      await bus.close();
      if (bus !== link.bus) await link.bus.close();
      post({ type: 'closed' });
      port.close();
    })();
  });
  await service.start();
  post({ type: 'ready' });
} catch (error) {
  post({ type: 'failed', error: toErrorData(error) });
  // Nothing runs yet, and nobody would answer `close`: the thread ends with what it opened.
  port.close();
  process.exit(1);
}
