/** `vote.keeps`: from its vote on a participant keeps what it voted for, so that a power cut leaves it (D5). */
import { digestHex, digestOf } from '../../src/storage/digest.ts';
import { partKey } from '../../src/storage/keys.ts';
import { type BeFacts, type Checker, type Facts, InvariantBroken } from './checker.ts';

/** The durable bytes of a part, wherever the BE keeps it. */
export function durablePart(be: BeFacts, kind: 'inline' | 'file', partId: string) {
  if (kind === 'file') return be.disk.durableFile(`/${be.name}/parts/${partId}.parquet`);
  return be.disk.durableValue(partKey(partId));
}

export function voteKeeps(facts: Facts): Checker {
  const id = 'vote.keeps';
  const check = (be: BeFacts, partId: string, when: string) => {
    const part = be.state.parts.get(partId)?.fact;
    if (part === undefined) throw new InvariantBroken(id, `${be.name} forgot part ${partId}`);
    const bytes = durablePart(be, part.kind, partId);
    if (bytes === undefined || digestHex(digestOf(bytes)) !== part.digest) {
      const state = bytes === undefined ? 'not durable' : 'not what was voted for';
      throw new InvariantBroken(id, `${be.name}: part ${partId} is ${state} ${when}`);
    }
  };
  return {
    id,
    beEntry(be, entry) {
      if (entry.type === 'voted' && entry.part?.kind === 'file') {
        check(be, entry.part.partId, 'at its vote');
      }
    },
    feEntry(entry) {
      if (entry.type !== 'txn.committed') return;
      for (const { beId, partId } of entry.votes) {
        const be = facts.bes.get(beId);
        if (be !== undefined && partId !== null) check(be, partId, 'at its decision');
      }
    },
  };
}
