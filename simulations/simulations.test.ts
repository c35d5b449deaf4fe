import { describe, expect, it } from 'vitest';
import { crashPointCases, runJob } from './jobs.ts';
import { MUTANTS } from './mutants/mutants.ts';
import { runSeed } from './run.ts';
import { SCENARIOS } from './scenarios/scenarios.ts';
import { shrink } from './shrink.ts';

const noTime = () => 0;
const run = (seed: string, options: Parameters<typeof runSeed>[2] = {}) =>
  runSeed(seed, noTime, options);

describe('simulation', () => {
  it('a seed has one history', async () => {
    for (const seed of ['3', '7', '11']) {
      const [first, second] = [await run(seed), await run(seed)];
      expect([second.digest, second.steps]).toEqual([first.digest, first.steps]);
    }
  }, 60_000);

  it.each(SCENARIOS)(
    'scenario $name',
    async ({ name }) => {
      const { failure } = await runJob({ seed: '1', scenario: name }, noTime);
      expect(failure, `npm run sim -- --seed 1 --scenario ${name}`).toBeNull();
    },
    60_000,
  );

  it('a global that would break it throws', async () => {
    const result = await run('1', {
      scenario: ({ world }) => {
        world.clock.at(100, () => {
          try {
            Date.now();
          } catch {
            // Swallowed, as a retry would: the run ends all the same.
          }
        });
      },
    });
    expect(result.failure?.invariant).toBe('trace.equal');
  }, 60_000);

  it.each([
    'progress.one-too-far',
    'fold.commit-keeps-progress',
    'publish.acknowledged-undone',
    'fold.abort-moves-progress',
    'stage.vote-before-rows',
  ])(
    'the planted bug %s is noticed',
    async (name) => {
      const mutant = MUTANTS.find((one) => one.name === name);
      expect(mutant).toBeDefined();
      if (mutant === undefined) return;
      let failure: unknown = null;
      for (let seed = 1; seed <= 10 && failure === null; seed++) {
        ({ failure } = await run(String(seed), { mutant }));
      }
      expect(failure).not.toBeNull();
    },
    60_000,
  );

  it('a failure is shrunk to the faults that it needs', async () => {
    const mutant = MUTANTS.find((one) => one.name === 'be.sync-ignored');
    expect(mutant).toBeDefined();
    if (mutant === undefined) return;
    const again = (seed: string) => (options: Parameters<typeof run>[1]) =>
      run(seed, { mutant, ...options });
    for (let seed = 1; seed <= 20; seed++) {
      const failed = await again(String(seed))({});
      if (failed.failure === null) continue;
      const { faults, rates } = await shrink(
        failed,
        (options) => again(String(seed))({ options }),
        60,
      );
      // Without a crash a missing sync hurts nobody.
      expect(faults.length + rates.length).toBeGreaterThan(0);
      expect(faults.length).toBeLessThan(failed.options.faults.length);
      return;
    }
    expect.unreachable('the planted bug was not noticed');
  }, 120_000);

  it('crash points have names', () => {
    expect(new Set(crashPointCases()).size).toBe(crashPointCases().length);
  });
});
