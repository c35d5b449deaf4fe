/**
 * SELECT over stored parts and rows. Files are read where they lie; the result is pulled, and it holds a connection until
 * its end, an error or `close`, whichever comes first.
 */
import type { DuckDBConnection, DuckDBResult } from '@duckdb/node-api';
import type { ColumnBatch } from '../base/column-batch.ts';
import { LoadError } from '../base/errors.ts';
import type { Select } from '../sql/ast/select.ts';
import { type ResultType, resultType } from './duckdb-types.ts';
import type * as T from './engine.types.ts';
import { wantedParts } from './part-pruning.ts';
import { mergedSql, rowsSql } from './parts-sql.ts';
import type { PickedRows } from './picked-rows.ts';
import { readWhole } from './result-read.ts';
import type { RowSource } from './row-source.ts';
import { selectSql } from './select-sql.ts';
import type { Slots } from './slots.ts';
import { ident } from './sql-text.ts';
import type { Statements } from './statements.ts';
import type { TableSql } from './translate.types.ts';
import { readChunk } from './vector-read.ts';

/** One vector of DuckDB. */
const SMALL_ROWS_MAX = 2_048;

export interface QueryHost {
  readonly statements: Statements;
  /** Open results: each holds memory of the instance until it is closed. */
  readonly results: Slots;
  readonly picked: PickedRows;
}

export async function runQuery(
  host: QueryHost,
  plan: T.QueryPlan,
  tables: readonly T.QueryTable[],
  signal?: AbortSignal,
): Promise<T.QueryResult> {
  const give = await host.results.take(signal);
  const rows: RowSource[] = [];
  let connection: DuckDBConnection | undefined;
  const free = () => {
    for (const one of rows) one.close();
    if (connection !== undefined) host.statements.disconnect(connection);
    give();
  };
  try {
    const read = await Promise.all(tables.map((table) => readTable(host, plan, table, signal)));
    const sql = querySql(host, plan, read, rows);
    connection = await host.statements.connect();
    const opened = connection;
    const made = await host.statements.inSlot(
      opened,
      async () =>
        (await smallResult(opened, plan.select, tables, sql)) ??
        (await streamedResult(opened, sql)),
      signal,
    );
    if (made instanceof Small) {
      free();
      return made;
    }
    const { result, types } = made;
    const columns = columnsOf(result, types);
    return new Pulled(host.statements, opened, { result, types, columns, free, signal });
  } catch (error) {
    free();
    throw error;
  }
}

/** With the parts alone, or the rows of them, that may be wanted. */
async function readTable(
  { picked }: QueryHost,
  { select }: T.QueryPlan,
  table: T.QueryTable,
  signal: AbortSignal | undefined,
): Promise<T.QueryTable> {
  if (table.kind === 'rows') return table;
  const parts = wantedParts(select, table, table.parts);
  return { ...table, parts: await picked.of(select, table, parts, signal) };
}

function querySql(
  host: QueryHost,
  plan: T.QueryPlan,
  tables: readonly T.QueryTable[],
  rows: RowSource[],
): string {
  const open = (...args: Parameters<Statements['openRows']>): RowSource => {
    const made = host.statements.openRows(...args);
    rows.push(made);
    return made;
  };
  const known = new Map<string, TableSql>();
  for (const table of tables) {
    const key = `${table.db}\0${table.name}`.toLowerCase();
    if (known.has(key)) continue;
    if (table.kind === 'rows') {
      const { columns, batch } = table;
      known.set(key, { sql: `(SELECT * FROM ${open(columns, [batch]).sql})`, columns });
      continue;
    }
    const { schema, parts } = table;
    const versions = schema.model !== 'DUPLICATE';
    const sql = `(${mergedSql(schema, rowsSql(schema, parts, open, versions), false)})`;
    known.set(key, { sql, columns: schema.columns });
  }
  return selectSql(plan.select, {
    context: plan.context,
    // Nothing else is a table: DuckDB would take a name for a file.
    table: (db, name) => {
      const found = known.get(`${db ?? ''}\0${name}`.toLowerCase());
      if (found !== undefined) return found;
      throw new LoadError(
        'UNKNOWN_TABLE',
        `Unknown table '${db === undefined ? name : `${db}.${name}`}'`,
        {
          errno: 1051,
          sqlState: '42S02',
        },
      );
    },
  });
}

interface OpenedResult {
  readonly result: DuckDBResult;
  readonly types: readonly ResultType[];
}

function columnsOf(result: DuckDBResult, types: readonly ResultType[]): T.ResultColumn[] {
  return types.map(({ type }, i) => ({ name: result.columnName(i), type, nullable: true }));
}

/** Nothing is held for it. */
class Small implements T.QueryResult {
  readonly columns: readonly T.ResultColumn[];
  readonly batches: AsyncIterableIterator<ColumnBatch>;

  constructor(columns: readonly T.ResultColumn[], batch: ColumnBatch) {
    this.columns = columns;
    this.batches = once(batch);
  }

  async close(): Promise<void> {
    await this.batches.return?.();
  }
}

async function* once(batch: ColumnBatch): AsyncGenerator<ColumnBatch, undefined> {
  if (batch.rows > 0) yield batch;
}

