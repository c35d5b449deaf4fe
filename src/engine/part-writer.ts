/**
 * Rows to one part (PROTOCOL.md P1): inline below a limit, else one Parquet file.
 *
 * What all open parts of an engine hold stays below `HeldBytes.max` (and `SPILL_BYTES_MIN` for each of them), whatever
 * their size: beyond it rows move into a temporary table of DuckDB, which keeps to its memory limit and spills to its own
 * folder.
 */
import { rm, stat } from 'node:fs/promises';
import type { DuckDBConnection } from '@duckdb/node-api';
import { assert } from '../base/assert.ts';
import type { Column, ColumnBatch } from '../base/column-batch.ts';
import { LoadError } from '../base/errors.ts';
import { concatBatches, emptyBatch, takeRows } from '../formats/column-builder.ts';
import { encodeBatch } from '../formats/column-codec.ts';
import type { NamedColumn } from './duckdb-types.ts';
import { duckType } from './duckdb-types.ts';
import type * as T from './engine.types.ts';
import { hiddenColumns, isOrdered } from './parts-sql.ts';
import { ident, text } from './sql-text.ts';
import type { Statements } from './statements.ts';

/** Less is not worth a statement. */
const SPILL_BYTES_MIN = 4 * 1024 * 1024;

/** Of rows that the open parts of one engine hold. */
export interface HeldBytes {
  total: number;
  readonly max: number;
}

/**
 * Of a part that was just loaded: deltas instead of dictionaries make it half as large for half the time. What lives
 * longer is written again by a merge.
 */
export const FRESH_FILE =
  'FORMAT parquet, PARQUET_VERSION v2, COMPRESSION snappy, DICTIONARY_SIZE_LIMIT 1';

export function openPartWriter(
  statements: Statements,
  held: HeldBytes,
  spec: T.PartSpec,
): T.PartWriter {
  return new PartWriter(statements, held, spec);
}

