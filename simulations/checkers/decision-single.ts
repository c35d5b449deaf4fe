/** `decision.single`: one decision a transaction, never changed; no participant ever acts on the other one. */
import { voteKey } from '../../src/storage/be-facts.ts';
import { type Checker, type Facts, InvariantBroken } from './checker.ts';

export function decisionSingle(_facts: Facts): Checker {
  const id = 'decision.single';
  const committed = new Set<string>();
  const aborted = new Set<string>();
  return {
    id,
    feEntry(entry) {
      if (entry.type !== 'txn.committed') return;
      const key = voteKey(entry.txnId, entry.attempt);
      if (committed.has(key)) throw new InvariantBroken(id, `${key} is committed a second time`);
      if (aborted.has(key)) {
        throw new InvariantBroken(id, `${key} is committed, and a participant has aborted it`);
      }
      committed.add(key);
    },
    beEntry(be, entry) {
      if (entry.type === 'published') {
        const key = voteKey(entry.txnId, entry.attempt);
        if (!committed.has(key)) {
          throw new InvariantBroken(id, `${be.name} published ${key}, which is not committed`);
        }
      } else if (entry.type === 'aborted') {
        const key = voteKey(entry.txnId, entry.attempt);
        if (committed.has(key)) {
          throw new InvariantBroken(id, `${be.name} aborted ${key}, which is committed`);
        }
        aborted.add(key);
      }
    },
  };
}
