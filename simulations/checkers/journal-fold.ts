/** `journal.fold`, `recover.idempotent`: what a process holds as durable is what its disk's entries fold into. */
import { isDeepStrictEqual } from 'node:util';
import type { Fe } from '../../src/actors/fe/fe.ts';
import { feFold } from '../../src/actors/fe/fe-fold.ts';
import { encodeJson } from '../../src/storage/json-codec.ts';
import { type Facts, InvariantBroken } from './checker.ts';

/** Of an FE with no write under way: after a start, and at the end. */
export function checkJournalFold(facts: Facts, fe: Fe): void {
  if (fe.durableSeq() !== facts.feSeq) return;
  const own = [...feFold.save(facts.fe)];
  const live = [...feFold.save(fe.durable)];
  for (const [i, section] of own.entries()) {
    if (isDeepStrictEqual(section, live[i])) continue;
    // Keys that are undefined here and absent there are equal in the journal.
    const [a, b] = [encodeJson(section), encodeJson(live[i])];
    if (a === b) continue;
    const at = [...a].findIndex((char, position) => char !== b[position]);
    throw new InvariantBroken(
      'journal.fold',
      `the FE's state is not what its journal folds into: …${a.slice(Math.max(0, at - 80), at + 60)}… but …${b.slice(Math.max(0, at - 80), at + 60)}…`,
    );
  }
}
