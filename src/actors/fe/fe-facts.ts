/**
 * The FE's facts: what its journal holds and what they fold into. Plain JSON; offsets are decimal strings, as
 * they are 64-bit. What is not here (running tasks, look-ups, connections) is lost in a crash and made anew.
 */
import type { TableSchema, TabletRef } from '../../base/table-schema.ts';
import type { LoadClauses } from '../../sql/ast/statement.ts';
import type { Vote } from '../../storage/tablet-store.types.ts';

/** `next offset`, or a symbol until the first scheduling resolves it. */
export type ProgressValue = string | 'OFFSET_BEGINNING' | 'OFFSET_END';
export type Progress = Readonly<Record<string, ProgressValue>>;

export type JobState =
  | 'NEED_SCHEDULE'
  | 'RUNNING'
  | 'UNSTABLE'
  | 'PAUSED'
  | 'STOPPED'
  | 'CANCELLED';

/** Why a job waits or stopped: every such state has one, in SHOW and after a restart. */
export interface JobReason {
  /** routine-load.md 3.2, e.g. 100 (paused by a user), 102 (too many error rows), 104 (task aborted). */
  readonly code: number;
  /** A stable word, e.g. `KAFKA_UNREACHABLE`. */
  readonly cause: string;
  readonly message: string;
  readonly sinceMs: number;
  readonly position?: {
    readonly topic: string;
    readonly partition: number;
    readonly offset: string;
  };
  /** What happens next, or what the user can do. */
  readonly next: string;
  /** The job tries again by itself at this time. */
  readonly retryAtMs?: number;
}

export interface JobProperties {
  readonly desiredConcurrentNumber: number;
  readonly maxErrorNumber: number;
  readonly maxFilterRatio: number;
  readonly maxBatchIntervalS: number;
  readonly maxBatchRows: number;
  readonly taskConsumeSecond: number;
  readonly taskTimeoutSecond: number;
  readonly strictMode: boolean;
  readonly timezone: string;
  readonly format: 'csv' | 'json';
  readonly stripOuterArray: boolean;
  /** As written: a JSON array of paths, or empty. */
  readonly jsonpaths: string;
  readonly jsonRoot: string;
  readonly trimSpace: boolean;
  /** One byte as a character, or empty. */
  readonly enclose: string;
  readonly escape: string;
  readonly logRejectedRecordNum: number;
  readonly pauseOnFatalParseError: boolean;
  readonly skipOnFatalParseError: boolean;
  readonly partialUpdate: boolean;
}

export interface KafkaSource {
  readonly brokers: readonly string[];
  readonly topic: string;
  /** `kafka_partitions`, or null: all, new ones are found. */
  readonly pinned: readonly number[] | null;
  /** `property.*` without the prefix, `group.id` always among them. */
  readonly custom: Readonly<Record<string, string>>;
  /** `property.kafka_default_offsets`: a number, a symbol, or null. */
  readonly defaultOffset: ProgressValue | null;
}

export interface JobDefinition {
  readonly clauses: LoadClauses;
  readonly properties: JobProperties;
  readonly source: KafkaSource;
}

export interface LoadCounts {
  readonly loaded: number;
  readonly filtered: number;
  readonly unselected: number;
  /** Messages without a row. */
  readonly empty: number;
  /** Values that became NULL because they did not convert. */
  readonly coerced: number;
  readonly receivedBytes: number;
  readonly costMs: number;
}

export interface JobStatistics {
  totalRows: number;
  loadedRows: number;
  errorRows: number;
  unselectedRows: number;
  emptyMessages: number;
  coercedValues: number;
  receivedBytes: number;
  taskExecuteTimeMs: number;
  committedTaskNum: number;
  abortedTaskNum: number;
}

/** Where the rejects of a transaction are kept. */
export interface RejectRef {
  readonly txnId: number;
  readonly beId: string;
  readonly label: string;
  readonly count: number;
  readonly aborted: boolean;
  readonly atMs: number;
}

