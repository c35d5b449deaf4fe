/** `label.once`: at most one committed transaction a database and label, while the label is remembered. */
import { type Checker, type Facts, InvariantBroken } from './checker.ts';

export function labelOnce(_facts: Facts): Checker {
  const id = 'label.once';
  const used = new Map<string, number>();
  const byTxn = new Map<number, string>();
  return {
    id,
    feEntry(entry) {
      if (entry.type === 'labels.forgotten') {
        for (const txnId of entry.txnIds) used.delete(byTxn.get(txnId) ?? '');
      }
      if (entry.type !== 'txn.committed') return;
      const key = `${entry.dbId}/${entry.label}`;
      const before = used.get(key);
      if (before !== undefined) {
        throw new InvariantBroken(id, `${before} and ${entry.txnId} are committed as ${key}`);
      }
      used.set(key, entry.txnId);
      byTxn.set(entry.txnId, key);
    },
  };
}
