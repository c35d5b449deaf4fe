/**
 * Follows what disks were made to keep, entry by entry, in folds of its own: what a process says about itself is not
 * believed. The chain of each journal is checked on the way.
 */
import type { FeEntry, FeState } from '../../src/actors/fe/fe-facts.ts';
import { feFold } from '../../src/actors/fe/fe-fold.ts';
import type { BeEntry } from '../../src/storage/be-facts.ts';
import { beFold } from '../../src/storage/be-journal.ts';
import type { FoldSpec } from '../../src/storage/journal.types.ts';
import { readRecord } from '../../src/storage/journal-record.ts';
import { JournalKeys } from '../../src/storage/keys.ts';
import { type Disk, journalLetter } from '../world/disk.ts';
import type { SimKafka } from '../world/kafka.ts';
import { type BeFacts, type Facts, InvariantBroken } from './checker.ts';

/** One journal as its disk has it. */
class Followed<E extends { readonly type: string }, S> {
  readonly state: S;
  seq = 0;
  #crc = 0;
  readonly #spec: FoldSpec<E, S>;
  readonly #name: 'fe' | 'be';
  readonly #keys: JournalKeys;

  constructor(name: 'fe' | 'be', spec: FoldSpec<E, S>) {
    this.#name = name;
    this.#keys = new JournalKeys(`${name}/`);
    this.#spec = spec;
    this.state = spec.empty();
  }

  /** The entry of one write, folded; `undefined`: the key is none of an entry. */
  take(key: Uint8Array, value: Uint8Array): E | undefined {
    if (journalLetter(key) !== 'e' || !this.#keys.owns(key)) return undefined;
    const seq = this.#keys.seqOf(key);
    if (seq !== this.seq + 1) {
      throw new InvariantBroken(
        'ack.durable',
        `entry ${seq} of journal "${this.#name}" is written after entry ${this.seq}: what was durable is written anew, or skipped`,
      );
    }
    const expected = { journal: this.#name, seq, previous: this.#crc };
    const { entry, crc } = readRecord(value, expected);
    this.#spec.apply(this.state, entry as E, seq);
    this.seq = seq;
    this.#crc = crc;
    return entry as E;
  }
}

export interface FactListener {
  feEntry(entry: FeEntry, seq: number): void;
  beEntry(be: BeFacts, entry: BeEntry): void;
  /** The journal itself is not what it must be. */
  broke(error: unknown): void;
}

export class FollowedFacts implements Facts {
  readonly kafka: SimKafka;
  readonly bes = new Map<string, BeFacts>();
  readonly #fe = new Followed('fe', feFold);
  tableId = 0;

  constructor(kafka: SimKafka) {
    this.kafka = kafka;
  }

  get fe(): FeState {
    return this.#fe.state;
  }

  get feSeq(): number {
    return this.#fe.seq;
  }

  followFe(disk: Disk, listener: FactListener): void {
    follow(disk, listener, (key, value) => {
      const entry = this.#fe.take(key, value);
      if (entry === undefined) return;
      if (entry.type === 'table.created' && entry.table.name === 't') {
        this.tableId = entry.table.tableId;
      }
      listener.feEntry(entry, this.#fe.seq);
    });
  }

  followBe(name: string, disk: Disk, listener: FactListener): void {
    const journal = new Followed('be', beFold);
    const facts: BeFacts = { name, disk, state: journal.state };
    follow(disk, listener, (key, value) => {
      const entry = journal.take(key, value);
      if (entry === undefined) return;
      if (entry.type === 'created') this.bes.set(entry.beId, facts);
      listener.beEntry(facts, entry);
    });
  }
}

/** What breaks here must not look like a write that failed. */
function follow(
  disk: Disk,
  listener: FactListener,
  put: (key: Uint8Array, value: Uint8Array) => void,
): void {
  disk.onDurable = (ops) => {
    try {
      for (const op of ops) if (op.type === 'put') put(op.key, op.value);
    } catch (error) {
      listener.broke(error);
    }
  };
}
