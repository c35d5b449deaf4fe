/** One FE and its BEs as processes that can die at any step: the production code over simulated ports. */

import { type BeService, createBeService } from '../../src/actors/be/be.ts';
import { openBeWork } from '../../src/actors/be/be-work.ts';
import { runTask } from '../../src/actors/be/task-run.ts';
import { type Fe, openFe } from '../../src/actors/fe/fe.ts';
import { createSessionHost } from '../../src/actors/fe/session.ts';
import type { Clock } from '../../src/base/clock.ts';
import { DamageError, LoadError } from '../../src/base/errors.ts';
import type { Log } from '../../src/base/log.ts';
import type { Random } from '../../src/base/random.ts';
import { valueText } from '../../src/formats/value-text.ts';
import type { Bus } from '../../src/protocol/bus.types.ts';
import { BusCore } from '../../src/protocol/bus-core.ts';
import type { Session } from '../../src/protocol/mysql/mysql.types.ts';
import type { KafkaTransport } from '../../src/sources/kafka/kafka.types.ts';
import { createKafkaPort } from '../../src/sources/kafka/kafka-port.ts';
import type { CompactionLimits } from '../../src/storage/rowset-cover.ts';
import { openTabletStore } from '../../src/storage/tablet-store.ts';
import type { TabletStore } from '../../src/storage/tablet-store.types.ts';
import type { Rows } from './client.ts';
import type { Owner, VirtualClock } from './clock.ts';
import type { Disk } from './disk.ts';
import { type EngineHooks, standInEngine } from './engine.ts';
import type { SimKafka } from './kafka.ts';
import type { Network } from './network.ts';
import type { SimParts } from './parts.ts';
import type { Points } from './points.ts';
import type { SeededRandom } from './random.ts';
import type { Trace } from './trace.ts';
import { tracedStore } from './traced-store.ts';

export const CLUSTER_ID = 'simulated';

export interface World {
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly network: Network;
  readonly kafka: SimKafka;
  readonly parts: SimParts;
  readonly points: Points;
  /** Journals take a checkpoint after so many entries. */
  readonly checkpointEntries: number;
  /** Parts above so many bytes are files. */
  readonly fileBytesMin: number;
  readonly compaction: Partial<CompactionLimits>;
  readonly coveredMs: number;
  readonly engineHooks: EngineHooks;
  /** What a mutant puts between the code and a disk's store. */
  readonly wrapBe?: (store: TabletStore) => TabletStore;
  readonly wrapBus?: (bus: Bus) => Bus;
  readonly wrapTransport?: (transport: KafkaTransport) => KafkaTransport;
}

/** A boot of a process. */
interface Boot extends Owner {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

abstract class Process {
  readonly name: string;
  readonly disk: Disk;
  protected readonly world: World;
  boot: Boot | undefined;
  boots = 0;
  /** Why it did not open, or ended by itself. */
  lastError: unknown = null;

  constructor(name: string, disk: Disk, world: World) {
    this.name = name;
    this.disk = disk;
    this.world = world;
  }

  get isAlive(): boolean {
    return this.boot?.alive === true;
  }

  start(): void {
    this.boots += 1;
    const owner: Owner = { alive: true, pausedUntilMs: 0, skewMs: 0 };
    const boot: Boot = Object.assign(owner, {
      clock: this.world.clock.clockFor(owner),
      random: this.world.random.fork(`${this.name}.${this.boots}`),
      log: {
        write: (level: string, message: string, fields?: Readonly<Record<string, unknown>>) => {
          if (owner.alive && level !== 'debug') this.world.trace.add(this.name, message, fields);
        },
      } satisfies Log,
    });
    this.boot = boot;
    this.world.trace.add(this.name, 'start');
    this.open(boot).catch((error: unknown) => {
      if (boot.alive) this.onFailed(error);
    });
  }

  /** SIGSTOP: it hears and does nothing for so long, and then goes on as if no time had passed. */
  pause(ms: number): void {
    if (this.boot === undefined) return;
    this.boot.pausedUntilMs = this.world.clock.now() + ms;
    this.world.trace.add(this.name, 'pause', { ms });
  }

  /** The wall clock of its machine is set. */
  setClock(skewMs: number): void {
    if (this.boot !== undefined) this.boot.skewMs = skewMs;
  }

  /** SIGKILL: nothing of it goes on, its disk loses what was not synced. */
  crash(): void {
    if (this.boot === undefined || !this.boot.alive) return;
    this.boot.alive = false;
    this.boot = undefined;
    this.forget();
    this.disk.crash();
    this.world.trace.add(this.name, 'crash');
  }

  /** Starts it, unless it runs or its directory is damaged. */
  back(): void {
    if (!this.isAlive && !this.isStopped) this.start();
  }

  backAfter(ms: number): void {
    this.world.clock.at(ms, () => this.back());
  }

  /** A damaged directory: it does not start again by itself. */
  get isStopped(): boolean {
    return !this.isAlive && this.lastError instanceof DamageError;
  }

