/** What a BE's journal tells (be-journal.ts folds it). Plain JSON throughout. */
import type { ErrorData } from '../base/errors.ts';
import type { ColumnRange } from '../engine/engine.types.ts';
import type { FeIdentity, TxnId, Vote } from './tablet-store.types.ts';

/**
 * The version of a tablet that was never loaded; the first load makes the next one. The FE's catalog begins with
 * the same number.
 */
export const EMPTY_VERSION = 1;

/** Immutable bytes that rowsets refer to; a file is `parts/<partId>.parquet`. */
export interface PartFact {
  readonly partId: string;
  readonly kind: 'inline' | 'file';
  readonly length: number;
  /** CRC32C of all its bytes, eight hex digits. */
  readonly digest: string;
  readonly rows: number;
  readonly tableId: number;
  readonly schemaId: number;
  /** The ids of the schema's columns, in the part's order (P2). */
  readonly fieldIds: readonly number[];
  readonly merged: boolean;
  /** Absent: inline, or written before there were any; nothing is known then. */
  readonly ranges?: readonly ColumnRange[];
}

export interface RejectsFact {
  readonly txnId: TxnId;
  readonly attempt: number;
  readonly count: number;
  readonly length: number;
  readonly digest: string;
}

/** Rows of one tablet that became visible with the versions from … to. */
export interface RowsetFact {
  readonly from: number;
  readonly to: number;
  readonly rows: number;
  /** `null`: no row of the tablet in these versions. */
  readonly partId: string | null;
}

export type BeEntry =
  | { readonly type: 'created'; readonly beId: string; readonly atMs: number }
  | { readonly type: 'promised'; readonly fe: FeIdentity; readonly feSeq: number }
  | {
      readonly type: 'voted';
      readonly vote: Vote;
      readonly label: string;
      readonly part: PartFact | null;
      readonly rejects: RejectsFact | null;
      readonly feSeq: number;
    }
  | {
      readonly type: 'published';
      readonly txnId: TxnId;
      readonly attempt: number;
      readonly rowsets: readonly {
        readonly tabletId: number;
        readonly tableId: number;
        readonly version: number;
        readonly rows: number;
        readonly partId: string | null;
      }[];
      readonly feSeq: number;
    }
  | {
      readonly type: 'aborted';
      readonly txnId: TxnId;
      readonly attempt: number;
      /** Rejects of older aborted transactions that make room. */
      readonly forgotten: readonly { readonly txnId: TxnId; readonly attempt: number }[];
    }
  | { readonly type: 'tablets.dropped'; readonly tabletIds: readonly number[] }
  | {
      readonly type: 'tablets.damaged';
      readonly tabletIds: readonly number[];
      readonly reason: ErrorData;
    }
  | {
      readonly type: 'compacted';
      readonly part: PartFact | null;
      readonly tablets: readonly {
        readonly tabletId: number;
        readonly from: number;
        readonly to: number;
        readonly rows: number;
      }[];
      readonly atMs: number;
    }
  /** Rowsets that a compaction covered at or before `untilMs` go. */
  | {
      readonly type: 'covered.dropped';
      readonly tabletIds: readonly number[];
      readonly untilMs: number;
    }
  /** The bytes of parts that nothing refers to are gone. */
  | { readonly type: 'parts.removed'; readonly partIds: readonly string[] }
  | {
      readonly type: 'rejects.forgotten';
      readonly rejects: readonly { readonly txnId: TxnId; readonly attempt: number }[];
    };

export interface VoteFact {
  readonly vote: Vote;
  readonly label: string;
  /** Tablets that were dropped since: a publish leaves them out. */
  readonly dropped: number[];
}

export interface CoveredRowset extends RowsetFact {
  readonly atMs: number;
}

export interface TabletFact {
  readonly tabletId: number;
  readonly tableId: number;
  /** The highest version published without a gap. */
  version: number;
  /** Ascending, not overlapping; behind a gap those that came ahead of it. */
  rowsets: RowsetFact[];
  /** What was compacted away and is still readable beside the merged rowset (V3). */
  covered: CoveredRowset[];
}

export interface PartState {
  readonly fact: PartFact;
  /** Rowsets that refer to it, and one for the vote that holds it. */
  refs: number;
}

export interface BeState {
  beId: string;
  promise: FeIdentity | null;
  feSeq: number;
  /** By `voteKey`. */
  readonly votes: Map<string, VoteFact>;
  readonly parts: Map<string, PartState>;
  /** Parts that nothing refers to and whose bytes are still there. */
  readonly unused: Map<string, PartFact>;
  readonly tablets: Map<number, TabletFact>;
  readonly damaged: Map<number, ErrorData>;
  readonly rejects: Map<string, RejectsFact & { readonly aborted: boolean }>;
  /** How transactions ended, the last ten thousand: for messages that arrive twice. */
  readonly outcomes: Map<string, 'published' | 'aborted'>;
}

export const voteKey = (txnId: TxnId, attempt: number): string => `${txnId}/${attempt}`;
