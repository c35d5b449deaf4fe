/** Results of DuckDB as column batches. */
import type { DuckDBMaterializedResult, DuckDBResult } from '@duckdb/node-api';
import type { ColumnBatch } from '../base/column-batch.ts';
import { concatBatches } from '../formats/column-rows.ts';
import { readChunk, type VectorForm } from './vector-read.ts';

/** As `readColumns`, at once. For what is small: its memory stays until the garbage collector finds the object. */
export function readWhole(
  result: DuckDBMaterializedResult,
  forms: readonly VectorForm[],
): ColumnBatch {
  const batches: ColumnBatch[] = [];
  for (let i = 0; i < result.chunkCount; i++) {
    const batch = readChunk(result.getChunk(i).chunk, forms);
    if (batch.rows > 0) batches.push(batch);
  }
  return joined(batches, forms);
}

/** All of a result as one batch. It is a streamed one: its memory goes as it is read. */
export async function readColumns(
  result: DuckDBResult,
  forms: readonly VectorForm[],
): Promise<ColumnBatch> {
  const batches: ColumnBatch[] = [];
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) break;
    batches.push(readChunk(chunk.chunk, forms));
  }
  return joined(batches, forms);
}

function joined(batches: readonly ColumnBatch[], forms: readonly VectorForm[]): ColumnBatch {
  if (batches.length > 0) return concatBatches(batches);
  return { rows: 0, columns: forms.map(emptyColumn) };
}

function emptyColumn(form: VectorForm): ColumnBatch['columns'][number] {
  if (form === 'bytes')
    return { kind: 'bytes', valid: null, offsets: new Uint32Array(1), data: new Uint8Array() };
  switch (form) {
    case 'i8':
      return { kind: 'i8', valid: null, values: new Int8Array() };
    case 'i16':
      return { kind: 'i16', valid: null, values: new Int16Array() };
    case 'i32':
      return { kind: 'i32', valid: null, values: new Int32Array() };
    case 'i128':
      return { kind: 'i128', valid: null, values: new BigInt64Array() };
    case 'f32':
      return { kind: 'f32', valid: null, values: new Float32Array() };
    case 'f64':
      return { kind: 'f64', valid: null, values: new Float64Array() };
    default:
      return { kind: 'i64', valid: null, values: new BigInt64Array() };
  }
}
