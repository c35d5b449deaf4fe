/** `range.tiling`: committed ranges of a partition touch and never overlap; only a recorded statement skips a stretch. */
import { type Checker, type Facts, InvariantBroken } from './checker.ts';

export function rangeTiling(_facts: Facts): Checker {
  const id = 'range.tiling';
  const next = new Map<string, string>();
  const set = (jobId: number, progress: Readonly<Record<string, string>>) => {
    for (const [partition, at] of Object.entries(progress)) {
      const key = `${jobId}/${partition}`;
      // A division writes down where each partition stands; it resolves symbols, and moves nothing.
      next.set(key, at);
    }
  };
  return {
    id,
    feEntry(entry) {
      if (entry.type === 'job.created' || entry.type === 'job.altered') {
        set(entry.jobId, entry.progress);
      }
      if (entry.type === 'job.scheduled') {
        for (const [partition, at] of Object.entries(entry.progress)) {
          const before = next.get(`${entry.jobId}/${partition}`);
          if (before !== undefined && !before.startsWith('OFFSET_') && before !== at) {
            throw new InvariantBroken(
              id,
              `partition ${partition}: a division moves the position from ${before} to ${at}`,
            );
          }
        }
        set(entry.jobId, entry.progress);
      }
      if (entry.type !== 'txn.committed' || entry.job === undefined) return;
      for (const [partition, { from, to }] of Object.entries(entry.progress)) {
        const key = `${entry.job.jobId}/${partition}`;
        const expected = next.get(key);
        if (expected !== from || BigInt(to) < BigInt(from)) {
          throw new InvariantBroken(
            id,
            `partition ${partition}: ${entry.txnId} takes ${from} to ${to}, and ${expected} is next`,
          );
        }
        next.set(key, to);
      }
    },
  };
}
