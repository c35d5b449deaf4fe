/** `epoch.single`, `epoch.fence`: epochs grow, BEs follow none below the last, and only the present one decides (I2, I5). */
import { type Checker, type Facts, InvariantBroken } from './checker.ts';

const IDS_PER_EPOCH = 1_000_000_000;

export function epochSingle(_facts: Facts): Checker {
  const id = 'epoch.single';
  let epoch = 0;
  const promised = new Map<string, number>();
  return {
    id,
    feEntry(entry) {
      if (entry.type === 'epoch.opened') {
        if (entry.epoch <= epoch) {
          throw new InvariantBroken(id, `epoch ${entry.epoch} is opened after ${epoch}`);
        }
        epoch = entry.epoch;
      }
      if (entry.type !== 'txn.committed') return;
      if (Math.floor(entry.txnId / IDS_PER_EPOCH) !== epoch) {
        throw new InvariantBroken('epoch.fence', `${entry.txnId} is decided in epoch ${epoch}`);
      }
    },
    beEntry(be, entry) {
      if (entry.type !== 'promised') return;
      const before = promised.get(be.name) ?? 0;
      if (entry.fe.epoch < before) {
        throw new InvariantBroken(id, `${be.name} follows ${entry.fe.epoch} after ${before}`);
      }
      promised.set(be.name, entry.fe.epoch);
    },
  };
}
