/**
 * What FE and BEs say to each other: plain JSON of at most 256 KiB (PROTOCOL.md T2). Each message carries the sender's
 * present identity; a receiver compares before it acts (I5). Rows and large parts go by the part store.
 *
 * Requests to the FE:   fe.hello (whichever FE is there), then fe.<incarnation>.<verb>: register, beat, ask, data
 * Requests to a BE:     be.<beId>.<incarnation>.<verb>, verbs: task-run, insert-run, stage, publish, abort,
 *                       pin, unpin, query-run, query-next, query-close, rejects, kafka-look, kafka-watch, claim, ping
 */

import type { SqlType } from '../base/sql-type.ts';
import type { TableSchema, TabletRef } from '../base/table-schema.ts';
import type {
  BuiltPart,
  ColumnSource,
  EvalContext,
  PartInput,
  ResultColumn,
} from '../engine/engine.types.ts';
import type { Format, SourceField } from '../formats/decode.types.ts';
import type { PartRef } from '../protocol/bus.types.ts';
import type { KafkaConfig } from '../sources/kafka/kafka.types.ts';
import type { Expr } from '../sql/ast/expr.ts';
import type { Select } from '../sql/ast/select.ts';
import type {
  FeIdentity,
  StoredReject,
  TabletState,
  Vote,
  VotedTablet,
} from '../storage/tablet-store.types.ts';
import type { LoadCounts } from './fe/fe-facts.ts';

/** The FE that speaks, with its last durable sequence (D4). In every message of the FE. */
export interface FeStamp extends FeIdentity {
  readonly seq: number;
}

export function beSubject(beId: string, incarnation: string, verb: string): string {
  return `be.${beId}.${incarnation}.${verb}`;
}

/** Of one FE, so that its twin on a copied directory does not answer for it; `hello` exists without one as well. */
export function feSubject(incarnation: string, verb: string): string {
  return `fe.${incarnation}.${verb}`;
}

/** A new FE tells each BE of its journal that it is there. `seq`: where its journal ended before its own epoch. */
export interface ClaimRequest {
  readonly claimant: FeStamp;
}

export interface ClaimReply {
  /** Why this BE does not follow it. */
  readonly refused: string | null;
}

// ── Registration (I2–I4), asked by the BE ─────────────────────────────────────────────────────────────────

export interface HelloRequest {
  readonly beId: string;
  readonly incarnation: string;
  readonly name: string;
  readonly beSeq: number;
  /** The FE that this BE promised itself to, with the highest sequence seen. */
  readonly promise: (FeIdentity & { readonly feSeq: number }) | null;
}

export interface HelloReply {
  readonly fe: FeStamp;
  readonly clusterId: string;
  /** The FE's journal holds the (epoch, incarnation) of the promise; without it the BE refuses this FE (I2). */
  readonly knowsPromise: boolean;
  /** The FE refuses this BE, e.g. dropped, or itself behind: why. */
  readonly refused?: string;
  /** A user took the loss of what this BE has seen and the FE has not (`--accept-loss`): the loss is journaled. */
  readonly lossAccepted?: boolean;
}

/** Sent once the promise is durable. */
export interface RegisterRequest extends HelloRequest {
  readonly inDoubt: readonly { readonly txnId: number; readonly attempt: number }[];
  readonly tablets: readonly Pick<TabletState, 'tabletId' | 'version'>[];
}

export type Outcome =
  | {
      readonly kind: 'committed';
      readonly attempt: number;
      readonly versions: readonly { readonly tabletId: number; readonly version: number }[];
    }
  | { readonly kind: 'undecided' }
  | { readonly kind: 'aborted' };

export interface RegisterReply {
  readonly fe: FeStamp;
  readonly outcomes: readonly { readonly txnId: number; readonly outcome: Outcome }[];
  /** Tablets that this BE holds and the FE has not. */
  readonly drop: readonly number[];
  /** Tablets that this BE holds below the version that the FE's facts demand (D4). */
  readonly damaged: readonly { readonly tabletId: number; readonly reason: string }[];
  readonly beatMs: number;
}

export interface BeatRequest {
  readonly beId: string;
  readonly incarnation: string;
  readonly epoch: number;
  readonly beSeq: number;
}

/** `register`: this FE does not know the incarnation: start anew from hello. */
export interface BeatReply {
  readonly fe: FeStamp;
  readonly register: boolean;
  /** Schemas for compaction: tables with tablets on this BE. */
  readonly drop: readonly number[];
}

