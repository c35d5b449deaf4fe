/** Planted into the fold of the FE: live, in replay, and in what the checkers follow. */
import type { FeEntry, FeState } from '../../src/actors/fe/fe-facts.ts';
import { feFold } from '../../src/actors/fe/fe-fold.ts';
import type { Mutant } from '../harness.ts';

/** After the fold has taken an entry. */
const folding =
  (after: (state: FeState, entry: FeEntry, before: FeState['jobs']) => void) =>
  (): (() => void) => {
    const own = feFold.apply;
    const fold = feFold as { apply: typeof feFold.apply };
    fold.apply = (state, entry, seq) => {
      const before = new Map(
        [...state.jobs].map(([id, job]) => [id, { ...job, progress: { ...job.progress } }]),
      );
      own(state, entry, seq);
      after(state, entry, before);
    };
    return () => {
      fold.apply = own;
    };
  };

export const FOLD_MUTANTS: readonly Mutant[] = [
  {
    name: 'fold.label-freed-early',
    patch: folding((state, entry) => {
      if (entry.type === 'txn.committed' && entry.userLabel) state.labelIndex.clear();
    }),
  },
  {
    name: 'fold.alter-forgotten',
    patch: folding((state, entry, before) => {
      if (entry.type !== 'job.altered') return;
      const job = state.jobs.get(entry.jobId);
      const old = before.get(entry.jobId);
      if (job !== undefined && old !== undefined) job.definition = old.definition;
    }),
  },
  {
    name: 'fold.counted-twice',
    patch: folding((state, entry) => {
      if (entry.type !== 'txn.committed' || entry.job === undefined) return;
      const job = state.jobs.get(entry.job.jobId);
      if (job !== undefined) job.statistics.loadedRows += entry.counts.loaded;
    }),
  },
  {
    name: 'fold.abort-moves-progress',
    patch: folding((state, entry) => {
      if (entry.type !== 'task.aborted') return;
      const job = state.jobs.get(entry.jobId);
      for (const [partition, next] of Object.entries(job?.progress ?? {}))
        if (job !== undefined && !next.startsWith('OFFSET_'))
          job.progress[partition] = String(BigInt(next) + 1n);
    }),
  },
  {
    name: 'fold.commit-keeps-progress',
    patch: folding((state, entry, before) => {
      if (entry.type !== 'txn.committed' || entry.job === undefined) return;
      const job = state.jobs.get(entry.job.jobId);
      const old = before.get(entry.job.jobId);
      if (job !== undefined && old !== undefined) job.progress = { ...old.progress };
    }),
  },
  {
    name: 'fold.visible-at-commit',
    patch: folding((state, entry) => {
      if (entry.type !== 'txn.committed') return;
      for (const { tabletId, version } of entry.versions) {
        const tablet = state.tablets.get(tabletId);
        if (tablet !== undefined) tablet.visible = version;
      }
    }),
  },
  {
    name: 'fold.visible-forgets-a-tablet',
    patch: folding((state, entry) => {
      if (entry.type !== 'txn.visible') return;
      const [tablet] = [...state.tablets.values()];
      if (tablet !== undefined && tablet.visible > 1) tablet.visible -= 1;
    }),
  },
  {
    name: 'fold.scheduled-resets-progress',
    patch: folding((state, entry) => {
      if (entry.type !== 'job.scheduled') return;
      const job = state.jobs.get(entry.jobId);
      for (const partition of Object.keys(job?.progress ?? {}))
        if (job !== undefined) job.progress[partition] = '0';
    }),
  },
];
