/** What all invariants share: their place in the list, and what they are told as it happens. */
import type { FeEntry, FeState } from '../../src/actors/fe/fe-facts.ts';
import type { BeEntry, BeState } from '../../src/storage/be-facts.ts';
import type { Disk } from '../world/disk.ts';
import type { SimKafka } from '../world/kafka.ts';

export class InvariantBroken extends Error {
  readonly invariant: string;

  constructor(invariant: string, what: string) {
    super(`${invariant}: ${what}`);
    this.invariant = invariant;
  }
}

/** A BE as its disk tells it. */
export interface BeFacts {
  readonly name: string;
  readonly disk: Disk;
  readonly state: BeState;
}

/** What is durable, read from the disks themselves: no process is asked. */
export interface Facts {
  readonly kafka: SimKafka;
  readonly fe: FeState;
  readonly feSeq: number;
  /** By the BE's id. */
  readonly bes: ReadonlyMap<string, BeFacts>;
  /** Rows of the table that the job loads. */
  readonly tableId: number;
}

/** Rows of one statement's snapshot, `p<partition>r<n>` or `<label>#<n>` each. */
export interface Snapshot {
  /** When the statement was sent: what was answered before that, it must show. */
  readonly sentAt: number;
  /** When its rows were there. Both count what clients did, so that no two are equal. */
  readonly seenAt: number;
  readonly table: 'loaded' | 'inserted';
  readonly ids: readonly string[];
  /** The value beside each id. */
  readonly values: readonly (string | null)[];
}

/** How an INSERT under a label ended for its client. */
export interface InsertAnswer {
  readonly label: string;
  readonly ids: readonly string[];
  /** `used`: the label is taken, so an earlier try was committed. */
  readonly kind: 'asked' | 'ok' | 'committed' | 'used' | 'refused' | 'unknown';
  readonly at: number;
}

export interface Checker {
  /** Its name in the list of invariants. */
  readonly id: string;
  /** After the entry became durable and `facts.fe` has it. */
  feEntry?(entry: FeEntry, seq: number): void;
  beEntry?(be: BeFacts, entry: BeEntry): void;
  snapshot?(snapshot: Snapshot): void;
  answer?(answer: InsertAnswer): void;
  /** SHOW ROUTINE LOAD's row, by column. */
  shown?(job: Readonly<Record<string, string | null>>): void;
  /** Once everything is healed and settled. */
  end?(): void;
}
