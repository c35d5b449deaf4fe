/** `progress.atomic`, the participants' half: what is shown as visible has been published by everyone who voted (V1). */

import type { CommitEntry } from '../../src/actors/fe/fe-facts.ts';
import { voteKey } from '../../src/storage/be-facts.ts';
import { type Checker, type Facts, InvariantBroken } from './checker.ts';

export function visibleAcknowledged(facts: Facts): Checker {
  const id = 'progress.atomic';
  const commits = new Map<number, CommitEntry>();
  return {
    id,
    feEntry(entry) {
      if (entry.type === 'txn.committed') commits.set(entry.txnId, entry);
      if (entry.type !== 'txn.visible') return;
      const commit = commits.get(entry.txnId);
      commits.delete(entry.txnId);
      if (commit === undefined) return;
      const key = voteKey(commit.txnId, commit.attempt);
      for (const { beId, tablets } of commit.votes) {
        const isGiven = tablets.every(({ tabletId }) => {
          const tablet = facts.fe.tablets.get(tabletId);
          return tablet === undefined || tablet.damaged !== null;
        });
        if (isGiven || facts.bes.get(beId)?.state.outcomes.get(key) === 'published') continue;
        throw new InvariantBroken(id, `${key} is visible, and BE ${beId} has not published it`);
      }
    },
  };
}
