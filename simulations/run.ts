/**
 * One seed: a cluster, a Kafka, a job, faults by the seed's options; then all is healed and convergence demanded.
 *
 *   phase 1 (safety): invariants hold after every step, and in every snapshot that a session gets.
 *   phase 2 (liveness): no faults; within `CONVERGE_MS` everything in the logs is in the table, and the job runs.
 */
import { checkAll, checkSnapshot, FactsChecker, InvariantBroken } from './checkers/exactly-once.ts';
import { VirtualClock } from './world/clock.ts';
import { BeProcess, FeProcess, type World } from './world/cluster.ts';
import { Disk, type SimFiles } from './world/disk.ts';
import type { EngineHooks } from './world/engine.ts';
import { SimKafka } from './world/kafka.ts';
import { Network } from './world/network.ts';
import { SimParts } from './world/parts.ts';
import { type SeededRandom, seededRandom } from './world/random.ts';
import { Trace, type TraceEvent } from './world/trace.ts';

export interface Mutant {
  readonly name: string;
  readonly apply?: (harness: Harness) => void;
  /** Changes what all runs share; the function that it gives undoes it. */
  readonly patch?: (harness: Harness) => () => void;
  readonly engineHooks?: EngineHooks;
  readonly wrapBe?: NonNullable<World['wrapBe']>;
  readonly wrapBus?: NonNullable<World['wrapBus']>;
  readonly wrapTransport?: NonNullable<World['wrapTransport']>;
}

/** What scenarios and mutants get into their hands. */
export interface Harness {
  readonly world: World;
  readonly fe: FeProcess;
  readonly bes: readonly BeProcess[];
  readonly options: SwarmOptions;
}

export interface SwarmOptions {
  readonly bes: number;
  readonly partitions: number;
  readonly buckets: number;
  readonly desired: number;
  readonly chaosMs: number;
  readonly drop: number;
  readonly duplicate: number;
  readonly reorder: number;
  readonly delayMsMax: number;
  readonly syncMsMax: number;
  readonly writeError: number;
  readonly silence: number;
  /** Mean times between faults; 0: none of that kind. */
  readonly crashFeMs: number;
  readonly crashBeMs: number;
  readonly crashAllMs: number;
  readonly cutMs: number;
  readonly leaderMs: number;
  readonly brokerMs: number;
  readonly pauseMs: number;
  readonly produceMs: number;
  readonly abortShare: number;
  readonly newPartition: boolean;
  readonly timeoutS: number;
}

const CONVERGE_MS = 180_000;
const STEPS_MAX = 50_000;

/** Each fault is on in about half of the seeds: what runs alone finds other things than all at once. */
export function swarm(random: SeededRandom): SwarmOptions {
  const sometimes = (make: () => number) => (random.chance(0.5) ? make() : 0);
  return {
    bes: random.whole(1, 3),
    partitions: random.whole(1, 4),
    buckets: random.whole(1, 4),
    desired: random.whole(1, 3),
    chaosMs: random.whole(25_000, 90_000),
    drop: sometimes(() => random.next() * 0.05),
    duplicate: sometimes(() => random.next() * 0.1),
    reorder: sometimes(() => random.next() * 0.1),
    delayMsMax: random.pick([2, 10, 100, 1_000]),
    syncMsMax: random.pick([1, 5, 50, 300]),
    writeError: sometimes(() => random.next() * 0.01),
    silence: sometimes(() => random.next() * 0.05),
    crashFeMs: sometimes(() => random.whole(4_000, 40_000)),
    crashBeMs: sometimes(() => random.whole(4_000, 40_000)),
    crashAllMs: sometimes(() => random.whole(8_000, 60_000)),
    cutMs: sometimes(() => random.whole(4_000, 40_000)),
    leaderMs: sometimes(() => random.whole(2_000, 20_000)),
    brokerMs: sometimes(() => random.whole(4_000, 30_000)),
    pauseMs: sometimes(() => random.whole(4_000, 20_000)),
    produceMs: random.pick([100, 300, 600]),
    abortShare: sometimes(() => random.next() * 0.4),
    newPartition: random.chance(0.2),
    timeoutS: random.pick([5, 10, 60]),
  };
}

export interface SeedResult {
  readonly seed: string;
  readonly options: SwarmOptions;
  readonly failure: {
    readonly invariant: string;
    readonly message: string;
    readonly atMs: number;
  } | null;
  readonly events: readonly TraceEvent[];
  readonly digest: string;
  readonly steps: number;
  readonly commits: number;
  readonly virtualMs: number;
  readonly wallMs: number;
  readonly reached: ReadonlyMap<string, number>;
}

