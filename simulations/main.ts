/**
 * `npm run sim`: runs of the simulation, in two processes. Exit code 1 when an invariant broke.
 *
 *   npm run sim -- [--seed S] [--seeds N] [--profile atlas|havoc] [--scenario NAME | --scenarios]
 *                  [--mutant NAME | --mutants] [--crash-points | --crash-point POINT/ACTION/VICTIM]
 *                  [--batches N] [--only RATES,FAULTS] [--trace FILE] [--processes 2]
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import {
  commandOf,
  coreNow,
  crashPointCases,
  type Job,
  type Report,
  runJob,
  runOptions,
} from './jobs.ts';
import { MUTANTS } from './mutants/mutants.ts';
import { FAULT_NAMES, type Profile } from './options.ts';
import { inProcesses } from './processes.ts';
import { optionsOf, runSeed } from './run.ts';
import { SCENARIOS } from './scenarios/scenarios.ts';
import { nameOf, shrink } from './shrink.ts';

const MUTANT_SEEDS = 200;
const SHRINK_RUNS = 120;
/** From so many runs on, every kind of fault must have come. */
const LONG_RUN = 500;
/** Of so many seeds one runs twice: a seed has one history. */
const TWICE = 50;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    profile: { type: 'string', default: 'atlas' },
    scenario: { type: 'string' },
    scenarios: { type: 'boolean', default: false },
    mutant: { type: 'string' },
    mutants: { type: 'boolean', default: false },
    'crash-points': { type: 'boolean', default: false },
    'crash-point': { type: 'string' },
    batches: { type: 'string' },
    only: { type: 'string' },
    trace: { type: 'string' },
    processes: { type: 'string', default: '2' },
  },
});
const say = (text: string) => process.stdout.write(`${text}\n`);
const processes = Math.max(1, Number(values.processes));

function profileOf(text: string): Profile {
  if (text === 'atlas' || text === 'havoc') return text;
  throw new Error(`no profile "${text}": atlas, havoc`);
}

/** Fewer faults that break the same invariant; only what a seed drew can be shrunk. */
async function shrunk(job: Job, result: Report): Promise<void> {
  if (job.crashPoint !== undefined || job.only !== undefined || job.mutant !== undefined) return;
  const own = runOptions(job);
  const { rates, faults, runs } = await shrink(
    { ...result, reached: new Map() },
    (options) => runSeed(job.seed, coreNow, { ...own, options: { ...own.options, ...options } }),
    SHRINK_RUNS,
  );
  const needed = faults.map(
    ({ kind, step, target, ms }) => `${kind}@${step} (${target}, ${ms} ms)`,
  );
  say(`  shrunk in ${runs} runs to: ${[...rates, ...needed].join(', ') || 'no fault at all'}`);
  if (job.scenario !== undefined) return;
  say(`  shrunk: ${commandOf({ ...job, only: { rates, faults: faults.map(nameOf) } })}`);
}

async function tell(job: Job, result: Report): Promise<void> {
  const { failure } = result;
  if (failure === null) return;
  say(`${job.crashPoint ?? `seed ${result.seed}`} FAILED: ${failure.invariant}`);
  say(`  at ${Math.round(failure.atMs)} ms, step ${result.steps}; trace ${result.digest}`);
  const { faults, ...options } = result.options;
  say(`  options ${JSON.stringify(options)}, ${faults.length} faults`);
  for (const { atMs, who, what, fields } of result.events.slice(-40)) {
    const more = fields === undefined ? '' : JSON.stringify(fields).slice(0, 200);
    say(`  ${Math.round(atMs)} ${who} ${what} ${more}`);
  }
  say(`  ${failure.message.slice(0, 3_000)}`);
  say(`  again: ${commandOf(job)}`);
  await shrunk(job, result);
}

function summary(results: readonly Report[], failed: number): ReadonlyMap<string, number> {
  const reached = new Map<string, number>();
  for (const result of results) {
    for (const [name, times] of Object.entries(result.reached)) {
      reached.set(name, (reached.get(name) ?? 0) + times);
    }
  }
  const commits = results.map((one) => one.commits).sort((a, b) => a - b);
  const coreMs = results.reduce((sum, one) => sum + one.coreMs, 0);
  const virtualMs = results.reduce((sum, one) => sum + one.virtualMs, 0);
  const steps = results.reduce((most, one) => Math.max(most, one.steps), 0);
  const names = [...reached].sort(([a], [b]) => (a < b ? -1 : 1));
  say(`reached: ${names.map(([name, times]) => `${name} ${times}`).join(', ')}`);
  say(
    `${results.length} runs, ${failed} failed; commits a run: median ${commits[commits.length >> 1]}; at most ${steps} steps; virtual seconds per second of a core: ${(virtualMs / coreMs).toFixed(0)}`,
  );
  return reached;
}