  /** A store that failed ends the process (PROTOCOL.md D3); it comes back a little later. */
  protected onFailed(error: unknown): void {
    this.lastError = error;
    this.world.trace.add(this.name, 'failed', { error: String(error) });
    this.crash();
    this.backAfter(500);
  }

  protected bus(boot: Boot): Bus {
    const bus = new BusCore({
      from: this.name,
      clock: boot.clock,
      log: boot.log,
      wire: this.world.network.wire(this.name, boot),
      inbox: `${this.name}-${this.boots}`,
    });
    return this.world.wrapBus?.(bus) ?? bus;
  }

  protected abstract open(boot: Boot): Promise<void>;
  protected abstract forget(): void;
}

export class FeProcess extends Process {
  fe: Fe | undefined;
  #session: Session | undefined;
  readonly #mourners = new Set<() => void>();
  /** Hears of each start that came to an end. */
  onOpen: (fe: Fe) => void = () => {};

  protected async open(boot: Boot): Promise<void> {
    const fe = await openFe({
      store: this.disk.store(boot),
      clusterId: CLUSTER_ID,
      bus: this.bus(boot),
      parts: this.world.parts.store(this.name, boot),
      clock: boot.clock,
      random: boot.random,
      log: boot.log,
      httpAddress: () => 'http://sim',
      download: async () => '',
      checkpointEntries: this.world.checkpointEntries,
    });
    if (!boot.alive) return;
    this.fe = fe;
    this.onOpen(fe);
    void fe.failed.then((error) => {
      if (boot.alive) this.onFailed(error);
    });
    const processes = { list: () => [], kill: () => false };
    const host = createSessionHost(fe, { version: '8.0.33', processes });
    const info = { connectionId: 1, user: 'root', remoteAddress: 'sim', attributes: {} };
    this.#session = await host.open(info, undefined);
  }

  protected forget(): void {
    this.fe = undefined;
    this.#session = undefined;
    const mourners = [...this.#mourners];
    this.#mourners.clear();
    for (const tell of mourners) tell();
  }

  /** Called when this boot ends; what is returned takes it back. */
  onDeath(listener: () => void): () => void {
    if (!this.isAlive) listener();
    this.#mourners.add(listener);
    return () => this.#mourners.delete(listener);
  }

  /** The result of the last statement, as text. Never settles when the process dies meanwhile (client.ts). */
  async run(sql: string, signal: AbortSignal): Promise<Rows> {
    const session = this.#session;
    if (session === undefined) {
      throw new LoadError('CONNECTION_REFUSED', 'the FE is down', { transient: true });
    }
    let last: Rows = { columns: [], rows: [], info: '' };
    for await (const result of session.execute(sql, signal)) {
      if (result.kind === 'ok') {
        last = { columns: [], rows: [], info: result.info ?? '' };
        continue;
      }
      const columns = result.columns.map(({ name }) => name);
      if (result.kind === 'rows') {
        last = { columns, rows: result.rows, info: '' };
        continue;
      }
      const rows: (string | null)[][] = [];
      for await (const batch of result.batches) {
        for (let row = 0; row < batch.rows; row++) {
          rows.push(
            result.columns.map(({ type }, i) => valueText(batch.columns[i] as never, row, type)),
          );
        }
      }
      await result.close();
      last = { columns, rows, info: '' };
    }
    return last;
  }
}

export class BeProcess extends Process {
  service: BeService | undefined;
  store: TabletStore | undefined;

  protected async open(boot: Boot): Promise<void> {
    const engine = standInEngine(
      this.disk,
      this.world.fileBytesMin,
      this.world.engineHooks,
      (moment) => this.world.points.hit(moment, this.name),
    );
    const opened = await openTabletStore({
      store: this.disk.store(boot),
      dir: `/${this.name}`,
      engine,
      clock: boot.clock,
      random: boot.random,
      log: boot.log,
      files: this.disk.files(boot),
      inlineBytesMax: 4_000,
      checkpointEntries: this.world.checkpointEntries,
      compaction: this.world.compaction,
      coveredMs: this.world.coveredMs,
    });
    if (!boot.alive) return;
    const traced = tracedStore(opened, this.name, this.world.trace);
    const store = this.world.wrapBe?.(traced) ?? traced;
    // What checkers look at is the store itself, whatever a mutant shows to the code.
    this.store = traced;
    const service = createBeService({
      name: this.name,
      store,
      engine,
      bus: this.bus(boot),
      parts: this.world.parts.store(this.name, boot),
      kafka: createKafkaPort({
        open: async (config) => {
          const transport = await this.world.kafka.open(this.name, boot)(config);
          return this.world.wrapTransport?.(transport) ?? transport;
        },
        clock: boot.clock,
        log: boot.log,
      }),
      clock: boot.clock,
      loadWork: () => openBeWork,
      runTask,
      random: boot.random,
      log: boot.log,
    });
    void service.failed.then((error) => {
      if (boot.alive) this.onFailed(error);
    });
    this.service = service;
    await service.start();
  }

  protected forget(): void {
    this.service = undefined;
    this.store = undefined;
  }
}
