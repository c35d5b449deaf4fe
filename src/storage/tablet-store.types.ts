/**
 * The participant's half of two-phase commit on one BE (PROTOCOL.md D, I, C, V, P): staged parts, votes,
 * decisions, versions, reads, compaction, orphans. One instance per BE directory.
 *
 *   S1. One change of state is one entry: after a crash all of it is there, or none.
 *   S2. Every step may arrive twice; the second time changes nothing.
 *   S3. A rowset is readable from the publish of its version on, never before.
 */
import type { ErrorData } from '../base/errors.ts';
import type { TableSchema } from '../base/table-schema.ts';
import type { BuiltPart, PartInput } from '../engine/engine.types.ts';

export type TxnId = number;

export interface FeIdentity {
  readonly epoch: number;
  /** Random, made when the epoch was opened. */
  readonly incarnation: string;
}

/** A tablet's rows in a vote. */
export interface VotedTablet {
  readonly tabletId: number;
  readonly tableId: number;
  readonly schemaId: number;
  readonly rows: number;
}

/** A BE's durable "yes" (PROTOCOL.md C1). Plain JSON; sent to the FE and kept in its commit entry. */
export interface Vote {
  readonly txnId: TxnId;
  readonly attempt: number;
  readonly beId: string;
  /** The BE's boot. */
  readonly incarnation: string;
  /** The BE's own durable sequence with this vote in it (D4). */
  readonly beSeq: number;
  readonly partId: string | null;
  /** CRC32C of the part's bytes, eight hex digits; `null` without a part. */
  readonly digest: string | null;
  readonly bytes: number;
  readonly tablets: readonly VotedTablet[];
  /** Rejected rows kept here with their positions. */
  readonly rejects: number;
}

/** One rejected row as it is kept and shown. */
export interface StoredReject {
  readonly topic: string;
  readonly partition: number;
  /** Decimal digits: offsets are 64-bit. */
  readonly offset: string;
  readonly element: number;
  readonly column: string | null;
  readonly reason: string;
  readonly row: string;
}

export interface StageRequest {
  readonly txnId: TxnId;
  readonly attempt: number;
  readonly fe: FeIdentity;
  readonly label: string;
  /** Absent: this BE takes part by its rejects alone, or with nothing. */
  readonly part?: BuiltPart & { readonly tableId: number; readonly schema: TableSchema };
  /** Kept with the vote, at most some hundred. */
  readonly rejects: readonly StoredReject[];
}

export interface PublishRequest {
  readonly txnId: TxnId;
  readonly attempt: number;
  readonly versions: readonly { readonly tabletId: number; readonly version: number }[];
}

export interface StagedTxn {
  readonly txnId: TxnId;
  readonly attempt: number;
}

export interface TabletState {
  readonly tabletId: number;
  readonly tableId: number;
  /** The highest version published without a gap. */
  readonly version: number;
  readonly rows: number;
  readonly rowsets: number;
  readonly damaged: ErrorData | null;
}

export interface TabletStore {
  readonly beId: string;
  readonly incarnation: string;
  readonly durableSeq: number;
  /** The FE that this BE promised itself to, and the highest FE sequence it has seen. */
  readonly promise: (FeIdentity & { readonly feSeq: number }) | null;

  /** I2. Refuses (`EPOCH_REFUSED`) an epoch below the promise. Durable when it resolves. */
  promiseTo(fe: FeIdentity, feSeq: number): Promise<void>;
  /** Notes the highest FE sequence seen; written with the next vote or publish (D4). */
  sawFeSeq(feSeq: number): void;

  /** D5: the part's bytes are durable, then the vote, then this resolves. A second call gives the same vote. */
  stage(request: StageRequest): Promise<Vote>;
  /** C7. Answers as done what it already has or covers. Throws DamageError VOTE_LOST where the vote is missing. */
  publish(request: PublishRequest): Promise<void>;
  /** Drops what was staged. Idempotent; an unknown transaction is fine. Rejects stay as bounded diagnostics. */
  abort(txnId: TxnId, attempt: number): Promise<void>;
  /** Transactions voted for and not decided. */
  inDoubt(): readonly StagedTxn[];

  tablets(): readonly TabletState[];
  /** Of these tablets, the most rowsets that one has. */
  rowsetsMax(tabletIds: readonly number[]): number;
  /** Drops the tablets that the FE dropped (I4); a tablet is made when it is first staged for. */
  dropTablets(tabletIds: readonly number[]): Promise<void>;
  markDamaged(tabletIds: readonly number[], reason: ErrorData): Promise<void>;

  /**
   * The parts that hold the tablets at the versions asked, pinned under `queryId` (V3): with their bytes checked
   * at first use (D5). Throws `VERSION_GONE` where compaction went past, `VERSION_NOT_YET` where it is not
   * published, a DamageError for a damaged tablet.
   */
  pin(
    queryId: string,
    tablets: readonly { readonly tabletId: number; readonly version: number }[],
  ): Promise<readonly PartInput[]>;
  unpin(queryId: string): void;

  rejects(txnId: TxnId): Promise<readonly StoredReject[]>;
  /** Rejects of transactions that the FE has forgotten may go. */
  forgetRejects(txnIds: readonly TxnId[]): Promise<void>;

  /** C4: once after each registration, removes files of earlier boots that no entry names. Returns how many. */
  dropUnvoted(): Promise<number>;

  /** A path for a file that was never used before, in the staging folder (I1). */
  stagingPath(): string;
  /** Free bytes of the disk below this store. */
  freeBytes(): Promise<number>;
  /** Merges small parts and rowsets of tables whose schema the caller gives; one round, then resolves. */
  compact(schemaOf: (tableId: number) => TableSchema | undefined): Promise<void>;
  /** Settled when a write failed: the process of this BE ends (D3). */
  readonly failed: Promise<Error>;
  close(): Promise<void>;
}
