/**
 * `rows.balance`: of each committed range every record of the log is in exactly one class: loaded, filtered, or empty;
 * nothing of an aborted transaction, and nothing that the log does not have.
 */
import { type Checker, type Facts, InvariantBroken } from './checker.ts';
import { isBad } from './log-rows.ts';

export function rowsBalance(facts: Facts): Checker {
  const id = 'rows.balance';
  return {
    id,
    feEntry(entry) {
      if (entry.type !== 'txn.committed' || entry.job === undefined) return;
      const expected = { loaded: 0, filtered: 0, empty: 0 };
      for (const [partition, { from, to }] of Object.entries(entry.progress)) {
        for (const record of facts.kafka.records(Number(partition), BigInt(from), BigInt(to))) {
          if (!record.committed) continue;
          if (record.value === null) expected.empty += 1;
          else if (isBad(record.value)) expected.filtered += 1;
          else expected.loaded += 1;
        }
      }
      for (const kind of ['loaded', 'filtered', 'empty'] as const) {
        if (entry.counts[kind] === expected[kind]) continue;
        throw new InvariantBroken(
          id,
          `${entry.txnId} says ${kind} ${entry.counts[kind]}, its ranges hold ${expected[kind]}: ${JSON.stringify(entry.progress)}`,
        );
      }
    },
  };
}
