/**
 * `read.atomic`: a statement sees a transaction on all its tablets or not at all; and of each partition what it sees ends
 * where a committed range ends, without a gap (`version.chain` for readers).
 */
import { type Checker, type Facts, InvariantBroken } from './checker.ts';
import { rowId } from './log-rows.ts';

export function readAtomic(facts: Facts): Checker {
  const id = 'read.atomic';
  /** Committed ranges of the loaded table in journal order. */
  const commits: { txnId: number; ids: readonly string[] }[] = [];
  return {
    id,
    feEntry(entry) {
      if (entry.type !== 'txn.committed' || entry.job === undefined) return;
      if (entry.tableId !== facts.tableId) return;
      const ids = Object.entries(entry.progress).flatMap(([partition, { from, to }]) =>
        facts.kafka
          .records(Number(partition), BigInt(from), BigInt(to))
          .flatMap((message) => rowId(message) ?? []),
      );
      commits.push({ txnId: entry.txnId, ids });
    },
    snapshot({ table, ids }) {
      if (table !== 'loaded') return;
      const seen = new Set(ids);
      for (const { txnId, ids: rows } of commits) {
        const found = rows.filter((one) => seen.delete(one));
        if (found.length === 0 || found.length === rows.length) continue;
        const missing = rows.find((one) => !found.includes(one));
        throw new InvariantBroken(
          id,
          `${txnId}: row ${found[0]} is visible, ${missing} of the same transaction is not`,
        );
      }
      const [early] = seen;
      if (early !== undefined) {
        throw new InvariantBroken(id, `row ${early} is visible, and no commit has it`);
      }
    },
  };
}
