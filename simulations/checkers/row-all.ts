/** `row.all`: once everything is healed, each row of the logs that was to be loaded is there. */
import { type Checker, type Facts, InvariantBroken, type Snapshot } from './checker.ts';
import { logIds } from './log-rows.ts';

export function rowAll(facts: Facts): Checker {
  const id = 'row.all';
  let last: Snapshot | undefined;
  return {
    id,
    snapshot(snapshot) {
      if (snapshot.table === 'loaded') last = snapshot;
    },
    end() {
      const there = new Set(last?.ids);
      const missing = logIds(facts.kafka, 'there').filter((one) => !there.has(one));
      if (missing.length === 0) return;
      throw new InvariantBroken(id, `${missing.length} rows are missing, the first ${missing[0]}`);
    },
  };
}
