/**
 * The contract between the wire (this folder) and what runs statements (src/actors). One handler per connection.
 */
import type { ColumnBatch } from '../../base/column-batch.ts';
import type { ResultColumn } from '../../engine/engine.types.ts';

/** Rows made by the FE: text as the client shall see it, `null` for NULL. */
export interface TextResult {
  readonly kind: 'rows';
  readonly columns: readonly ResultColumn[];
  readonly rows: readonly (readonly (string | null)[])[];
}

/** Rows of the engine, batch by batch; the wire asks for the next one when the client has taken the last. */
export interface BatchResult {
  readonly kind: 'batches';
  readonly columns: readonly ResultColumn[];
  readonly batches: AsyncIterableIterator<ColumnBatch>;
  close(): Promise<void>;
}

export interface OkResult {
  readonly kind: 'ok';
  readonly affectedRows: number;
  readonly warnings: number;
  /** e.g. `{'label':'…', 'status':'VISIBLE', 'txnId':'…'}` */
  readonly info?: string;
}

export type StatementResult = TextResult | BatchResult | OkResult;

export interface ConnectionInfo {
  readonly connectionId: number;
  readonly user: string;
  readonly remoteAddress: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** One client session. `execute` runs one statement at a time, in order. Errors are `LoadError`s → ERR packets. */
export interface Session {
  /** The present database, as `USE` may have changed it. */
  readonly db: string | undefined;
  /**
   * Runs the text of COM_QUERY: one or several statements; the wire sends each result as it comes
   * (SERVER_MORE_RESULTS_EXISTS between them) and stops at the first error.
   */
  execute(sql: string, signal: AbortSignal): AsyncIterable<StatementResult>;
  /** For COM_STMT_PREPARE: number of `?` and, where known, result columns. */
  prepare(sql: string): Promise<{ parameters: number; columns: readonly ResultColumn[] }>;
  /** Runs a prepared text with values: string, number, bigint, null, bytes; placed as literals by the parser. */
  executePrepared(
    sql: string,
    values: readonly PreparedValue[],
    signal: AbortSignal,
  ): Promise<StatementResult>;
  /** COM_INIT_DB. */
  useDb(db: string): Promise<void>;
  /** COM_FIELD_LIST. */
  fields(table: string): Promise<readonly ResultColumn[]>;
  /** COM_RESET_CONNECTION and COM_CHANGE_USER. */
  reset(user?: string): void;
  close(): void;
}

export type PreparedValue = string | number | bigint | null | Uint8Array;

export interface SessionHost {
  /**
   * Called before the handshake's answer is checked. `undefined`: no such user. Today: `root` with an empty
   * password. The hash is SHA1(SHA1(password)), or `null` for an empty one.
   */
  authenticate(user: string): { readonly passwordHash: Uint8Array | null } | undefined;
  open(info: ConnectionInfo, db: string | undefined): Promise<Session>;
  /** `@@version`, e.g. `8.0.33`. */
  readonly serverVersion: string;
}
