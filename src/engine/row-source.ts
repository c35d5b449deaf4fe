/**
 * Our batches as table functions of DuckDB. `ms_rows(id)`: a statement pulls them chunk by chunk, and nothing is copied into a
 * table of its first. `ms_lists(id)`: all of one batch in one call, as one row of lists, for a statement that is to run beside the
 * work of our thread and not to wait for it at every chunk. The calls come from DuckDB's thread and run on ours, so the
 * statement has to be an asynchronous one, which all of ours are.
 */
import * as duck from '@duckdb/node-api';
import { assert } from '../base/assert.ts';
import type { ColumnBatch } from '../base/column-batch.ts';
import { LoadError } from '../base/errors.ts';
import { raw, VECTOR_ROWS } from './duckdb-raw.ts';
import { libraryType, type NamedColumn } from './duckdb-types.ts';
import { ident } from './sql-text.ts';
import { rowsWithin, writeList, writeVector } from './vector-write.ts';

/** Of text in one chunk: long values must not make 2,048 of them too large. */
const CHUNK_TEXT_MAX = 4 * 1024 * 1024;

interface Source {
  readonly columns: readonly NamedColumn[];
  readonly batches: readonly ColumnBatch[];
}

interface Cursor {
  readonly source: Source;
  /** Which columns the statement wants, in the order of the chunk. */
  readonly wanted: readonly number[];
  batch: number;
  row: number;
}

export class RowSources {
  readonly #sources = new Map<number, Source>();
  #next = 1;

  /** Once for an instance, before it is locked. */
  register(connection: duck.DuckDBConnection): void {
    this.#register(connection, 'ms_rows', libraryType, fill);
    this.#register(connection, 'ms_lists', (type) => duck.LIST(libraryType(type)), fillLists);
  }

  #register(
    connection: duck.DuckDBConnection,
    name: string,
    typeOf: (type: NamedColumn['type']) => duck.DuckDBType,
    into: (cursor: Cursor, chunk: duck.DuckDBDataChunk) => void,
  ): void {
    const table = duck.DuckDBTableFunction.create({
      name,
      parameterTypes: [duck.BIGINT],
      supportsProjectionPushdown: true,
      bindFunction: (info) => {
        const id = Number(info.getParameter(0));
        const { columns, batches } = this.#source(id);
        for (const { name, type } of columns) info.addResultColumn(name, typeOf(type));
        info.setBindData({ id });
        info.setCardinality(
          batches.reduce((sum, batch) => sum + batch.rows, 0),
          true,
        );
      },
      initFunction: (info) => {
        const { id } = info.getBindData() as { id: number };
        // A prepared statement runs again with the batches that stand there by then.
        const cursor: Cursor = {
          source: this.#source(id),
          wanted: info.getColumnIndexes(),
          batch: 0,
          row: 0,
        };
        info.setMaxThreads(1);
        info.setInitData(cursor);
      },
      mainFunction: (info, chunk) => into(info.getInitData() as Cursor, chunk),
    });
    connection.registerTableFunction(table);
  }

  /** A name for SQL, to be closed by the caller. */
  open(columns: readonly NamedColumn[], batches: readonly ColumnBatch[]): RowSource {
    return this.#open(columns, batches, (id) => `ms_rows(${id})`);
  }

  /** As `open`, of one batch at a time, every column of which is used. */
  openLists(columns: readonly NamedColumn[]): RowSource {
    const items = columns.map(({ name }) => `unnest(${ident(name)}) AS ${ident(name)}`);
    return this.#open(columns, [], (id) => `(SELECT ${items.join(', ')} FROM ms_lists(${id}))`);
  }

  #open(
    columns: readonly NamedColumn[],
    batches: readonly ColumnBatch[],
    sqlOf: (id: number) => string,
  ): RowSource {
    const id = this.#next++;
    this.#sources.set(id, { columns, batches });
    return {
      sql: sqlOf(id),
      set: (again) => {
        this.#sources.set(id, { columns, batches: again });
      },
      close: () => {
        this.#sources.delete(id);
      },
    };
  }

  get size(): number {
    return this.#sources.size;
  }

  #source(id: number): Source {
    const source = this.#sources.get(id);
    if (source === undefined) {
      throw new LoadError('ENGINE_ERROR', 'the rows of a statement are gone', { transient: true });
    }
    return source;
  }
}

export interface RowSource {
  readonly sql: string;
  /** Other rows of the same columns, for the next run of a prepared statement. */
  set(batches: readonly ColumnBatch[]): void;
  close(): void;
}

function fill(cursor: Cursor, chunk: duck.DuckDBDataChunk): void {
  const { source, wanted } = cursor;
  let batch = source.batches[cursor.batch];
  while (batch !== undefined && cursor.row >= batch.rows) {
    cursor.batch += 1;
    cursor.row = 0;
    batch = source.batches[cursor.batch];
  }
  if (batch === undefined) {
    chunk.rowCount = 0;
    return;
  }
  const { columns } = batch;
  const left = Math.min(VECTOR_ROWS, batch.rows - cursor.row);
  const rows = rowsWithin(columns, cursor.row, left, CHUNK_TEXT_MAX);
  chunk.rowCount = rows;
  wanted.forEach((from, to) => {
    const def = source.columns[from];
    // A statement that wants no column at all, as `count(*)`, is given the row number column, which we have not.
    if (def === undefined) return;
    const column = columns[from];
    assert(column !== undefined, `a batch has the column "${def.name}"`);
    writeVector(raw.data_chunk_get_vector(chunk.chunk, to), column, def.type, cursor.row, rows);
  });
  cursor.row += rows;
}

function fillLists(cursor: Cursor, chunk: duck.DuckDBDataChunk): void {
  const { source, wanted } = cursor;
  const batch = source.batches[cursor.batch++];
  chunk.rowCount = batch === undefined ? 0 : 1;
  if (batch === undefined) return;
  wanted.forEach((from, to) => {
    const def = source.columns[from];
    const column = batch.columns[from];
    assert(def !== undefined && column !== undefined, 'a batch has the columns of its source');
    writeList(raw.data_chunk_get_vector(chunk.chunk, to), column, def.type, batch.rows);
  });
}