export interface RunOptions {
  readonly mutant?: Mutant;
  readonly options?: Partial<SwarmOptions>;
  /** Called once the cluster is up and the job made. */
  readonly scenario?: (harness: Harness) => void;
  readonly keep?: number;
}

/** `wallNow`: for the report alone. */
export async function runSeed(
  seed: string,
  wallNow: () => number,
  run: RunOptions = {},
): Promise<SeedResult> {
  const random = seededRandom(seed);
  const options: SwarmOptions = { ...swarm(random.fork('swarm')), ...run.options };
  const startMs = 1_700_000_000_000;
  const clock = new VirtualClock(random.fork('clock'), startMs);
  const trace = new Trace(() => clock.now() - startMs, run.keep ?? 200);
  const network = new Network(clock, random.fork('network'), trace, {
    drop: 0,
    duplicate: 0,
    reorder: 0,
    delayMsMax: 2,
  });
  const kafka = new SimKafka(clock, random.fork('kafka'), trace, {
    topic: 't',
    partitions: options.partitions,
    brokers: 2,
    faults: { silence: 0, answerMsMax: 5 },
  });
  const world: World = {
    clock,
    random,
    trace,
    network,
    kafka,
    parts: new SimParts(clock),
    engineHooks: run.mutant?.engineHooks ?? {},
    ...(run.mutant?.wrapBe === undefined ? {} : { wrapBe: run.mutant.wrapBe }),
    ...(run.mutant?.wrapBus === undefined ? {} : { wrapBus: run.mutant.wrapBus }),
    ...(run.mutant?.wrapTransport === undefined ? {} : { wrapTransport: run.mutant.wrapTransport }),
  };
  const files: SimFiles = new Map();
  const disk = (name: string) =>
    new Disk(
      name,
      clock,
      random.fork(`disk.${name}`),
      trace,
      { writeError: 0, syncMsMax: 2 },
      files,
    );
  const fe = new FeProcess('fe', disk('fe'), world);
  const bes = Array.from({ length: options.bes }, (_, i) => {
    const name = `be-${i + 1}`;
    return new BeProcess(name, disk(name), world);
  });
  const harness: Harness = { world, fe, bes, options };
  const driver = new Driver(harness, random.fork('driver'));
  const from = wallNow();
  let failure: SeedResult['failure'] = null;
  let undo: (() => void) | undefined;
  try {
    run.mutant?.apply?.(harness);
    undo = run.mutant?.patch?.(harness);
    await driver.run(run.scenario);
  } catch (error) {
    const invariant = error instanceof InvariantBroken ? error.invariant : 'error';
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    failure = { invariant, message, atMs: clock.now() - startMs };
  } finally {
    undo?.();
  }
  return {
    seed,
    options,
    failure,
    events: trace.last(run.keep ?? 200),
    digest: trace.digest(),
    steps: clock.steps,
    commits: driver.facts.commits,
    virtualMs: clock.now() - startMs - clock.idleMs,
    wallMs: wallNow() - from,
    reached: trace.reached,
  };
}

class Driver {
  readonly #harness: Harness;
  readonly #random: SeededRandom;
  readonly facts = new FactsChecker();
  #chaos = true;
  #isProducing = true;
  #failure: Error | undefined;
  #rowsSent = 0;

  constructor(harness: Harness, random: SeededRandom) {
    this.#harness = harness;
    this.#random = random;
  }

  async run(scenario: RunOptions['scenario']): Promise<void> {
    const { world, fe, bes, options } = this.#harness;
    fe.start();
    for (const be of bes) be.start();
    await this.#setUp();
    this.#startFaults();
    scenario?.(this.#harness);
    this.#produce();
    this.#look();
    const endMs = world.clock.now() + options.chaosMs;
    await this.#until(
      () => world.clock.now() >= endMs,
      options.chaosMs + 60_000,
      'the end of the chaos',
    );
    this.#heal();
    const isDone = () => this.#isConverged();
    await this.#until(isDone, CONVERGE_MS, 'convergence');
    const seen = await this.#snapshot(60_000);
    checkAll(world.kafka, seen);
    // What was voted for is asked about until it is settled (PROTOCOL.md C2).
    const isSettled = () => bes.every((be) => be.store?.inDoubt().length === 0);
    await this.#until(isSettled, 60_000, 'the end of all doubt');
  }