/**
 * The whole of a result that is small: a streamed statement has to be prepared, and DuckDB plans what reads files once to
 * prepare it and once to run it, which is half of the time of a query for one row. Where nobody knows how many rows will
 * come, but the first ones cost no more than they alone, they are asked for.
 */
async function smallResult(
  connection: DuckDBConnection,
  { with: withs, body }: Select,
  tables: readonly T.QueryTable[],
  sql: string,
): Promise<Small | undefined> {
  if (body.kind !== 'select') return undefined;
  const { limit, orderBy, groupBy, distinct, from } = body;
  const isBounded = limit !== undefined && limit.count <= SMALL_ROWS_MAX;
  const isScan =
    limit === undefined &&
    withs.length + orderBy.length + groupBy.length === 0 &&
    !distinct &&
    (from === undefined || from.kind === 'table') &&
    tables.every((table) => table.kind === 'rows' || table.schema.model === 'DUPLICATE');
  if (!isBounded && !isScan) return undefined;
  const result = await connection.run(isBounded ? sql : `${sql} LIMIT ${SMALL_ROWS_MAX + 1}`);
  if (result.rowCount > SMALL_ROWS_MAX) return undefined;
  const types = result.columnTypes().map((type) => resultType(type));
  if (types.includes(undefined)) return undefined;
  const known = types as ResultType[];
  const batch = readWhole(
    result,
    known.map(({ form }) => form),
  );
  return new Small(columnsOf(result, known), batch);
}

/** Columns of types that we have not are asked for as texts. */
async function streamedResult(connection: DuckDBConnection, sql: string): Promise<OpenedResult> {
  const prepared = await connection.prepare(sql);
  let made = sql;
  try {
    const names = Array.from({ length: prepared.columnCount }, (_, i) => prepared.columnName(i));
    const types = names.map((_, i) => resultType(prepared.columnType(i)));
    if (!types.includes(undefined)) {
      const result = await prepared.stream();
      return { result, types: types as ResultType[] };
    }
    const aliases = names.map((_, i) => `c${i}`);
    const items = names.map(
      (name, i) =>
        `${types[i] === undefined ? `CAST(c${i} AS VARCHAR)` : `c${i}`} AS ${ident(name)}`,
    );
    made = `SELECT ${items.join(', ')} FROM (${sql}) AS q(${aliases.join(', ')})`;
  } finally {
    prepared.destroySync();
  }
  const result = await connection.stream(made);
  const types = result.columnTypes().map((type) => resultType(type));
  if (types.includes(undefined))
    throw new LoadError('SQL_UNSUPPORTED', 'a result column has a type that cannot be shown');
  return { result, types: types as ResultType[] };
}

interface Open {
  readonly result: DuckDBResult;
  readonly types: readonly ResultType[];
  readonly columns: readonly T.ResultColumn[];
  readonly free: () => void;
  readonly signal: AbortSignal | undefined;
}

class Pulled implements T.QueryResult, AsyncIterableIterator<ColumnBatch> {
  readonly columns: readonly T.ResultColumn[];
  readonly batches = this;
  readonly #statements: Statements;
  readonly #connection: DuckDBConnection;
  readonly #open: Open;
  /** The pull under way, if any: what it reads from must not be closed below it. */
  #pulling: Promise<unknown> = Promise.resolve();
  #stop = new AbortController();
  #freed = false;

  constructor(statements: Statements, connection: DuckDBConnection, open: Open) {
    this.#statements = statements;
    this.#connection = connection;
    this.#open = open;
    this.columns = open.columns;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<ColumnBatch>> {
    const pull = this.#pulling.then(() => this.#next());
    this.#pulling = pull.catch(() => undefined);
    return pull;
  }

  async return(): Promise<IteratorResult<ColumnBatch>> {
    await this.close();
    return { done: true, value: undefined };
  }

  async close(): Promise<void> {
    this.#stop.abort(
      new LoadError('ENGINE_CANCELLED', 'the statement was cancelled', { errno: 1317 }),
    );
    await this.#pulling;
    if (this.#freed) return;
    await this.#drain();
    this.#free();
  }

  /** What an unfinished result holds is free once it has failed; to leave it to the garbage collector may be never. */
  async #drain(): Promise<void> {
    try {
      await this.#statements.inSlot(this.#connection, async () => {
        for (;;) {
          this.#connection.interrupt();
          const chunk = await this.#open.result.fetchChunk();
          if (chunk === null || chunk.rowCount === 0) return;
        }
      });
    } catch {
      // Interrupted, or the engine is closing: it is over either way.
    }
  }

  async #next(): Promise<IteratorResult<ColumnBatch>> {
    if (this.#freed) return { done: true, value: undefined };
    const { result, types, signal } = this.#open;
    const stop =
      signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]);
    try {
      const chunk = await this.#statements.inSlot(
        this.#connection,
        () => result.fetchChunk(),
        stop,
      );
      if (chunk !== null && chunk.rowCount > 0) {
        return {
          done: false,
          value: readChunk(
            chunk.chunk,
            types.map(({ form }) => form),
          ),
        };
      }
    } catch (error) {
      this.#free();
      throw error;
    }
    this.#free();
    return { done: true, value: undefined };
  }

  #free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#open.free();
  }
}
