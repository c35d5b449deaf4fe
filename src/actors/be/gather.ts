/** Results come in small pieces; what is done with each costs by the piece. */
import type { ColumnBatch } from '../../base/column-batch.ts';
import { concatBatches } from '../../formats/column-rows.ts';

export interface GatherLimits {
  readonly rows: number;
  readonly bytes: number;
}

export interface Gathered {
  /** Null: there was nothing left. */
  readonly batch: ColumnBatch | null;
  /** Nothing is behind it. */
  readonly isLast: boolean;
}

/** Pulls until a limit is reached or the end. */
export async function gather(
  batches: AsyncIterator<ColumnBatch>,
  limits: GatherLimits,
): Promise<Gathered> {
  const held: ColumnBatch[] = [];
  let rows = 0;
  let bytes = 0;
  let isLast = false;
  while (rows < limits.rows && bytes < limits.bytes) {
    const next = await batches.next();
    isLast = next.done === true;
    if (next.done === true) break;
    held.push(next.value);
    rows += next.value.rows;
    bytes += batchBytes(next.value);
  }
  return { batch: held.length === 0 ? null : concatBatches(held), isLast };
}

export async function* gathered(
  batches: AsyncIterator<ColumnBatch>,
  limits: GatherLimits,
): AsyncGenerator<ColumnBatch, void> {
  for (;;) {
    const { batch, isLast } = await gather(batches, limits);
    if (batch !== null) yield batch;
    if (isLast) return;
  }
}

function batchBytes({ columns }: ColumnBatch): number {
  return columns.reduce((sum, column) => {
    return sum + (column.kind === 'bytes' ? column.data.length : column.values.byteLength);
  }, 0);
}
