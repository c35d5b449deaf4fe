/**
 * What the statements (src/sql/statements) may ask of the FE. They read the durable fold for what they show and
 * the head fold for what they check; they change facts by `append` alone.
 */
import type { Clock } from '../../base/clock.ts';
import type { ColumnBatch } from '../../base/column-batch.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { EvalContext, QueryTable, ResultColumn } from '../../engine/engine.types.ts';
import type { Download } from '../../protocol/http/download.ts';
import type { KafkaConfig } from '../../sources/kafka/kafka.types.ts';
import type { Select } from '../../sql/ast/select.ts';
import type { StoredReject } from '../../storage/tablet-store.types.ts';
import type { KafkaLookReply, KafkaLookRequest } from '../messages.ts';
import type { FeEntry, FeState, LabelFact, RejectRef, TableFact } from './fe-facts.ts';
import type { FreshnessView } from './freshness.ts';

/** A BE as SHOW BACKENDS and placement see it. */
export interface BackendView {
  readonly beId: string;
  readonly name: string;
  readonly incarnation: string;
  readonly alive: boolean;
  readonly slotsUsed: number;
  readonly lastBeatMs: number | null;
  readonly registeredMs: number;
}

/** A live task, for SHOW ROUTINE LOAD TASK. */
export interface TaskView {
  readonly taskId: string;
  readonly jobId: number;
  readonly txnId: number;
  readonly txnStatus: string;
  readonly createdMs: number;
  readonly lastScheduledMs: number | null;
  readonly executeStartMs: number | null;
  readonly timeoutS: number;
  readonly beId: string | null;
  readonly partitions: readonly number[];
  readonly message: string | null;
}

/** A query's table before the FE has given its parts: by name in the catalog, or rows made by a statement. */
export type QueryTableRequest =
  | {
      readonly kind: 'stored';
      readonly db: string;
      readonly name: string;
      readonly table: TableFact;
    }
  | Extract<QueryTable, { kind: 'rows' }>;

export interface InsertRequest {
  readonly dbId: number;
  readonly tableId: number;
  readonly label: string | null;
  readonly user: string;
  readonly rows: /** VARCHAR columns, one per name. */
    | { readonly kind: 'batch'; readonly names: readonly string[]; readonly batch: ColumnBatch }
    | {
        readonly kind: 'select';
        /** Column names of the table that the select's columns feed, in order. */
        readonly names: readonly string[];
        /** Types of the select's columns. */
        readonly select: Select;
        readonly tables: readonly QueryTableRequest[];
      };
  /** Fails the statement at the first filtered row. Default true (`enable_insert_strict`). */
  readonly strict: boolean;
  readonly context: EvalContext;
  readonly timeoutMs: number;
}

export interface InsertResult {
  readonly label: string;
  readonly txnId: number;
  readonly status: 'VISIBLE' | 'COMMITTED';
  readonly loaded: number;
  readonly filtered: number;
}

export interface FeKernel {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** For answers: what is on disk. */
  readonly durable: FeState;
  /** For checks: what is queued as well. Never shown. */
  readonly head: FeState;
  readonly httpAddress: () => string;
  /**
   * Queues entries in one turn (check against `head` right before, without an await between) and resolves when they
   * are durable. Refused with `FE_BEHIND` while this FE may not decide.
   */
  append(...entries: FeEntry[]): Promise<void>;
  /** The next free id of the head fold; give it to an entry in the same turn. `count` ids follow each other. */
  nextId(count?: number): number;

  /** As it is shown. */
  config(name: string): string;
  /** As decisions take it. */
  configNumber(name: string): number;

  backends(): readonly BackendView[];
  tasks(jobId: number): readonly TaskView[];
  /** The end of each partition as looked up last, with the time of it. */
  latestOffsets(jobId: number): {
    readonly offsets: Readonly<Record<string, string>>;
    readonly atMs: number | null;
  };

  /** From a record's timestamp to VISIBLE, over the last minute. */
  freshness(jobId: number): FreshnessView | null;

  /** Configuration with `FILE:` values resolved in the job's database. Throws KAFKA_PROPERTY and the like. */
  kafkaConfig(
    dbId: number,
    source: {
      readonly brokers: readonly string[];
      readonly custom: Readonly<Record<string, string>>;
    },
  ): KafkaConfig;
  /** Asks some alive BE. */
  lookKafka(request: KafkaLookRequest, timeoutMs: number): Promise<KafkaLookReply>;

  /** Waits for replayed commits of the tables (V1), takes one snapshot (V2), runs it on a BE. */
  query(
    select: Select,
    tables: readonly QueryTableRequest[],
    context: EvalContext,
    signal: AbortSignal,
  ): Promise<{
    readonly columns: readonly ResultColumn[];
    readonly batches: AsyncIterableIterator<ColumnBatch>;
    close(): Promise<void>;
  }>;
  insert(request: InsertRequest, signal: AbortSignal): Promise<InsertResult>;
  /** Rejected rows of a transaction, from the BE that keeps them. */
  rejects(ref: Pick<RejectRef, 'txnId' | 'beId'>): Promise<readonly StoredReject[]>;
  label(dbId: number, label: string): LabelFact | undefined;
  /** A text by http or https, for CREATE FILE. Throws DOWNLOAD. */
  readonly download: Download;
}
