/**
 * The start of a journal: the newest whole checkpoint and each entry after it (D1, J1, J3). A lost tail cannot be
 * seen from here; peers remember for each other (D4).
 */
import { DamageError, LoadError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import {
  type Checkpoint,
  listCheckpoints,
  readCheckpoint,
  removeCheckpoints,
} from './checkpoint.ts';
import type { FoldSpec } from './journal.types.ts';
import { newer, type ReadRecord, readRecord } from './journal-record.ts';
import { decodeJson } from './json-codec.ts';
import type { JournalKeys } from './keys.ts';
import type { OrderedStore } from './ordered-store.types.ts';

export interface Recovery<E extends { readonly type: string }, S> {
  readonly store: OrderedStore;
  readonly keys: JournalKeys;
  readonly spec: FoldSpec<E, S>;
  /** Its name, for errors. */
  readonly journal: string;
  /** As many empty states as the caller wants folded alike. */
  readonly folds: readonly S[];
  readonly log?: Log;
}

export interface Recovered<S> {
  readonly folds: readonly S[];
  readonly seq: number;
  readonly crc: number;
  /** The checkpoint that was used; 0: none. */
  readonly checkpoint: number;
  readonly oldestEntry: number;
  readonly bytesSince: number;
}

export async function recoverJournal<E extends { readonly type: string }, S>(
  recovery: Recovery<E, S>,
): Promise<Recovered<S>> {
  const { store, keys, spec, journal } = recovery;
  const { checkpoint, damage } = await newestWhole(recovery);
  const folds = checkpoint === undefined ? recovery.folds : load(recovery, checkpoint);
  const start = checkpoint?.seq ?? 0;
  let seq = start;
  let crc = checkpoint?.crc ?? 0;
  let bytesSince = 0;
  for await (const [key, stored] of store.range(keys.entriesFrom(start + 1))) {
    const found = keys.seqOf(key);
    if (found !== seq + 1) throw damage ?? gap(journal, seq + 1, found);
    const record = readRecord(stored, { journal, seq: found, previous: crc });
    const entry = checkEntry(recovery, record, found);
    for (const fold of folds) spec.apply(fold, entry, found);
    seq = found;
    crc = record.crc;
    bytesSince += stored.length;
  }
  // Entries up to a damaged checkpoint must have brought us at least as far as it was.
  if (damage !== undefined && seq < damage.seq) throw damage;
  if (damage !== undefined) {
    recovery.log?.write('error', 'damaged checkpoint, used the one before', {
      journal,
      damaged: damage.details.seq,
      used: start,
    });
  }
  // What a crash left half-written; its keys must not meet those of the next checkpoint (I1).
  await removeCheckpoints(store, keys, start + 1, Number.MAX_SAFE_INTEGER);
  const oldestEntry = await firstEntry(recovery, start + 1);
  return { folds, seq, crc, checkpoint: start, oldestEntry, bytesSince };
}

class CheckpointDamage extends DamageError {
  readonly seq: number;

  constructor(error: DamageError, seq: number) {
    super(error.code, error.details, error.message);
    this.seq = seq;
  }
}

async function newestWhole<E extends { readonly type: string }, S>({
  store,
  keys,
  spec,
  journal,
}: Recovery<E, S>): Promise<{ checkpoint?: Checkpoint; damage?: CheckpointDamage }> {
  let damage: CheckpointDamage | undefined;
  for (const seq of await listCheckpoints(store, keys)) {
    try {
      const checkpoint = await readCheckpoint(store, keys, { journal, seq, version: spec.version });
      return damage === undefined ? { checkpoint } : { checkpoint, damage };
    } catch (error) {
      if (!(error instanceof DamageError)) throw error;
      damage ??= new CheckpointDamage(error, seq);
    }
  }
  return damage === undefined ? {} : { damage };
}

function load<E extends { readonly type: string }, S>(
  { spec, folds }: Recovery<E, S>,
  { sections, version }: Checkpoint,
): readonly S[] {
  // Decoded for each fold anew: they must not share what they change.
  return folds.map(() => spec.load(decodeAll(sections), version));
}

function* decodeAll(sections: readonly string[]): Iterable<unknown> {
  for (const section of sections) yield decodeJson(section);
}

function checkEntry<E extends { readonly type: string }, S>(
  { spec, journal }: Recovery<E, S>,
  record: ReadRecord,
  seq: number,
): E {
  const name = `entry ${seq} of journal "${journal}"`;
  if (record.version > spec.version) {
    throw newer(name, { journal, seq }, `format version ${record.version}`);
  }
  let entry = record.entry as E;
  if (record.version < spec.version) {
    if (spec.upcast === undefined) {
      const message = `${name} has format version ${record.version}, which this program no longer reads`;
      throw new LoadError('JOURNAL_OLDER', message, {
        details: { journal, seq },
        hint: 'start the version of millrace in between first',
      });
    }
    entry = spec.upcast(entry, record.version);
  }
  if (!spec.types.includes(entry.type)) {
    throw newer(name, { journal, seq, type: entry.type }, `the type "${entry.type}"`);
  }
  return entry;
}

function gap(journal: string, expected: number, found: number): DamageError {
  const message =
    found < 0
      ? `journal "${journal}" is damaged: a key after entry ${expected - 1} is none of an entry`
      : `journal "${journal}" is damaged: entry ${expected} is missing, entry ${found} follows`;
  return new DamageError('JOURNAL_GAP', { journal, expected, found }, message);
}

async function firstEntry<E extends { readonly type: string }, S>(
  { store, keys }: Recovery<E, S>,
  fallback: number,
): Promise<number> {
  for await (const [key] of store.range({ ...keys.entriesFrom(0), limit: 1 })) {
    const seq = keys.seqOf(key);
    if (seq >= 0) return Math.min(seq, fallback);
  }
  return fallback;
}
