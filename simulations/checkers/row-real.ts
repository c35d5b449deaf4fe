/** `kafka.committed`, and no invented rows: what a statement sees of the loaded table is in the log, and was committed. */
import { type Checker, type Facts, InvariantBroken } from './checker.ts';
import { logIds } from './log-rows.ts';

export function rowReal(facts: Facts): Checker {
  const id = 'kafka.committed';
  return {
    id,
    snapshot({ table, ids }) {
      if (table !== 'loaded') return;
      const real = new Set(logIds(facts.kafka, 'ever'));
      const unreal = ids.find((one) => !real.has(one));
      if (unreal !== undefined) {
        throw new InvariantBroken(id, `row ${unreal} is in no log, or in an aborted transaction`);
      }
    },
  };
}