export interface AskRequest {
  readonly beId: string;
  readonly incarnation: string;
  readonly txnIds: readonly number[];
}

export interface AskReply {
  readonly fe: FeStamp;
  readonly outcomes: readonly { readonly txnId: number; readonly outcome: Outcome }[];
}

// ── Loads ─────────────────────────────────────────────────────────────────────────────────────────────────

/** A tablet with the BE that keeps it and how to reach it. */
export interface PlacedTablet extends TabletRef {
  readonly incarnation: string;
}

/** What a load does with source fields: part of task-run and insert-run. */
export interface TransformSpec {
  readonly schema: TableSchema;
  readonly sources: readonly ColumnSource[];
  readonly where?: Expr;
  readonly strict: boolean;
  readonly context: EvalContext;
}

export interface LoadTarget {
  readonly tableId: number;
  readonly buckets: number;
  /** One per bucket, in order. */
  readonly tablets: readonly PlacedTablet[];
}

export interface TaskRunRequest {
  readonly fe: FeStamp;
  readonly txnId: number;
  readonly attempt: number;
  readonly label: string;
  readonly kafka: KafkaConfig;
  readonly topic: string;
  readonly groupId: string;
  readonly ranges: readonly { readonly partition: number; readonly from: string }[];
  readonly limits: {
    readonly bytesMax: number;
    readonly consumeMs: number;
  };
  readonly format: Format;
  readonly fields: readonly SourceField[];
  readonly transform: TransformSpec;
  readonly target: LoadTarget;
  /** Rejects kept at most; the counts go on. */
  readonly rejectsMax: number;
}

export type TaskRunReply =
  /** Nothing was consumed and no position moved: nothing was staged. */
  | { readonly kind: 'empty' }
  | {
      readonly kind: 'staged';
      readonly votes: readonly Vote[];
      readonly progress: Readonly<Record<string, { readonly from: string; readonly to: string }>>;
      readonly timestamps: Readonly<Record<string, number>>;
      /** When its records were produced, as quantiles from the oldest to the newest; empty where that is not known. */
      readonly producedMs: readonly number[];
      readonly counts: LoadCounts;
      readonly rejects: { readonly beId: string; readonly count: number } | null;
      /** The end of each partition as seen last. */
      readonly ends: Readonly<Record<string, string>>;
    };

export interface InsertRunRequest {
  readonly fe: FeStamp;
  readonly txnId: number;
  readonly attempt: number;
  readonly label: string;
  readonly rows: /** A column-codec batch whose columns are VARCHAR texts, one per name. */
    | { readonly kind: 'batch'; readonly names: readonly string[]; readonly bytes: BytesRef }
    | {
        readonly kind: 'query';
        readonly query: QueryRunRequest;
        readonly names: readonly string[];
      };
  readonly transform: TransformSpec;
  readonly target: LoadTarget;
}

/** counts and votes as a task's; progress is empty. */
export type InsertRunReply = Extract<TaskRunReply, { kind: 'staged' }>;

/** Bytes inside a message up to 64 KiB, else by the part store. */
export type BytesRef =
  | { readonly kind: 'inline'; readonly base64: string }
  | { readonly kind: 'part'; readonly ref: PartRef };

export interface StageMessage {
  readonly fe: FeStamp;
  readonly txnId: number;
  readonly attempt: number;
  readonly label: string;
  readonly schema: TableSchema;
  readonly tableId: number;
  readonly rows: number;
  readonly tablets: readonly Pick<VotedTablet, 'tabletId' | 'rows'>[];
  readonly ranges?: NonNullable<BuiltPart['ranges']>;
  readonly data:
    | BytesRef
    | { readonly kind: 'file'; readonly path: string; readonly length: number };
}

export interface PublishMessage {
  readonly fe: FeStamp;
  readonly txnId: number;
  readonly attempt: number;
  readonly versions: readonly { readonly tabletId: number; readonly version: number }[];
}

export interface PublishReply {
  readonly beSeq: number;
  /** The most rowsets that one of the published tablets has: how far compaction is behind. */
  readonly rowsets: number;
}

export interface AbortMessage {
  readonly fe: FeStamp;
  readonly txnId: number;
  readonly attempt: number;
}

// ── Queries ───────────────────────────────────────────────────────────────────────────────────────────────

