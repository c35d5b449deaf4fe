/** What named cases are made of: a fault at a chosen moment instead of the seed's. Each seed still draws what is not said. */
import type { DriverHooks } from '../driver.ts';
import type { Harness } from '../harness.ts';
import { CALM, type SwarmOptions } from '../options.ts';
import type { BeProcess, FeProcess } from '../world/cluster.ts';

export interface Scenario {
  readonly name: string;
  readonly goal: string;
  readonly options: Partial<SwarmOptions>;
  readonly hooks: DriverHooks;
}

type Process = FeProcess | BeProcess;
type Act = (harness: Harness, round: number) => void;

const THREE: Partial<SwarmOptions> = {
  ...CALM,
  bes: 3,
  partitions: 3,
  buckets: 4,
  desired: 2,
  batches: 50,
  inserts: 0.2,
};

export function restart(process: Process | undefined, afterMs: number): void {
  process?.crash();
  process?.backAfter(afterMs);
}

/** Again and again while the first phase lasts. */
export const every =
  (ms: number, act: Act) =>
  (harness: Harness): void => {
    const { clock } = harness.world;
    const endMs = harness.options.batches * harness.options.produceMs;
    for (let round = 1; round * ms < endMs; round++)
      clock.at(round * ms, () => act(harness, round));
  };

/** At the n-th time that the moment comes (world/points.ts), and every n-th time after that with `again`. */
export const onMoment =
  (name: string, nth: number, act: Act, again = true) =>
  (harness: Harness): void => {
    let times = 0;
    harness.world.points.onHit((moment) => {
      if (moment.name !== name) return;
      times += 1;
      if (times % nth === 0 && (again || times === nth)) act(harness, times);
    });
  };

export const be = ({ bes }: Harness, round: number) => bes[round % bes.length];

interface Written {
  readonly name: string;
  readonly goal: string;
  readonly run: (harness: Harness) => void;
  readonly options?: Partial<SwarmOptions>;
  readonly hooks?: Omit<DriverHooks, 'scenario'>;
}

export const scenario = ({ name, goal, run, options, hooks }: Written): Scenario => ({
  name,
  goal,
  options: { ...THREE, ...options },
  hooks: { ...hooks, scenario: run },
});

/** Goes on behind what cannot be read, by a statement that is on record (routine-load.md, ALTER). */
export const alterTo =
  (
    offset: (harness: Harness, partition: number, at: bigint) => bigint,
  ): NonNullable<DriverHooks['mend']> =>
  (harness, job) => {
    const { position } = job.reason ?? {};
    if (position === undefined) return;
    const { partition } = position;
    const to = offset(harness, partition, BigInt(position.offset));
    harness.statement(
      `ALTER ROUTINE LOAD FOR d.j FROM KAFKA ("kafka_partitions" = "${partition}", "kafka_offsets" = "${to}"); RESUME ROUTINE LOAD FOR d.j`,
    );
  };
