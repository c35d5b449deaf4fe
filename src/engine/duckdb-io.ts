/** Columns ⇄ DuckDB's chunks. */
import * as duck from '@duckdb/node-api';
import type { Column, ColumnBatch } from '../base/column-batch.ts';
import { isNull } from '../base/column-batch.ts';
import { LoadError } from '../base/errors.ts';
import type { SqlType } from '../base/sql-type.ts';
import { bigAt, createBuilder } from '../formats/column-builder.ts';
import { duckType, ident } from './translate.ts';

const CHUNK = 2048;
const decoder = new TextDecoder();

export interface NamedColumn {
  readonly name: string;
  readonly type: SqlType;
}

function duckValue(column: Column, row: number, type: SqlType): duck.DuckDBValue {
  if (isNull(column, row)) return null;
  if (column.kind === 'bytes')
    return decoder.decode(column.data.subarray(column.offsets[row], column.offsets[row + 1]));
  const value = column.kind === 'i128' ? bigAt(column.values, row) : (column.values[row] ?? 0);
  switch (type.name) {
    case 'BOOLEAN':
      return value !== 0;
    case 'DATE':
      return new duck.DuckDBDateValue(Number(value));
    case 'DATETIME':
      return new duck.DuckDBTimestampValue(BigInt(value));
    case 'DECIMAL':
      return new duck.DuckDBDecimalValue(BigInt(value), type.precision ?? 10, type.scale ?? 0);
    default:
      return value;
  }
}

function libraryType(type: SqlType): duck.DuckDBType {
  switch (type.name) {
    case 'BOOLEAN':
      return duck.BOOLEAN;
    case 'TINYINT':
      return duck.TINYINT;
    case 'SMALLINT':
      return duck.SMALLINT;
    case 'INT':
      return duck.INTEGER;
    case 'BIGINT':
      return duck.BIGINT;
    case 'LARGEINT':
      return duck.HUGEINT;
    case 'FLOAT':
      return duck.FLOAT;
    case 'DOUBLE':
      return duck.DOUBLE;
    case 'DATE':
      return duck.DATE;
    case 'DATETIME':
      return duck.TIMESTAMP;
    case 'DECIMAL':
      return duck.DECIMAL(type.precision ?? 10, type.scale ?? 0);
    default:
      return duck.VARCHAR;
  }
}

export async function createTemp(
  connection: duck.DuckDBConnection,
  table: string,
  columns: readonly NamedColumn[],
): Promise<void> {
  const list = columns.map((c) => `${ident(c.name)} ${duckType(c.type)}`).join(', ');
  await connection.run(`CREATE TEMP TABLE ${ident(table)} (${list})`);
}

export async function appendBatch(
  connection: duck.DuckDBConnection,
  table: string,
  columns: readonly NamedColumn[],
  batch: ColumnBatch,
): Promise<void> {
  const appender = await connection.createAppender(table, 'main', 'temp');
  const types = columns.map((c) => libraryType(c.type));
  for (let from = 0; from < batch.rows; from += CHUNK) {
    const n = Math.min(CHUNK, batch.rows - from);
    const chunk = duck.DuckDBDataChunk.create(types, n);
    columns.forEach((c, i) => {
      const column = batch.columns[i]!;
      chunk.setColumnValues(
        i,
        Array.from({ length: n }, (_, k) => duckValue(column, from + k, c.type)),
      );
    });
    appender.appendDataChunk(chunk);
  }
  appender.closeSync();
}

/** HUGEINT is what DuckDB makes of sum(BIGINT): BIGINT unless LARGEINT is known to be meant. */
export function sqlTypeOf(type: duck.DuckDBType, largeint: boolean): SqlType {
  const name = String(type);
  if (type instanceof duck.DuckDBDecimalType)
    return { name: 'DECIMAL', precision: type.width, scale: type.scale };
  switch (name) {
    case 'BOOLEAN':
    case 'TINYINT':
    case 'SMALLINT':
    case 'BIGINT':
    case 'FLOAT':
    case 'DOUBLE':
    case 'DATE':
      return { name };
    case 'INTEGER':
      return { name: 'INT' };
    case 'UINTEGER':
    case 'UBIGINT':
      return { name: 'BIGINT' };
    case 'HUGEINT':
      return { name: largeint ? 'LARGEINT' : 'BIGINT' };
    case 'TIMESTAMP':
      return { name: 'DATETIME' };
    default:
      return { name: 'VARCHAR', length: 65_533 };
  }
}

export function readChunk(chunk: duck.DuckDBDataChunk, types: readonly SqlType[]): ColumnBatch {
  const columns = types.map((type, i) => {
    const builder = createBuilder(type, chunk.rowCount);
    for (const value of chunk.getColumnValues(i)) {
      if (value === null) builder.appendNull();
      else if (value instanceof duck.DuckDBDateValue) builder.appendInt(value.days);
      else if (value instanceof duck.DuckDBTimestampValue) builder.appendBig(value.micros);
      else if (value instanceof duck.DuckDBDecimalValue) builder.appendBig(value.value);
      else if (builder.kind === 'bytes') builder.appendText(String(value));
      else if (builder.kind === 'f32' || builder.kind === 'f64')
        builder.appendDouble(Number(value));
      else if (builder.kind === 'i64' || builder.kind === 'i128') {
        const big = BigInt(value as bigint);
        if (builder.kind === 'i64' && BigInt.asIntN(64, big) !== big)
          throw new LoadError('SQL_OVERFLOW', 'a result is out of the range of BIGINT');
        builder.appendBig(big);
      } else builder.appendInt(Number(value));
    }
    return builder.finish();
  });
  return { rows: chunk.rowCount, columns };
}
