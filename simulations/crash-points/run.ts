/** One crash point under one action for one victim, as a run: calm but for what happens there. */
import type { Harness } from '../harness.ts';
import { CALM, type SwarmOptions } from '../options.ts';
import { runSeed, type SeedResult } from '../run.ts';
import type { BeProcess, FeProcess } from '../world/cluster.ts';
import type { Action, CrashPoint, Victim } from './points.ts';

export interface CrashPointCase {
  readonly point: CrashPoint;
  readonly action: Action;
  readonly victim: Victim;
}

const BACK_MS = 700;
const PAUSE_MS = 9_000;

const OPTIONS: Partial<SwarmOptions> = {
  ...CALM,
  bes: 3,
  partitions: 2,
  buckets: 6,
  desired: 1,
  batches: 16,
  fileBytesMin: 0,
  rowsetsMax: 2,
  coveredMs: 500,
  heartbeatMs: 1_000,
  badShare: 0.05,
  inserts: 0.3,
  selects: 0.2,
  checkpointEntries: 5,
};

/** The one in which the moment came, and one that takes part beside it. */
function victims(
  { fe, bes }: Harness,
  victim: Victim,
  who: string,
): readonly (FeProcess | BeProcess)[] {
  const here = bes.find(({ name }) => name === who) ?? bes[0];
  const other = bes.find((be) => be !== here) ?? here;
  switch (victim) {
    case 'fe':
      return [fe];
    case 'coordinator':
      return here === undefined ? [] : [here];
    case 'executor':
      return other === undefined ? [] : [other];
    case 'all':
      return [fe, ...bes];
  }
}

function strike(harness: Harness, { action, victim }: CrashPointCase, who: string): void {
  const { network } = harness.world;
  const hit = victims(harness, victim, who);
  for (const process of hit) {
    switch (action) {
      case 'crash':
        process.crash();
        process.backAfter(BACK_MS);
        break;
      case 'pause':
        process.pause(PAUSE_MS);
        break;
      case 'lost':
        network.loseNext(process.name);
        break;
      case 'repeated':
        network.repeatNext(process.name);
        break;
    }
  }
}

export interface CrashPointResult extends SeedResult {
  /** The moment came as often as asked. */
  readonly isReached: boolean;
}

export async function runCrashPoint(
  one: CrashPointCase,
  coreNow: () => number,
): Promise<CrashPointResult> {
  const { point } = one;
  let left = point.nth ?? 4;
  let isReached = false;
  const scenario = (harness: Harness) => {
    harness.world.points.onHit(({ name, who }) => {
      if (name !== point.moment || isReached) return;
      if (point.who !== undefined && point.who !== (who === 'fe' ? 'fe' : 'be')) return;
      left -= 1;
      if (left > 0) return;
      isReached = true;
      harness.world.trace.add('crash point', point.name, { who, action: one.action });
      if (point.statement !== undefined) harness.statement(point.statement);
      strike(harness, one, who);
    });
    // What comes only after something went wrong: an abort needs a task that is dropped, a restore a start.
    let tasks = 0;
    harness.world.points.onHit(({ name }) => {
      if (name !== 'task-run delivered') return;
      tasks += 1;
      if (tasks !== 3) return;
      harness.statement('PAUSE ROUTINE LOAD FOR d.j');
      harness.world.clock.at(500, () => harness.statement('RESUME ROUTINE LOAD FOR d.j'));
    });
    harness.world.clock.at(3_000, () => {
      const [, be] = harness.bes;
      if (be === undefined || !be.isAlive) return;
      be.crash();
      be.backAfter(BACK_MS);
    });
  };
  const seed = `${point.name}/${one.action}/${one.victim}`;
  const result = await runSeed(seed, coreNow, {
    options: OPTIONS,
    scenario,
    mayDropInserted: point.statement?.startsWith('DROP') === true,
  });
  return { ...result, isReached };
}
