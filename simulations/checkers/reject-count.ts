/** `reject.count`: rejected rows are kept with the commit that counts them, up to the cap. */
import { voteKey } from '../../src/storage/be-facts.ts';
import { type Checker, type Facts, InvariantBroken } from './checker.ts';

const KEPT_MAX = 50;

export function rejectCount(facts: Facts): Checker {
  const id = 'reject.count';
  return {
    id,
    feEntry(entry) {
      if (entry.type !== 'txn.committed' || entry.job === undefined) return;
      const expected = Math.min(KEPT_MAX, entry.counts.filtered);
      const named = entry.rejects?.count ?? 0;
      const key = voteKey(entry.txnId, entry.attempt);
      const kept =
        entry.rejects === null
          ? 0
          : (facts.bes.get(entry.rejects.beId)?.state.rejects.get(key)?.count ?? 0);
      if (named === expected && kept === expected) return;
      throw new InvariantBroken(
        id,
        `${key}: ${entry.counts.filtered} rows were filtered, the decision names ${named} rejects, ${kept} are kept`,
      );
    },
  };
}