async function runAll(jobs: readonly Job[]): Promise<number> {
  const results: Report[] = [];
  const failures: (readonly [Job, Report])[] = [];
  let given = 0;
  const twice = jobs.filter((_, i) => jobs.length >= TWICE && i % TWICE === 0);
  const all = [...jobs, ...twice];
  const traces = new Map<string, string>();
  await inProcesses(
    Math.min(processes, all.length),
    () => all[given++],
    (job, result) => {
      const name = commandOf(job);
      const before = traces.get(name);
      traces.set(name, result.digest);
      if (before !== undefined) {
        if (before === result.digest) return;
        const message = `${name}: trace ${before}, and ${result.digest} the second time`;
        failures.push([
          job,
          { ...result, failure: { invariant: 'trace.equal', message, atMs: 0 } },
        ]);
        return;
      }
      results.push({ ...result, events: result.failure === null ? [] : result.events });
      if (result.failure !== null) {
        failures.push([job, result]);
        say(`${commandOf(job)} FAILED: ${result.failure.invariant}`);
      }
      if (results.length % 100 === 0) say(`${results.length} of ${jobs.length}`);
    },
  );
  for (const [job, result] of failures.slice(0, 5)) await tell(job, result);
  const reached = summary(results, failures.length);
  const never = FAULT_NAMES.filter((name) => !reached.has(name));
  // Faults that no seed of many came to say nothing about what they would do.
  if (jobs.length < LONG_RUN || jobs[0]?.crashPoint !== undefined || never.length === 0) {
    return failures.length;
  }
  say(`never reached: ${never.join(', ')}`);
  return failures.length + 1;
}

async function runOne(job: Job): Promise<number> {
  if (job.crashPoint === undefined) {
    say(`options ${JSON.stringify(optionsOf(job.seed, runOptions(job)))}`);
  }
  const result = await runJob({ ...job, keep: values.trace === undefined ? 200 : 1e6 }, coreNow);
  await tell(job, result);
  summary([result], result.failure === null ? 0 : 1);
  say(`${result.steps} steps, trace ${result.digest}`);
  if (values.trace !== undefined) {
    await writeFile(values.trace, result.events.map((event) => JSON.stringify(event)).join('\n'));
  }
  return result.failure === null ? 0 : 1;
}

function jobsAsked(): Job[] {
  const profile = profileOf(values.profile);
  if (values['crash-point'] !== undefined) {
    return [{ seed: '0', crashPoint: values['crash-point'] }];
  }
  if (values['crash-points']) {
    return crashPointCases().map((crashPoint) => ({ seed: '0', crashPoint }));
  }
  const words = values.only?.split(',').filter((word) => word !== '');
  const only =
    words === undefined
      ? {}
      : {
          only: {
            rates: words.filter((word) => !word.includes('@')),
            faults: words.filter((word) => word.includes('@')),
          },
        };
  const seeds = Array.from({ length: Number(values.seeds) }, (_, i) =>
    String(Number(values.seed) + i),
  );
  const scenarios = values.scenarios
    ? SCENARIOS.map(({ name }) => name)
    : [values.scenario].filter((name) => name !== undefined);
  const { mutant } = values;
  return seeds.flatMap((seed): Job[] => {
    const job = {
      seed,
      profile,
      ...only,
      ...(mutant === undefined ? {} : { mutant }),
      ...(values.batches === undefined ? {} : { batches: Number(values.batches) }),
    };
    if (scenarios.length === 0) return [job];
    return scenarios.map((scenario) => ({ ...job, scenario }));
  });
}

/** For each planted bug the seeds that it took until something noticed. */
async function runMutants(): Promise<number> {
  const jobs = MUTANTS.map(({ name }) => ({
    name,
    tries: 0,
    found: undefined as Report | undefined,
  }));
  const waiting = [...jobs];
  const running = new Map<Job, (typeof jobs)[number]>();
  const next = (): Job | undefined => {
    const mutant = waiting.shift();
    if (mutant === undefined) return undefined;
    mutant.tries += 1;
    const job = { seed: String(mutant.tries), mutant: mutant.name };
    running.set(job, mutant);
    return job;
  };
  await inProcesses(processes, next, (job, result) => {
    const mutant = running.get(job);
    if (mutant === undefined) return;
    if (result.failure !== null) mutant.found = result;
    else if (mutant.tries < MUTANT_SEEDS) {
      waiting.unshift(mutant);
      return;
    }
    const { failure } = mutant.found ?? {};
    say(
      `${mutant.name}: ${failure == null ? `NOT FOUND in ${mutant.tries} seeds` : `${mutant.tries} seeds, ${failure.invariant}`}`,
    );
  });
  const tries = jobs.filter(({ found }) => found !== undefined).map((one) => one.tries);
  const sorted = tries.sort((a, b) => a - b);
  say(`seeds until found: median ${sorted[sorted.length >> 1]}, worst ${sorted.at(-1)}`);
  say(`mutants ${tries.length}/${jobs.length} found`);
  return jobs.length - tries.length;
}

async function main(): Promise<number> {
  if (values.mutants) return runMutants();
  const jobs = jobsAsked();
  const [first] = jobs;
  return jobs.length === 1 && first !== undefined ? runOne(first) : runAll(jobs);
}

const failed = await main();
process.exit(failed > 0 ? 1 : 0);