class PartWriter implements T.PartWriter {
  readonly #statements: Statements;
  readonly #all: HeldBytes;
  readonly #spec: T.PartSpec;
  readonly #stored: readonly NamedColumn[];
  readonly #ordered: boolean;
  /** Rows by tablet, in the order of their first row. */
  readonly #tablets = new Map<number, { rows: number }>();
  #held: ColumnBatch[] = [];
  #heldBytes = 0;
  #rows = 0;
  #bytes = 0;
  #spilled: DuckDBConnection | undefined;
  #wrote = false;
  /** Settled when nothing is under way; it never rejects. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly #stop = new AbortController();
  #ended = false;

  constructor(statements: Statements, all: HeldBytes, spec: T.PartSpec) {
    this.#statements = statements;
    this.#all = all;
    this.#spec = spec;
    this.#stored = [...spec.schema.columns, ...hiddenColumns(spec.schema, false)];
    this.#ordered = isOrdered(spec.schema);
  }

  get rows(): number {
    return this.#rows;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async append(batch: ColumnBatch, tabletIds: Float64Array): Promise<void> {
    // Whoever gave the part up may have rows under way (I5).
    this.#stop.signal.throwIfAborted();
    assert(!this.#ended, 'a part that was finished takes no rows');
    assert(batch.rows === tabletIds.length, 'every row has a tablet');
    if (batch.rows === 0) return;
    const bytes = bytesOf(batch);
    this.#held.push({ rows: batch.rows, columns: [...batch.columns, ...this.#hidden(tabletIds)] });
    this.#rows += batch.rows;
    this.#bytes += bytes;
    this.#heldBytes += bytes;
    this.#all.total += bytes;
    const { total, max } = this.#all;
    if (total > max && this.#heldBytes >= Math.min(SPILL_BYTES_MIN, max))
      await this.#inTurn(() => this.#spill());
  }

  async finish(): Promise<T.BuiltPart> {
    this.#ended = true;
    return this.#inTurn(() => this.#finish());
  }

  async discard(): Promise<void> {
    this.#stop.abort(discarded());
    // A statement under way ends soon; its outcome is nobody's any more.
    await this.#turn;
    this.#free();
    if (this.#wrote) await rm(this.#spec.path, { force: true });
  }

  #hidden(tabletIds: Float64Array): Column[] {
    const columns = [wideColumn(tabletIds)];
    for (let i = 0; i < tabletIds.length; i++) {
      const id = tabletIds[i]!;
      const tablet = this.#tablets.get(id);
      if (tablet === undefined) this.#tablets.set(id, { rows: 1 });
      else tablet.rows += 1;
    }
    if (this.#ordered) columns.push(wideColumn(tabletIds.map((_, i) => this.#rows + i)));
    return columns;
  }

  /** One after the other: the order of rows is the order of calls. */
  #inTurn<R>(act: () => Promise<R>): Promise<R> {
    const turn = this.#turn.then(act);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #spill(): Promise<void> {
    const held = this.#held;
    if (held.length === 0) return;
    // They count until they are there.
    const bytes = this.#heldBytes;
    this.#held = [];
    this.#heldBytes = 0;
    let connection = this.#spilled;
    if (connection === undefined) {
      connection = await this.#statements.connect();
      this.#spilled = connection;
      const list = this.#stored.map((c) => `${ident(c.name)} ${duckType(c.type)}`).join(', ');
      await this.#on(connection, `CREATE TEMP TABLE part (${list})`);
    }
    await this.#statements
      .withRows(this.#stored, held, (rows) =>
        this.#on(connection, `INSERT INTO part SELECT * FROM ${rows.sql}`),
      )
      .finally(() => {
        this.#all.total -= bytes;
      });
  }

  async #finish(): Promise<T.BuiltPart> {
    const { inlineBytesMax, path } = this.#spec;
    try {
      this.#stop.signal.throwIfAborted();
      const tablets = [...this.#tablets].map(([tabletId, { rows }]) => ({ tabletId, rows }));
      tablets.sort((a, b) => a.tabletId - b.tabletId);
      if (this.#spilled === undefined && this.#bytes <= inlineBytesMax) {
        const bytes = encodeBatch(this.#grouped());
        if (bytes.length <= inlineBytesMax)
          return { rows: this.#rows, tablets, data: { kind: 'inline', bytes } };
      }
      this.#wrote = true;
      await this.#copy();
      const { size } = await stat(path);
      return { rows: this.#rows, tablets, data: { kind: 'file', path, length: size } };
    } catch (error) {
      if (this.#wrote) await rm(path, { force: true });
      throw error;
    } finally {
      this.#free();
    }
  }

  async #copy(): Promise<void> {
    const to = `TO ${text(this.#spec.path)} (${FRESH_FILE})`;
    // Parquet has no 128-bit integers: they go as text.
    const items = this.#stored
      .map(({ name, type }) =>
        type.name === 'LARGEINT'
          ? `CAST(${ident(name)} AS VARCHAR) AS ${ident(name)}`
          : ident(name),
      )
      .join(', ');
    const spilled = this.#spilled;
    if (spilled !== undefined) {
      await this.#spill();
      await this.#on(spilled, `COPY (SELECT ${items} FROM part) ${to}`);
      return;
    }
    await this.#statements.withRows(this.#stored, this.#held, (rows) =>
      this.#statements.run(`COPY (SELECT ${items} FROM ${rows.sql}) ${to}`, this.#stop.signal),
    );
  }

  #on(connection: DuckDBConnection, sql: string): Promise<void> {
    return this.#statements.on(connection, sql, this.#stop.signal);
  }

  /** Rows by tablet, in the order of the source within each. */
  #grouped(): ColumnBatch {
    if (this.#held.length === 0) return emptyBatch(this.#stored.map(({ type }) => type));
    const joined = concatBatches(this.#held);
    const ids = joined.columns[this.#spec.schema.columns.length];
    assert(ids?.kind === 'i64', 'the tablets of the rows');
    if (this.#tablets.size <= 1) return joined;
    const { values } = ids;
    const order = Uint32Array.from(values, (_, i) => i).sort((a, b) => {
      const [x, y] = [values[a]!, values[b]!];
      return x < y ? -1 : x > y ? 1 : a - b;
    });
    return takeRows(joined, order);
  }

  #free(): void {
    this.#held = [];
    this.#all.total -= this.#heldBytes;
    this.#heldBytes = 0;
    if (this.#spilled !== undefined) this.#statements.disconnect(this.#spilled);
    this.#spilled = undefined;
  }
}

function discarded(): LoadError {
  return new LoadError('PART_DISCARDED', 'the part was given up', { transient: true });
}

/** Whole numbers as BIGINT, without a bigint for each. */
function wideColumn(values: Float64Array): Column {
  const wide = new BigInt64Array(values.length);
  const words = new Uint32Array(wide.buffer);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    words[2 * i] = value % 2 ** 32;
    words[2 * i + 1] = value / 2 ** 32;
  }
  return { kind: 'i64', valid: null, values: wide };
}

/** Of the memory that the rows take. */
export function bytesOf(batch: ColumnBatch): number {
  let bytes = 0;
  for (const column of batch.columns) {
    bytes +=
      column.kind === 'bytes' ? column.data.length + 4 * batch.rows : column.values.byteLength;
    if (column.valid !== null) bytes += batch.rows;
  }
  return bytes;
}
