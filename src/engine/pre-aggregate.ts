/**
 * AGGREGATE tables when they stage: the rows of a batch are merged by key before they are written, where that makes them
 * fewer; all else is left to reads and compaction, by the same SQL (PROTOCOL.md P2). Keys that come again and again cost a
 * row for each batch then, and not for each message.
 */
import type { ColumnBatch, I64Column } from '../base/column-batch.ts';
import { BIGINT } from '../base/sql-type.ts';
import type { TableSchema } from '../base/table-schema.ts';
import type { BuiltPart, PartWriter } from './engine.types.ts';
import { hiddenColumns, mergedSql } from './parts-sql.ts';
import type { PreparedRows } from './prepared-rows.ts';
import { ident } from './sql-text.ts';

/** Fewer rows are not worth a statement. */
const ROWS_MIN = 4_096;
/** What leaves more than this share of the rows did not pay … */
const SHARE_MAX = 0.75;
/** … and so many batches go as they are before it is tried again. */
const SKIPPED = 15;

/** A part whose rows of one batch and key are one row. */
export class AggregatingWriter implements PartWriter {
  readonly #writer: PartWriter;
  readonly #schema: TableSchema;
  readonly #prepared: PreparedRows;
  #skip = 0;

  constructor(writer: PartWriter, schema: TableSchema, prepared: PreparedRows) {
    this.#writer = writer;
    this.#schema = schema;
    this.#prepared = prepared;
  }

  get rows(): number {
    return this.#writer.rows;
  }

  get bytes(): number {
    return this.#writer.bytes;
  }

  async append(batch: ColumnBatch, tabletIds: Float64Array): Promise<void> {
    if (batch.rows < ROWS_MIN || this.#skip > 0) {
      this.#skip = Math.max(0, this.#skip - 1);
      return this.#writer.append(batch, tabletIds);
    }
    const merged = await mergeBatch(this.#prepared, this.#schema, batch, tabletIds);
    if (merged.batch.rows > SHARE_MAX * batch.rows) this.#skip = SKIPPED;
    return this.#writer.append(merged.batch, merged.tabletIds);
  }

  finish(): Promise<BuiltPart> {
    return this.#writer.finish();
  }

  discard(): Promise<void> {
    return this.#writer.discard();
  }
}

interface Merged {
  readonly batch: ColumnBatch;
  readonly tabletIds: Float64Array;
}

/** In no order: a key is there once for a tablet, so that its place among the others says nothing. */
async function mergeBatch(
  prepared: PreparedRows,
  schema: TableSchema,
  batch: ColumnBatch,
  tabletIds: Float64Array,
): Promise<Merged> {
  const { columns } = schema;
  const hidden = hiddenColumns(schema, false);
  const names = [...columns.map(({ name }) => ident(name)), '__tablet'].join(', ');
  const answer = await prepared.ask(
    {
      sql: (rows) => {
        const versioned = `SELECT *, CAST(0 AS BIGINT) AS __version FROM ${rows}`;
        return `SELECT ${names} FROM (${mergedSql(schema, versioned, true)})`;
      },
      input: [...columns, ...hidden],
      outputs: [...columns.map(({ type }) => type), BIGINT],
    },
    {
      rows: batch.rows,
      columns: [
        ...batch.columns,
        ...hidden.map(({ name }) => wholes(name === '__tablet' ? tabletIds : places(batch.rows))),
      ],
    },
  );
  const ids = Float64Array.from((answer.columns[columns.length] as I64Column).values, Number);
  return {
    batch: { rows: answer.rows, columns: answer.columns.slice(0, columns.length) },
    tabletIds: ids,
  };
}

function places(rows: number): Float64Array {
  return Float64Array.from({ length: rows }, (_, row) => row);
}

function wholes(numbers: Float64Array): I64Column {
  const values = new BigInt64Array(numbers.length);
  const words = new Int32Array(values.buffer);
  for (let row = 0; row < numbers.length; row++) {
    const value = numbers[row]!;
    const high = Math.floor(value / 2 ** 32);
    words[2 * row] = value - high * 2 ** 32;
    words[2 * row + 1] = high;
  }
  return { kind: 'i64', valid: null, values };
}
