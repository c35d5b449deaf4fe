/** `gc.safe`: nothing that a vote or a rowset refers to is deleted, also not by a compaction. */
import { digestHex, digestOf } from '../../src/storage/digest.ts';
import { type BeFacts, type Checker, type Facts, InvariantBroken } from './checker.ts';
import { durablePart } from './vote-keeps.ts';

export function gcSafe(facts: Facts): Checker {
  const id = 'gc.safe';
  const check = ({ state, ...be }: BeFacts) => {
    for (const { fact } of state.parts.values()) {
      const bytes = durablePart({ state, ...be }, fact.kind, fact.partId);
      if (bytes !== undefined && digestHex(digestOf(bytes)) === fact.digest) continue;
      throw new InvariantBroken(id, `${be.name}: part ${fact.partId} is referred to, and gone`);
    }
    for (const tablet of state.tablets.values()) {
      for (const { partId, from, to } of tablet.rowsets) {
        if (partId === null || state.parts.has(partId)) continue;
        throw new InvariantBroken(
          id,
          `${be.name}: tablet ${tablet.tabletId}, versions ${from} to ${to}: part ${partId} is forgotten`,
        );
      }
    }
  };
  return {
    id,
    beEntry(be, entry) {
      if (entry.type === 'compacted' || entry.type === 'parts.removed') check(be);
    },
    end() {
      for (const be of facts.bes.values()) check(be);
    },
  };
}
