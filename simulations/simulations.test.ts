import { describe, expect, it } from 'vitest';
import { MUTANTS } from './mutants/mutants.ts';
import { runSeed } from './run.ts';
import { SCENARIOS } from './scenarios/scenarios.ts';

const noTime = () => 0;
const run = (seed: string, options: Parameters<typeof runSeed>[2] = {}) =>
  runSeed(seed, noTime, options);

describe('simulation', () => {
  it('40 seeds hold all invariants and converge', async () => {
    const reached = new Set<string>();
    for (let seed = 1; seed <= 40; seed++) {
      const result = await run(String(seed));
      expect(result.failure, `npm run sim -- --seed ${seed}`).toBeNull();
      for (const name of result.reached.keys()) reached.add(name);
    }
    // Faults that no seed came to would say nothing.
    for (const name of ['crash.fe', 'crash.be', 'crash.all', 'network.drop', 'network.duplicate']) {
      expect(reached).toContain(name);
    }
  }, 120_000);

  it('a seed has one history', async () => {
    for (const seed of ['3', '7', '11']) {
      const [first, second] = [await run(seed), await run(seed)];
      expect([second.digest, second.steps]).toEqual([first.digest, first.steps]);
    }
  }, 60_000);

  it.each(SCENARIOS)(
    'scenario $name',
    async ({ name, options, run: scenario }) => {
      const result = await run('1', { options: { ...options, chaosMs: 8_000 }, scenario });
      expect(result.failure, `npm run sim -- --seed 1 --scenario ${name}`).toBeNull();
    },
    60_000,
  );

  it.each(['progress.one-too-far', 'fold.commit-keeps-progress', 'publish.acknowledged-undone'])(
    'the planted bug %s is noticed',
    async (name) => {
      const mutant = MUTANTS.find((one) => one.name === name);
      expect(mutant).toBeDefined();
      if (mutant === undefined) return;
      let failure: unknown = null;
      for (let seed = 1; seed <= 5 && failure === null; seed++) {
        ({ failure } = await run(String(seed), { mutant }));
      }
      expect(failure).not.toBeNull();
    },
    60_000,
  );
});
