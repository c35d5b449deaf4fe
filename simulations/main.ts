/**
 * `npm run sim`: seeds of the simulation, in two processes. Exit code 1 when an invariant broke.
 *
 *   npm run sim -- [--seed S] [--seeds N] [--scenario NAME] [--mutant NAME | --mutants] [--trace FILE] [--processes 2]
 */
import { fork } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { MUTANTS } from './mutants/mutants.ts';
import { type RunOptions, runSeed, type SeedResult } from './run.ts';
import { SCENARIOS } from './scenarios/scenarios.ts';

const MUTANT_SEEDS = 200;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    scenario: { type: 'string' },
    mutant: { type: 'string' },
    mutants: { type: 'boolean', default: false },
    trace: { type: 'string' },
    processes: { type: 'string', default: '2' },
  },
});
const say = (text: string) => process.stdout.write(`${text}\n`);
const now = () => performance.now();

interface Job {
  readonly seed: string;
  readonly scenario?: string;
  readonly mutant?: string;
  readonly keep?: number;
}

/** What crosses between processes. */
type Report = Omit<SeedResult, 'reached'> & { readonly reached: Readonly<Record<string, number>> };

async function runJob(job: Job): Promise<Report> {
  const scenario = SCENARIOS.find(({ name }) => name === job.scenario);
  const mutant = MUTANTS.find(({ name }) => name === job.mutant);
  if (job.scenario !== undefined && scenario === undefined) {
    throw new Error(
      `no scenario "${job.scenario}": ${SCENARIOS.map(({ name }) => name).join(', ')}`,
    );
  }
  if (job.mutant !== undefined && mutant === undefined) {
    throw new Error(`no mutant "${job.mutant}": ${MUTANTS.map(({ name }) => name).join(', ')}`);
  }
  const options: RunOptions = {
    ...(mutant === undefined ? {} : { mutant }),
    ...(scenario === undefined ? {} : { options: scenario.options, scenario: scenario.run }),
    ...(job.keep === undefined ? {} : { keep: job.keep }),
  };
  const result = await runSeed(job.seed, now, options);
  return { ...result, reached: Object.fromEntries(result.reached) };
}

/** Seeds of one process: what a dead process of a world waits for is never let go, and would add up. */
const SEEDS_PER_PROCESS = 40;

/** Children run one job after another; `next` gives jobs until there are none. */
async function inProcesses(
  count: number,
  next: () => Job | undefined,
  report: (job: Job, result: Report) => void,
): Promise<void> {
  /** True: there may be more jobs. */
  const child = () =>
    new Promise<boolean>((resolve, reject) => {
      let job = next();
      if (job === undefined) {
        resolve(false);
        return;
      }
      const running = fork(new URL(import.meta.url).pathname, ['--processes', '0'], {
        serialization: 'advanced',
      });
      let left = SEEDS_PER_PROCESS;
      running.on('message', (result) => {
        report(job as Job, result as Report);
        left -= 1;
        job = left === 0 ? undefined : next();
        if (job === undefined) running.kill();
        else running.send(job);
      });
      running.on('error', reject);
      running.on('exit', (code) => {
        if (job === undefined) resolve(left === 0);
        else reject(new Error(`a process ended with ${code} in seed ${job.seed}`));
      });
      running.send(job);
    });
  const one = async () => {
    while (await child()) {
      // The next child goes on where this one ended.
    }
  };
  await Promise.all(Array.from({ length: count }, one));
}

function tell(result: Report, command: string): void {
  const { failure } = result;
  if (failure === null) return;
  say(`seed ${result.seed} FAILED: ${failure.invariant}, at ${Math.round(failure.atMs)} ms`);
  say(`  options ${JSON.stringify(result.options)}`);
  for (const { atMs, who, what, fields } of result.events.slice(-40)) {
    const more = fields === undefined ? '' : JSON.stringify(fields).slice(0, 200);
    say(`  ${Math.round(atMs)} ${who} ${what} ${more}`);
  }
  say(`  ${failure.message.slice(0, 3_000)}`);
  say(`  again: ${command}`);
}

const commandOf = ({ seed, scenario, mutant }: Job) =>
  `npm run sim -- --seed ${seed}${scenario === undefined ? '' : ` --scenario ${scenario}`}${mutant === undefined ? '' : ` --mutant ${mutant}`}`;

async function runSeeds(): Promise<number> {
  const first = Number(values.seed);
  const count = Number(values.seeds);
  const { scenario, mutant } = values;
  const reached = new Map<string, number>();
  const results: Report[] = [];
  let given = 0;
  const next = (): Job | undefined => {
    if (given === count) return undefined;
    given += 1;
    return {
      seed: String(first + given - 1),
      ...(scenario === undefined ? {} : { scenario }),
      ...(mutant === undefined ? {} : { mutant }),
      ...(values.trace === undefined ? {} : { keep: 1_000_000 }),
    };
  };
  const report = (job: Job, result: Report) => {
    results.push(result);
    for (const [name, times] of Object.entries(result.reached)) {
      reached.set(name, (reached.get(name) ?? 0) + times);
    }
    tell(result, commandOf(job));
    if (results.length % 100 === 0) say(`${results.length} of ${count} seeds`);
  };
  if (count === 1) {
    const job = next() as Job;
    const result = await runJob(job);
    report(job, result);
    say(`seed ${result.seed}: options ${JSON.stringify(result.options)}`);
    say(`${result.steps} steps, trace ${result.digest}`);
    if (values.trace !== undefined) {
      await writeFile(values.trace, result.events.map((event) => JSON.stringify(event)).join('\n'));
    }
  } else {
    await inProcesses(Math.max(1, Number(values.processes)), next, report);
  }
  const failed = results.filter(({ failure }) => failure !== null).length;
  const commits = results.map((one) => one.commits).sort((a, b) => a - b);
  const wallMs = results.reduce((sum, one) => sum + one.wallMs, 0);
  const virtualMs = results.reduce((sum, one) => sum + one.virtualMs, 0);
  const names = [...reached].sort(([a], [b]) => (a < b ? -1 : 1));
  say(`reached: ${names.map(([name, times]) => `${name} ${times}`).join(', ')}`);
  say(
    `${count} seeds, ${failed} failed; commits a seed: median ${commits[commits.length >> 1]}; virtual seconds per second of a core: ${(virtualMs / wallMs).toFixed(0)}`,
  );
  return failed;
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
  await inProcesses(Math.max(1, Number(values.processes)), next, (job, result) => {
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

if (values.processes === '0') {
  process.on('message', (job) => {
    void runJob(job as Job).then((result) => process.send?.(result));
  });
} else {
  const failed = values.mutants ? await runMutants() : await runSeeds();
  process.exit(failed > 0 ? 1 : 0);
}
