/** `decision.votes`: a commit has the durable vote of every participant, of a boot that is registered in this epoch (I3). */
import { voteKey } from '../../src/storage/be-facts.ts';
import { type Checker, type Facts, InvariantBroken } from './checker.ts';

export function decisionVotes(facts: Facts): Checker {
  const id = 'decision.votes';
  return {
    id,
    feEntry(entry) {
      if (entry.type !== 'txn.committed') return;
      const key = voteKey(entry.txnId, entry.attempt);
      for (const vote of entry.votes) {
        const be = facts.bes.get(vote.beId);
        const held = be?.state.votes.get(key)?.vote;
        if (be === undefined || held === undefined) {
          throw new InvariantBroken(id, `${key} is committed without a vote on BE ${vote.beId}`);
        }
        for (const field of ['digest', 'partId', 'beSeq', 'incarnation', 'bytes'] as const) {
          if (held[field] === vote[field]) continue;
          throw new InvariantBroken(
            id,
            `${key}: the decision has ${field} ${vote[field]}, the vote of ${be.name} ${held[field]}`,
          );
        }
        const fact = facts.fe.bes.get(vote.beId);
        if (fact?.incarnation !== vote.incarnation || fact.epoch !== facts.fe.epoch) {
          throw new InvariantBroken(
            id,
            `${key} counts a vote of ${be.name}'s boot ${vote.incarnation}, which is not registered in epoch ${facts.fe.epoch}`,
          );
        }
      }
      const rows = entry.votes
        .flatMap(({ tablets }) => tablets)
        .reduce((sum, one) => sum + one.rows, 0);
      if (rows !== entry.counts.loaded) {
        throw new InvariantBroken(
          id,
          `${key}: participants voted for ${rows} rows, the decision says ${entry.counts.loaded}`,
        );
      }
    },
  };
}
