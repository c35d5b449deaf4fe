/** `progress.monotone`: no committed offset moves back, except by a recorded ALTER. */
import { type Checker, type Facts, InvariantBroken } from './checker.ts';

export function progressMonotone(facts: Facts): Checker {
  const id = 'progress.monotone';
  const before = new Map<string, bigint>();
  return {
    id,
    feEntry(entry) {
      for (const { jobId, progress } of facts.fe.jobs.values()) {
        for (const [partition, at] of Object.entries(progress)) {
          if (at.startsWith('OFFSET_')) continue;
          const key = `${jobId}/${partition}`;
          const offset = BigInt(at);
          const last = before.get(key) ?? 0n;
          const isMeant = entry.type === 'job.altered' && entry.progress[partition] !== undefined;
          const isMoved = offset !== last;
          if (offset < last && !isMeant) {
            throw new InvariantBroken(id, `${key} went from ${last} to ${at} by ${entry.type}`);
          }
          const moves = ['txn.committed', 'job.altered', 'job.scheduled', 'job.created'];
          if (isMoved && !moves.includes(entry.type)) {
            throw new InvariantBroken(id, `${key} went from ${last} to ${at} by ${entry.type}`);
          }
          before.set(key, offset);
        }
      }
    },
  };
}
