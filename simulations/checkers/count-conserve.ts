/** `count.conserve`: a job's numbers are the sums over its transactions; a restart changes none. */
import { type Checker, type Facts, InvariantBroken } from './checker.ts';

export function countConserve(facts: Facts): Checker {
  const id = 'count.conserve';
  const sums = new Map<number, { loaded: number; errors: number; unselected: number; n: number }>();
  return {
    id,
    feEntry(entry) {
      if (entry.type !== 'txn.committed' || entry.job === undefined) return;
      const { jobId } = entry.job;
      const sum = sums.get(jobId) ?? { loaded: 0, errors: 0, unselected: 0, n: 0 };
      sum.loaded += entry.counts.loaded;
      sum.errors += entry.counts.filtered;
      sum.unselected += entry.counts.unselected;
      sum.n += 1;
      sums.set(jobId, sum);
      const shown = facts.fe.jobs.get(jobId)?.statistics;
      const pairs = [
        ['loadedRows', sum.loaded],
        ['errorRows', sum.errors],
        ['unselectedRows', sum.unselected],
        ['totalRows', sum.loaded + sum.errors + sum.unselected],
        ['committedTaskNum', sum.n],
      ] as const;
      for (const [name, expected] of pairs) {
        if (shown?.[name] === expected) continue;
        throw new InvariantBroken(id, `job ${jobId}: ${name} is ${shown?.[name]}, not ${expected}`);
      }
    },
  };
}