export type QueryTableSpec =
  | {
      readonly kind: 'stored';
      readonly db: string;
      readonly name: string;
      readonly schema: TableSchema;
      readonly tablets: readonly (PlacedTablet & { readonly version: number })[];
    }
  | {
      readonly kind: 'rows';
      readonly db: string;
      readonly name: string;
      readonly columns: readonly { readonly name: string; readonly type: SqlType }[];
      readonly bytes: BytesRef;
    };

export interface QueryRunRequest {
  readonly fe: FeStamp;
  readonly queryId: string;
  readonly select: Select;
  readonly context: EvalContext;
  readonly tables: readonly QueryTableSpec[];
}

/** The next rows of a result, and whether there are more behind them: a small result is one answer. */
export interface QueryPiece {
  readonly bytes: BytesRef | null;
  readonly isLast: boolean;
}

export interface QueryRunReply {
  readonly columns: readonly ResultColumn[];
  readonly first: QueryPiece;
}

/** `query-close` and `unpin`. */
export interface QueryEndRequest {
  readonly queryId: string;
}

export interface QueryNextRequest extends QueryEndRequest {
  /** From 1, the piece behind the first: a repeated request gets what it asked for, not what is behind it. */
  readonly seq: number;
}

/** Asked by the coordinating BE of the others. */
export interface PinRequest {
  readonly queryId: string;
  readonly tablets: readonly { readonly tabletId: number; readonly version: number }[];
  /** Who runs the query: once it is gone, so is the pin (V3). */
  readonly coordinator?: { readonly beId: string; readonly incarnation: string };
  /** Of the tablets' table, for compaction. */
  readonly schema?: TableSchema;
}

export interface PinReply {
  /** The parts as JSON, where very many of them would outgrow a message (T2); `parts` is empty then. */
  readonly packed?: BytesRef;
  readonly parts: readonly {
    readonly partId: string;
    readonly merged: boolean;
    readonly tablets: PartInput['tablets'];
    readonly rows?: number;
    readonly ranges?: NonNullable<PartInput['ranges']>;
    readonly data:
      | BytesRef
      | { readonly kind: 'file'; readonly path: string; readonly length: number };
  }[];
}

/** Asked of a coordinator by those who hold pins for it. */
export interface QueryAliveRequest {
  readonly queryIds: readonly string[];
}

export interface QueryAliveReply {
  readonly alive: readonly string[];
}

// ── Kafka look-ups and rejects ────────────────────────────────────────────────────────────────────────────

export interface KafkaLookRequest {
  readonly kafka: KafkaConfig;
  readonly topic: string;
  /** Partition ids, and for `offsets` the positions asked. */
  readonly partitions?: readonly number[];
  readonly want: readonly ('partitions' | 'beginning' | 'end')[];
}

export interface KafkaLookReply {
  readonly partitions: readonly number[];
  readonly beginning: Readonly<Record<string, string>>;
  readonly end: Readonly<Record<string, string>>;
}

/** What a BE watches for a job from now on: in place of what it watched before, unless that has a higher `seq`. */
export interface KafkaWatchJob {
  readonly jobId: number;
  /** Grows with every message about the job of one FE. */
  readonly seq: number;
  readonly topic: string;
  /** Partitions of the topic that the FE knows of; null: a pinned list, to which none is added. */
  readonly known: number | null;
  /** Positions behind which there was nothing, by partition. */
  readonly offsets: Readonly<Record<string, string>>;
}

export interface KafkaWatchRequest {
  readonly fe: FeStamp;
  /** Null where nothing is to be watched. */
  readonly kafka: KafkaConfig | null;
  readonly jobs: readonly KafkaWatchJob[];
  readonly drop: readonly { readonly jobId: number; readonly seq: number }[];
}

/** A hint alone: a lost or repeated one changes nothing but the time of the next task. */
export interface KafkaHint {
  readonly jobId: number;
  /** Ends of the log beyond the positions watched, by partition. These are watched no more. */
  readonly ends: Readonly<Record<string, string>>;
  /** Something else is new: the FE looks for itself. */
  readonly look: boolean;
}

export interface KafkaDataRequest {
  readonly beId: string;
  readonly hints: readonly KafkaHint[];
}

export interface KafkaDataReply {
  /** Jobs that the FE does not watch: they are dropped. */
  readonly gone: readonly number[];
}

export interface RejectsRequest {
  readonly txnId: number;
}

export interface RejectsReply {
  readonly rejects: readonly StoredReject[];
}
