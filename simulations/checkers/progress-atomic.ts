/** `progress.atomic`: a commit moves the positions of its ranges, all of them, and no others. */
import { type Checker, type Facts, InvariantBroken } from './checker.ts';

export function progressAtomic(facts: Facts): Checker {
  const id = 'progress.atomic';
  return {
    id,
    feEntry(entry) {
      if (entry.type !== 'txn.committed' || entry.job === undefined) return;
      const job = facts.fe.jobs.get(entry.job.jobId);
      for (const [partition, { to }] of Object.entries(entry.progress)) {
        if (job?.progress[partition] === to) continue;
        throw new InvariantBroken(
          id,
          `${entry.txnId} took partition ${partition} up to ${to}, the position is ${job?.progress[partition]}`,
        );
      }
    },
  };
}
