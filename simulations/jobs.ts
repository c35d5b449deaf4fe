/** One run as it is named on the command line and sent to a process: seed, scenario or crash point, planted bug, profile. */
import { ACTIONS, CRASH_POINTS, VICTIMS } from './crash-points/points.ts';
import { runCrashPoint } from './crash-points/run.ts';
import { MUTANTS } from './mutants/mutants.ts';
import type { Profile } from './options.ts';
import { optionsOf, type RunOptions, runSeed, type SeedResult } from './run.ts';
import { SCENARIOS } from './scenarios/scenarios.ts';
import { shrunkOptions } from './shrink.ts';

export interface Job {
  readonly seed: string;
  readonly profile?: Profile;
  readonly scenario?: string;
  readonly mutant?: string;
  /** `point/action/victim`; the seed is not used. */
  readonly crashPoint?: string;
  /** A shrunk run: only these rates and faults. */
  readonly only?: { readonly rates: readonly string[]; readonly faults: readonly string[] };
  /** Another number of batches than the seed draws: many short runs. */
  readonly batches?: number;
  readonly keep?: number;
}

/** What crosses between processes. */
export type Report = Omit<SeedResult, 'reached'> & {
  readonly reached: Readonly<Record<string, number>>;
};

function named<T extends { readonly name: string }>(
  all: readonly T[],
  name: string | undefined,
  what: string,
): T | undefined {
  if (name === undefined) return undefined;
  const found = all.find((one) => one.name === name);
  if (found !== undefined) return found;
  throw new Error(`no ${what} "${name}": ${all.map((one) => one.name).join(', ')}`);
}

/** Milliseconds of a core that this process took: what else the machine does is no part of the figure. */
export function coreNow(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** Every crash point under every action for every victim. */
export function crashPointCases(): string[] {
  return CRASH_POINTS.flatMap(({ name }) =>
    ACTIONS.flatMap((action) => VICTIMS.map((victim) => `${name}/${action}/${victim}`)),
  );
}

function crashPoint(text: string) {
  const [name, action, victim] = text.split('/');
  const point = named(CRASH_POINTS, name, 'crash point');
  const known = {
    action: ACTIONS.find((one) => one === action),
    victim: VICTIMS.find((one) => one === victim),
  };
  if (point === undefined || known.action === undefined || known.victim === undefined) {
    throw new Error(`no crash point "${text}": NAME/${ACTIONS.join('|')}/${VICTIMS.join('|')}`);
  }
  return { point, action: known.action, victim: known.victim };
}

export function runOptions(job: Job): RunOptions {
  const scenario = named(SCENARIOS, job.scenario, 'scenario');
  const mutant = named(MUTANTS, job.mutant, 'planted bug');
  const profile = job.profile ?? mutant?.profile ?? 'atlas';
  const only =
    job.only === undefined ? {} : shrunkOptions(optionsOf(job.seed, { profile }), job.only);
  return {
    profile,
    ...(mutant === undefined ? {} : { mutant }),
    ...(scenario === undefined ? {} : scenario.hooks),
    options: {
      ...scenario?.options,
      ...only,
      ...(job.batches === undefined ? {} : { batches: job.batches }),
    },
    ...(job.keep === undefined ? {} : { keep: job.keep }),
  };
}

export async function runJob(job: Job, now: () => number): Promise<Report> {
  const result = await (job.crashPoint === undefined
    ? runSeed(job.seed, now, runOptions(job))
    : runCrashPointJob(job.crashPoint, now));
  return { ...result, reached: Object.fromEntries(result.reached) };
}

async function runCrashPointJob(text: string, now: () => number): Promise<SeedResult> {
  const result = await runCrashPoint(crashPoint(text), now);
  if (result.isReached || result.failure !== null) return result;
  const failure = { invariant: 'reached', message: `${text} was not reached`, atMs: 0 };
  return { ...result, failure };
}

export function commandOf(job: Job): string {
  const words = ['npm run sim --'];
  if (job.crashPoint !== undefined) words.push(`--crash-point "${job.crashPoint}"`);
  else words.push(`--seed ${job.seed}`);
  if (job.profile === 'havoc') words.push('--profile havoc');
  if (job.batches !== undefined) words.push(`--batches ${job.batches}`);
  if (job.scenario !== undefined) words.push(`--scenario ${job.scenario}`);
  if (job.mutant !== undefined) words.push(`--mutant ${job.mutant}`);
  if (job.only !== undefined) {
    words.push(`--only "${[...job.only.rates, ...job.only.faults].join(',')}"`);
  }
  return words.join(' ');
}