export interface JobFact {
  readonly jobId: number;
  readonly name: string;
  readonly dbId: number;
  readonly tableId: number;
  readonly createdMs: number;
  readonly createdBy: string;
  definition: JobDefinition;
  /** Grows with every PAUSE, RESUME, ALTER, STOP and division; a task of an older one cannot commit. */
  epoch: number;
  state: JobState;
  reason: JobReason | null;
  pausedMs: number | null;
  endedMs: number | null;
  /** Partitions consumed now, ascending. */
  partitions: number[];
  concurrency: number;
  progress: Record<string, ProgressValue>;
  /** Time stamp of the last message consumed, in milliseconds. */
  timestamps: Record<string, number>;
  statistics: JobStatistics;
  /** routine-load.md 3.3: rows and error rows since the window began. */
  window: { errors: number; total: number };
  /** Set by a commit that went over max_error_number; the pause that follows clears it. */
  overLimit: { readonly errors: number; readonly limit: number } | null;
  /** The last ones, newest last. */
  rejects: RejectRef[];
  otherMsg: string;
  /** Automatic resumes since the last progress, for their back-off. */
  autoResumes: number;
}

export interface TableFact {
  readonly tableId: number;
  readonly dbId: number;
  readonly name: string;
  schema: TableSchema;
  readonly buckets: number;
  /** BUCKETS was written in the statement. */
  readonly bucketsGiven: boolean;
  readonly comment: string;
  readonly properties: Readonly<Record<string, string>>;
  tablets: TabletRef[];
  readonly createdMs: number;
  /** Rows of visible transactions, before merging by key. */
  rows: number;
}

export interface TabletFact {
  readonly tabletId: number;
  readonly tableId: number;
  readonly beId: string;
  /** The highest version given by a commit. */
  committed: number;
  /** The highest version that readers may see. */
  visible: number;
  damaged: string | null;
}

export interface BeFact {
  readonly beId: string;
  readonly name: string;
  readonly firstSeenMs: number;
  incarnation: string;
  registeredMs: number;
  /** The epoch of the FE with which it registered last. */
  epoch: number;
  /** The BE's highest sequence that a decision or a registration names (PROTOCOL.md D4). */
  seq: number;
  dropped: boolean;
}

export interface FileFact {
  readonly fileId: number;
  readonly dbId: number;
  readonly catalog: string;
  readonly name: string;
  readonly md5: string;
  readonly content: string;
}

export interface CommitEntry {
  readonly type: 'txn.committed';
  readonly txnId: number;
  readonly attempt: number;
  readonly dbId: number;
  readonly tableId: number;
  readonly schemaId: number;
  readonly label: string;
  readonly source: 'routine_load' | 'insert';
  readonly job?: { readonly jobId: number; readonly epoch: number; readonly taskId: string };
  /** Every participant with its part's digest and its rows by tablet (C1). */
  readonly votes: readonly Vote[];
  readonly versions: readonly { readonly tabletId: number; readonly version: number }[];
  /** Partition → the range that this transaction took: `to` is the next offset. */
  readonly progress: Readonly<Record<string, { readonly from: string; readonly to: string }>>;
  readonly timestamps: Readonly<Record<string, number>>;
  readonly counts: LoadCounts;
  readonly rejects: { readonly beId: string; readonly count: number } | null;
  /** The label was given by a user, who may ask for it again: it is kept by `label_keep_max_num` (C3). */
  readonly userLabel?: boolean;
  readonly beginMs: number;
  readonly atMs: number;
}

export interface TxnFact {
  readonly commit: CommitEntry;
  state: 'COMMITTED';
}

