/** `read.checksum`, turned round: power cuts and lost messages alone damage no tablet (profile `atlas`). */
import { type Checker, type Facts, InvariantBroken } from './checker.ts';

export function damageNone(facts: Facts): Checker {
  const id = 'damage.none';
  return {
    id,
    feEntry(entry) {
      if (entry.type !== 'tablets.damaged') return;
      throw new InvariantBroken(id, `BE ${entry.beId}: ${entry.reason}`);
    },
    beEntry(be, entry) {
      if (entry.type !== 'tablets.damaged') return;
      throw new InvariantBroken(id, `${be.name}: ${entry.reason.message}`);
    },
    end() {
      for (const { name, state } of facts.bes.values()) {
        for (const [tabletId, reason] of state.damaged) {
          throw new InvariantBroken(id, `${name}: tablet ${tabletId}: ${reason.message}`);
        }
      }
    },
  };
}
