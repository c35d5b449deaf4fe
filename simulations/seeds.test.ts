import { describe, expect, it } from 'vitest';
import { runSeed } from './run.ts';

const noTime = () => 0;

describe('seeds', () => {
  it.each(['atlas', 'havoc'] as const)(
    '%s: all invariants hold',
    async (profile) => {
      const reached = new Set<string>();
      const count = 20;
      for (let seed = 1; seed <= count; seed++) {
        const { failure, reached: names } = await runSeed(String(seed), noTime, { profile });
        expect(failure, `npm run sim -- --seed ${seed} --profile ${profile}`).toBeNull();
        for (const name of names.keys()) reached.add(name);
      }
      // Faults that no seed came to would say nothing.
      const wanted = [
        'proc.crash fe',
        'proc.crash be',
        'proc.crashall',
        'net.drop',
        'net.duplicate',
      ];
      for (const name of wanted) expect(reached).toContain(name);
    },
    240_000,
  );
});