  /** Steps until the condition holds; the invariants are checked after each. */
  async #until(condition: () => boolean, withinMs: number, what: string): Promise<void> {
    const { clock } = this.#harness.world;
    const deadlineMs = clock.now() + withinMs;
    await clock.settle();
    while (!condition()) {
      if (clock.steps >= STEPS_MAX) {
        throw new InvariantBroken(
          'live.steps',
          `${what} was not reached within ${STEPS_MAX} steps; ${this.#waits()}`,
        );
      }
      if (clock.now() > deadlineMs) {
        throw new InvariantBroken(
          'live.converge',
          `no ${what} within ${withinMs} ms; ${this.#waits()}`,
        );
      }
      if (!(await clock.step()))
        throw new InvariantBroken('live.step', `nothing is due, ${what} is waited for`);
      if (this.#failure !== undefined) throw this.#failure;
      const { fe } = this.#harness.fe;
      if (fe !== undefined) this.facts.check(fe);
    }
  }

  /** Who waits for whom. */
  #waits(): string {
    const { fe, bes, world } = this.#harness;
    const kernel = fe.fe;
    if (kernel === undefined) return `the FE is ${fe.isAlive ? 'opening' : 'down'}`;
    const jobs = [...kernel.durable.jobs.values()].map((job) => {
      const tasks = kernel.tasks(job.jobId).map(({ partitions, txnStatus, message, beId }) => ({
        partitions,
        txnStatus,
        message,
        beId,
      }));
      return { state: job.state, reason: job.reason?.message, progress: job.progress, tasks };
    });
    const nodes = kernel.backends().map(({ name, alive }) => `${name} ${alive}`);
    const up = bes.map((be) => `${be.name} ${be.isAlive} registered ${be.service?.registered}`);
    const ends = world.kafka.partitions.map(({ end }) => String(end));
    const pending = [...kernel.durable.txns.keys()];
    return JSON.stringify({ jobs, nodes, up, ends, pending, refusal: kernel.refusal() });
  }

  async #statement(sql: string, withinMs: number): Promise<(string | null)[][]> {
    const { fe, world } = this.#harness;
    let outcome: { rows: (string | null)[][] } | { error: Error } | undefined;
    fe.run(sql).then(
      (rows) => {
        outcome = { rows };
      },
      (error: unknown) => {
        outcome = { error: error instanceof Error ? error : new Error(String(error)) };
      },
    );
    const deadlineMs = world.clock.now() + withinMs;
    await this.#until(
      () => outcome !== undefined || world.clock.now() > deadlineMs,
      withinMs + 1_000,
      sql,
    );
    if (outcome === undefined) throw new Error(`no answer: ${sql}`);
    if ('error' in outcome) throw outcome.error;
    return outcome.rows;
  }

  async #setUp(): Promise<void> {
    const { fe, options } = this.#harness;
    await this.#until(
      () =>
        fe.fe !== undefined && fe.fe.backends().filter(({ alive }) => alive).length === options.bes,
      30_000,
      'a cluster',
    );
    for (const sql of [
      'CREATE DATABASE d',
      `CREATE TABLE d.t (id VARCHAR(40) NOT NULL, v BIGINT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS ${options.buckets}`,
      `CREATE ROUTINE LOAD d.j ON t COLUMNS TERMINATED BY "," PROPERTIES ("desired_concurrent_number" = "${options.desired}", "max_error_number" = "1000000", "task_consume_second" = "3", "task_timeout_second" = "${options.timeoutS}") FROM KAFKA ("kafka_broker_list" = "b:1", "kafka_topic" = "t", "property.kafka_default_offsets" = "OFFSET_BEGINNING")`,
    ]) {
      await this.#statement(sql, 30_000);
    }
  }

  #every(meanMs: number, act: () => void): void {
    if (meanMs === 0) return;
    const { clock } = this.#harness.world;
    const next = () => {
      clock.at(meanMs * (0.2 + 1.6 * this.#random.next()), () => {
        if (!this.#chaos) return;
        act();
        next();
      });
    };
    next();
  }

  #restart(process: FeProcess | BeProcess): void {
    const { clock } = this.#harness.world;
    clock.at(this.#random.whole(1, 3_000), () => {
      if (!process.isAlive) process.start();
    });
  }

  #startFaults(): void {
    const { world, fe, bes, options } = this.#harness;
    const { network, kafka, clock } = world;
    const { drop, duplicate, reorder, delayMsMax, syncMsMax, writeError, silence } = options;
    network.faults = { drop, duplicate, reorder, delayMsMax };
    kafka.faults = { silence, answerMsMax: delayMsMax };
    for (const { disk } of [fe, ...bes]) disk.faults = { writeError, syncMsMax };
    const crash = (process: FeProcess | BeProcess) => {
      if (!process.isAlive) return;
      world.trace.reach(`crash.${process === fe ? 'fe' : 'be'}`);
      process.crash();
      this.#restart(process);
    };
    this.#every(options.crashFeMs, () => crash(fe));
    this.#every(options.crashBeMs, () => crash(this.#random.pick(bes)));
    this.#every(options.crashAllMs, () => {
      world.trace.reach('crash.all');
      for (const process of [fe, ...bes]) crash(process);
    });
    this.#every(options.cutMs, () => {
      const names = ['fe', ...bes.map(({ name }) => name)];
      const [a, b] = [this.#random.pick(names), this.#random.pick(names)];
      network.cut(a, b);
      if (this.#random.chance(0.5)) network.cut(b, a);
      clock.at(this.#random.whole(100, 6_000), () => network.heal());
    });
    this.#every(options.leaderMs, () => {
      kafka.moveLeader(this.#random.whole(0, kafka.partitions.length - 1));
    });
    this.#every(options.brokerMs, () => {
      const broker = this.#random.whole(1, 2);
      kafka.dead.add(broker);
      clock.at(this.#random.whole(100, 5_000), () => kafka.dead.delete(broker));
    });
    this.#every(options.pauseMs, () => {
      const verb = this.#random.pick(['PAUSE', 'RESUME', 'RESUME', 'RESUME']);
      const sql = `${verb} ROUTINE LOAD FOR d.j`;
      world.trace.reach(`statement.${verb}`);
      fe.run(sql).catch(() => {});
    });
    if (options.newPartition) clock.at(options.chaosMs / 2, () => kafka.addPartition());
  }

  #produce(): void {
    const { world, options } = this.#harness;
    const { clock, kafka } = world;
    const next = () => {
      clock.at(options.produceMs * (0.5 + this.#random.next()), () => {
        if (!this.#isProducing) return;
        const partition = this.#random.whole(0, kafka.partitions.length - 1);
        const count = this.#random.whole(1, 8);
        const values = Array.from({ length: count }, () => {
          this.#rowsSent += 1;
          if (this.#random.chance(0.02)) return null;
          if (this.#random.chance(0.02)) return `bad${this.#rowsSent}`;
          return `p${partition}r${this.#rowsSent},${this.#rowsSent}`;
        });
        kafka.produce(partition, values, this.#random.chance(options.abortShare));
        next();
      });
    };
    next();
  }

  /** A session that looks again and again: what it sees must hold at any moment. */
  #look(): void {
    const { world, fe } = this.#harness;
    const next = () => {
      world.clock.at(this.#random.whole(500, 4_000), () => {
        if (!this.#isProducing) return;
        fe.run('SELECT * FROM d.t')
          .then((rows) => {
            world.trace.reach('snapshot');
            checkSnapshot(
              world.kafka,
              rows.map(([id]) => id ?? ''),
            );
          })
          .catch((error: unknown) => {
            if (error instanceof InvariantBroken) this.#failure = error;
          });
        next();
      });
    };
    next();
  }

  #heal(): void {
    const { world, fe, bes } = this.#harness;
    this.#chaos = false;
    this.#isProducing = false;
    world.trace.add('driver', 'heal');
    world.network.faults = { drop: 0, duplicate: 0, reorder: 0, delayMsMax: 2 };
    world.network.heal();
    world.kafka.faults = { silence: 0, answerMsMax: 5 };
    world.kafka.dead.clear();
    for (const process of [fe, ...bes]) {
      process.disk.faults = { writeError: 0, syncMsMax: 2 };
      if (!process.isAlive) process.start();
    }
    const resume = () => {
      const job = [...(fe.fe?.durable.jobs.values() ?? [])][0];
      if (job?.state === 'PAUSED' && job.reason?.cause === 'MANUAL_PAUSE') {
        fe.run('RESUME ROUTINE LOAD FOR d.j').catch(() => {});
      }
      world.clock.at(1_000, resume);
    };
    world.clock.at(500, resume);
  }

  #isConverged(): boolean {
    const { fe, world } = this.#harness;
    const kernel = fe.fe;
    const job = kernel === undefined ? undefined : [...kernel.durable.jobs.values()][0];
    if (kernel === undefined || job?.state !== 'RUNNING' || kernel.durable.txns.size > 0)
      return false;
    return world.kafka.partitions.every(({ end }, i) => job.progress[i] === String(end));
  }

  /** Asked again while it fails with what may pass. */
  async #snapshot(withinMs: number): Promise<string[]> {
    const { clock } = this.#harness.world;
    const deadlineMs = clock.now() + withinMs;
    for (;;) {
      try {
        return (await this.#statement('SELECT * FROM d.t', 30_000)).map(([id]) => id ?? '');
      } catch (error) {
        if (error instanceof InvariantBroken || clock.now() > deadlineMs) throw error;
        const waitMs = clock.now() + 500;
        await this.#until(() => clock.now() >= waitMs, 5_000, 'a moment');
      }
    }
  }
}