/** What is left of a decided transaction: as long as its label (C3). */
export interface LabelFact {
  readonly txnId: number;
  readonly dbId: number;
  readonly tableId: number;
  readonly label: string;
  readonly source: 'routine_load' | 'insert';
  status: 'COMMITTED' | 'VISIBLE';
  readonly counts: LoadCounts;
  readonly jobId: number | null;
  readonly userLabel: boolean;
  readonly rejects: { readonly beId: string; readonly count: number } | null;
  readonly beginMs: number;
  readonly commitMs: number;
  visibleMs: number | null;
}

export type FeEntry =
  | { type: 'cluster.created'; clusterId: string; atMs: number }
  | { type: 'epoch.opened'; epoch: number; incarnation: string; atMs: number }
  | { type: 'db.created'; dbId: number; name: string; atMs: number }
  | { type: 'db.dropped'; dbId: number; atMs: number }
  | { type: 'table.created'; table: Omit<TableFact, 'rows'>; atMs: number }
  | { type: 'table.dropped'; tableId: number; atMs: number }
  | { type: 'table.truncated'; tableId: number; tablets: TabletRef[]; atMs: number }
  | { type: 'file.created'; file: FileFact; atMs: number }
  | { type: 'file.dropped'; fileId: number; atMs: number }
  | { type: 'config.set'; name: string; value: string; atMs: number }
  | {
      type: 'job.created';
      jobId: number;
      name: string;
      dbId: number;
      tableId: number;
      user: string;
      definition: JobDefinition;
      progress: Progress;
      atMs: number;
    }
  | {
      type: 'job.altered';
      jobId: number;
      definition: JobDefinition;
      /** Only the partitions whose position the statement sets: a recorded decision (progress.monotone). */
      progress: Progress;
      user: string;
      atMs: number;
    }
  /** A division: resolved positions, partitions, tasks. The job is RUNNING from here. */
  | {
      type: 'job.scheduled';
      jobId: number;
      partitions: number[];
      progress: Progress;
      concurrency: number;
      atMs: number;
    }
  | {
      type: 'job.state';
      jobId: number;
      state: JobState;
      reason: JobReason | null;
      /** Who: a user's name, or `system`. */
      by: string;
      atMs: number;
    }
  | {
      type: 'task.aborted';
      jobId: number;
      txnId: number;
      message: string;
      rejects: RejectRef | null;
      atMs: number;
    }
  | { type: 'job.removed'; jobId: number }
  | {
      type: 'be.registered';
      beId: string;
      name: string;
      incarnation: string;
      seq: number;
      atMs: number;
    }
  | { type: 'be.dropped'; beId: string; atMs: number }
  | { type: 'tablets.damaged'; beId: string; tabletIds: number[]; reason: string; atMs: number }
  | CommitEntry
  | {
      type: 'txn.visible';
      txnId: number;
      acks: readonly { readonly beId: string; readonly seq: number }[];
      atMs: number;
    }
  /** Users' labels beyond `label_keep_max_num`, oldest first (C3). */
  | { type: 'labels.forgotten'; txnIds: readonly number[]; atMs: number }
  | { type: 'loss.accepted'; epoch: number; upToSeq: number; atMs: number };

export interface FeState {
  clusterId: string;
  /** The last id given to a database, table, tablet, column set, job or file. */
  lastId: number;
  epoch: number;
  incarnation: string;
  /** Every epoch that was opened, with its incarnations: what a BE's promise is checked against (I2). */
  epochs: Record<number, string>;
  dbs: Map<number, { readonly dbId: number; readonly name: string; readonly createdMs: number }>;
  tables: Map<number, TableFact>;
  tablets: Map<number, TabletFact>;
  jobs: Map<number, JobFact>;
  bes: Map<string, BeFact>;
  files: Map<number, FileFact>;
  config: Map<string, string>;
  /** Committed, not yet visible, in journal order. */
  txns: Map<number, TxnFact>;
  /** Decided transactions whose outcome is remembered, by id, oldest first. */
  labels: Map<number, LabelFact>;
  /** Commits by `dbId/label`, for label.once. */
  labelIndex: Map<string, number>;
}
