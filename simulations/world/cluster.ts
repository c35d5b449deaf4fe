/** One FE and its BEs as processes that can die at any step: the production code over simulated ports. */

import { type BeService, createBeService } from '../../src/actors/be/be.ts';
import { type Fe, openFe } from '../../src/actors/fe/fe.ts';
import { createSessionHost } from '../../src/actors/fe/session.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Log } from '../../src/base/log.ts';
import type { Random } from '../../src/base/random.ts';
import { valueText } from '../../src/formats/value-text.ts';
import type { Bus } from '../../src/protocol/bus.types.ts';
import { BusCore } from '../../src/protocol/bus-core.ts';
import type { Session } from '../../src/protocol/mysql/mysql.types.ts';
import type { KafkaTransport } from '../../src/sources/kafka/kafka.types.ts';
import { createKafkaPort } from '../../src/sources/kafka/kafka-port.ts';
import { openTabletStore } from '../../src/storage/tablet-store.ts';
import type { TabletStore } from '../../src/storage/tablet-store.types.ts';
import type { VirtualClock } from './clock.ts';
import type { Disk } from './disk.ts';
import { type EngineHooks, standInEngine } from './engine.ts';
import type { SimKafka } from './kafka.ts';
import type { Network } from './network.ts';
import type { SimParts } from './parts.ts';
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
  readonly engineHooks: EngineHooks;
  /** What a mutant puts between the code and a disk's store. */
  readonly wrapBe?: (store: TabletStore) => TabletStore;
  readonly wrapBus?: (bus: Bus) => Bus;
  readonly wrapTransport?: (transport: KafkaTransport) => KafkaTransport;
}

/** A boot of a process. */
interface Boot {
  alive: boolean;
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
    const boot: Boot = {
      alive: true,
      clock: this.world.clock.clockFor(() => boot.alive),
      random: this.world.random.fork(`${this.name}.${this.boots}`),
      log: {
        write: (level, message, fields) => {
          if (boot.alive && level !== 'debug') this.world.trace.add(this.name, message, fields);
        },
      },
    };
    this.boot = boot;
    this.world.trace.add(this.name, 'start');
    this.open(boot).catch((error: unknown) => {
      if (boot.alive) this.onFailed(error);
    });
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

  /** A store that failed ends the process (PROTOCOL.md D3); it comes back a little later. */
  protected onFailed(error: unknown): void {
    this.world.trace.add(this.name, 'failed', { error: String(error) });
    this.crash();
    this.world.clock.at(500, () => {
      if (!this.isAlive) this.start();
    });
  }

  protected bus(boot: Boot): Bus {
    const bus = new BusCore({
      from: this.name,
      clock: boot.clock,
      log: boot.log,
      wire: this.world.network.wire(this.name, () => boot.alive),
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

  protected async open(boot: Boot): Promise<void> {
    const fe = await openFe({
      store: this.disk.store(() => boot.alive),
      clusterId: CLUSTER_ID,
      bus: this.bus(boot),
      parts: this.world.parts.store(this.name, () => boot.alive),
      clock: boot.clock,
      random: boot.random,
      log: boot.log,
      httpAddress: () => 'http://sim',
      download: async () => '',
    });
    if (!boot.alive) return;
    this.fe = fe;
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
  }

  /** Rows of the last statement, as text. Never settles when the process dies meanwhile: race it with a timer. */
  async run(sql: string): Promise<(string | null)[][]> {
    const session = this.#session;
    if (session === undefined) throw new Error('the FE is down');
    let rows: (string | null)[][] = [];
    const never = new AbortController();
    for await (const result of session.execute(sql, never.signal)) {
      if (result.kind === 'rows') rows = result.rows.map((row) => [...row]);
      if (result.kind !== 'batches') continue;
      rows = [];
      for await (const batch of result.batches) {
        for (let row = 0; row < batch.rows; row++) {
          rows.push(
            result.columns.map(({ type }, i) => valueText(batch.columns[i] as never, row, type)),
          );
        }
      }
      await result.close();
    }
    return rows;
  }
}

export class BeProcess extends Process {
  service: BeService | undefined;
  store: TabletStore | undefined;

  protected async open(boot: Boot): Promise<void> {
    const isAlive = () => boot.alive;
    const engine = standInEngine(this.disk, 2_000, this.world.engineHooks);
    const opened = await openTabletStore({
      store: this.disk.store(isAlive),
      dir: `/${this.name}`,
      engine,
      clock: boot.clock,
      random: boot.random,
      log: boot.log,
      files: this.disk.files(isAlive),
      inlineBytesMax: 4_000,
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
      parts: this.world.parts.store(this.name, isAlive),
      kafka: createKafkaPort({
        open: async (config) => {
          const transport = await this.world.kafka.open(isAlive)(config);
          return this.world.wrapTransport?.(transport) ?? transport;
        },
        clock: boot.clock,
        log: boot.log,
      }),
      clock: boot.clock,
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
