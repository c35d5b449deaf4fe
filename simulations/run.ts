/** One seed: its options, its world, its run, its report. */
import { AllCheckers } from './checkers/all-checkers.ts';
import { InvariantBroken } from './checkers/checker.ts';
import { Driver, type DriverHooks } from './driver.ts';
import { Faults } from './faults.ts';
import { guardGlobals } from './guard.ts';
import type { Harness, Mutant } from './harness.ts';
import { type Profile, type SwarmOptions, swarm } from './options.ts';
import { Workload } from './workload.ts';
import { VirtualClock } from './world/clock.ts';
import { BeProcess, FeProcess, type World } from './world/cluster.ts';
import { Disk, type SimFiles } from './world/disk.ts';
import { SimKafka } from './world/kafka.ts';
import { Network } from './world/network.ts';
import { SimParts } from './world/parts.ts';
import { Points } from './world/points.ts';
import { seededRandom } from './world/random.ts';
import { Trace, type TraceEvent } from './world/trace.ts';

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
  readonly coreMs: number;
  readonly reached: ReadonlyMap<string, number>;
}

export interface RunOptions extends DriverHooks {
  readonly profile?: Profile;
  readonly mutant?: Mutant;
  readonly options?: Partial<SwarmOptions>;
  /** How many of the last events are kept; default 200. */
  readonly keep?: number;
}

const START_MS = 1_700_000_000_000;

/** All that the seed decides before it runs. */
export function optionsOf(seed: string, run: RunOptions): SwarmOptions {
  const profile = run.profile ?? run.mutant?.profile ?? 'atlas';
  return { ...swarm(seededRandom(seed).fork('swarm'), profile), ...run.options };
}

/** `coreNow`: milliseconds of this process's core, for the report alone. */
export async function runSeed(
  seed: string,
  coreNow: () => number,
  run: RunOptions = {},
): Promise<SeedResult> {
  const random = seededRandom(seed);
  const options = optionsOf(seed, run);
  const clock = new VirtualClock(random.fork('clock'), START_MS);
  const trace = new Trace(() => clock.now() - START_MS, run.keep ?? 200);
  const points = new Points();
  const calm = { drop: 0, duplicate: 0, reorder: 0, stale: 0, delayMsMax: 2 };
  const kafka = new SimKafka(clock, random.fork('kafka'), trace, points, {
    topic: 't',
    partitions: options.partitions,
    brokers: 2,
    faults: { silence: 0, answerMsMax: 5 },
  });
  const { mutant } = run;
  const world: World = {
    clock,
    random,
    trace,
    points,
    network: new Network(clock, random.fork('network'), trace, points, calm),
    kafka,
    parts: new SimParts(clock),
    checkpointEntries: options.checkpointEntries,
    fileBytesMin: options.fileBytesMin,
    compaction: options.rowsetsMax === 0 ? {} : { rowsetsMax: options.rowsetsMax },
    coveredMs: options.coveredMs,
    engineHooks: mutant?.engineHooks ?? {},
    ...(mutant?.wrapBe === undefined ? {} : { wrapBe: mutant.wrapBe }),
    ...(mutant?.wrapBus === undefined ? {} : { wrapBus: mutant.wrapBus }),
    ...(mutant?.wrapTransport === undefined ? {} : { wrapTransport: mutant.wrapTransport }),
  };
  const files: SimFiles = new Map();
  const disk = (name: string) => {
    const parts = { clock, random: random.fork(`disk.${name}`), trace, points, files };
    return new Disk(name, parts, { writeError: 0, syncMsMax: 2 });
  };
  const checkers = new AllCheckers(kafka, trace);
  const fe = new FeProcess('fe', disk('fe'), world);
  checkers.facts.followFe(fe.disk, checkers);
  const bes = Array.from({ length: options.bes }, (_, i) => {
    const be = new BeProcess(`be-${i + 1}`, disk(`be-${i + 1}`), world);
    checkers.facts.followBe(be.name, be.disk, checkers);
    return be;
  });
  const workload = new Workload(world, fe, options, checkers, random.fork('workload'));
  const harness: Harness = {
    world,
    fe,
    bes,
    options,
    checkers,
    operator: (kind, target, ms) => workload.operator(kind, target, ms),
    twin: (image) => {
      const twin = new FeProcess('fe-twin', disk('fe-twin'), world);
      twin.disk.restore(image);
      return twin;
    },
    statement: (sql) => {
      workload.run(sql).catch(() => {});
    },
  };
  const faults = new Faults(harness, random.fork('faults.run'));
  const driver = new Driver(harness, faults, workload, run);
  const from = coreNow();
  let failure: SeedResult['failure'] = null;
  let undo: (() => void) | undefined;
  const release = guardGlobals((what) => {
    checkers.broken ??= new InvariantBroken('trace.equal', `${what} was called in a simulation`);
  });
  try {
    mutant?.apply?.(harness);
    undo = mutant?.patch?.(harness);
    await driver.run();
  } catch (error) {
    const invariant = error instanceof InvariantBroken ? error.invariant : 'error';
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    failure = { invariant, message, atMs: clock.now() - START_MS };
  } finally {
    release();
    undo?.();
  }
  return {
    seed,
    options,
    failure,
    events: trace.last(run.keep ?? 200),
    digest: trace.digest(),
    steps: clock.steps,
    commits: checkers.commits,
    virtualMs: clock.now() - START_MS - clock.idleMs,
    coreMs: coreNow() - from,
    reached: trace.reached,
  };
}
