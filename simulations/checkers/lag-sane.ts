/** `lag.sane`: lag is never negative, and at the end of the log it is none, also behind control records (`live.idle`). */
import { type Checker, type Facts, InvariantBroken } from './checker.ts';

export function lagSane(_facts: Facts): Checker {
  const id = 'lag.sane';
  return {
    id,
    shown({ OffsetLag }) {
      if (OffsetLag === null || OffsetLag === undefined || OffsetLag === '') return;
      for (const [partition, lag] of Object.entries(JSON.parse(OffsetLag) as object)) {
        if (/^\d+$/.test(String(lag))) continue;
        throw new InvariantBroken(id, `partition ${partition}: a lag of ${String(lag)}`);
      }
    },
  };
}
