/**
 * `version.chain`: versions of a tablet grow by one, become visible in that order, and each BE publishes a transaction under
 * the versions that its decision gave it.
 */
import { type Checker, type Facts, InvariantBroken } from './checker.ts';

export function versionChain(facts: Facts): Checker {
  const id = 'version.chain';
  const committed = new Map<number, number>();
  const visible = new Map<number, number>();
  /** Transaction → tablet → version. */
  const given = new Map<number, ReadonlyMap<number, number>>();
  const next = (of: Map<number, number>, tabletId: number, version: number, what: string) => {
    const before = of.get(tabletId) ?? 1;
    if (version !== before + 1) {
      throw new InvariantBroken(
        id,
        `tablet ${tabletId}: version ${version} is ${what} after ${before}`,
      );
    }
    of.set(tabletId, version);
  };
  return {
    id,
    feEntry(entry) {
      if (entry.type === 'txn.committed') {
        for (const { tabletId, version } of entry.versions) {
          next(committed, tabletId, version, 'committed');
        }
        given.set(
          entry.txnId,
          new Map(entry.versions.map(({ tabletId, version }) => [tabletId, version])),
        );
      } else if (entry.type === 'txn.visible') {
        const versions = given.get(entry.txnId);
        if (versions === undefined) {
          throw new InvariantBroken(id, `${entry.txnId} is visible and was never committed`);
        }
        for (const [tabletId, version] of versions) {
          // Of a tablet that was dropped or damaged meanwhile nobody waits (V4).
          const tablet = facts.fe.tablets.get(tabletId);
          if (tablet === undefined || tablet.damaged !== null) continue;
          next(visible, tabletId, version, 'visible');
          if (tablet.visible !== version) {
            throw new InvariantBroken(
              id,
              `tablet ${tabletId} shows ${tablet.visible} after version ${version} became visible`,
            );
          }
        }
      }
      for (const tablet of facts.fe.tablets.values()) {
        if (tablet.visible <= (visible.get(tablet.tabletId) ?? 1)) continue;
        throw new InvariantBroken(
          id,
          `tablet ${tablet.tabletId} shows ${tablet.visible}, and no entry made it visible`,
        );
      }
    },
    beEntry(be, entry) {
      if (entry.type !== 'published') return;
      for (const { tabletId, version } of entry.rowsets) {
        if (given.get(entry.txnId)?.get(tabletId) === version) continue;
        throw new InvariantBroken(
          id,
          `${be.name} published ${entry.txnId} as version ${version} of tablet ${tabletId}, the decision says ${given.get(entry.txnId)?.get(tabletId)}`,
        );
      }
    },
  };
}
