/** For the tests of this folder: batches written as rows of texts, schemas, and results read the same way. */
import type { ColumnBatch } from '../base/column-batch.ts';
import type { SqlType } from '../base/sql-type.ts';
import type { ColumnDef, TableSchema } from '../base/table-schema.ts';
import { castTextColumn } from '../formats/cast/text-cast.ts';
import { createBuilder } from '../formats/column-builder.ts';
import { valueText } from '../formats/value-text.ts';
import type { Expr } from '../sql/ast/expr.ts';
import type { Select, SelectItem } from '../sql/ast/select.ts';
import type { Engine, EvalContext, QueryTable } from './engine.types.ts';

export type Text = string | null;

export const context: EvalContext = { timezone: 'Asia/Shanghai', nowMs: 0, seed: 's' };

export function schemaOf(
  columns: readonly (Pick<ColumnDef, 'name' | 'type'> & Partial<ColumnDef>)[],
  model: TableSchema['model'] = 'DUPLICATE',
): TableSchema {
  return {
    tableId: 1,
    schemaId: 1,
    model,
    columns: columns.map((column, id) => ({ id, nullable: true, isKey: false, ...column })),
    bucketColumns: [],
  };
}

export function batchOf(
  types: readonly SqlType[],
  rows: readonly (readonly Text[])[],
): ColumnBatch {
  const columns = types.map((type, i) => {
    const builder = createBuilder({ name: 'VARCHAR' }, rows.length);
    for (const row of rows) {
      const text = row[i] ?? null;
      if (text === null) builder.appendNull();
      else builder.appendText(text);
    }
    const texts = builder.finish();
    if (texts.kind !== 'bytes') throw new Error('texts are bytes');
    return castTextColumn(texts, rows.length, type, 'reader');
  });
  return { rows: rows.length, columns };
}

export function rowsOf(batch: ColumnBatch, types: readonly SqlType[]): Text[][] {
  return Array.from({ length: batch.rows }, (_, row) =>
    types.map((type, i) => valueText(batch.columns[i]!, row, type)),
  );
}

export const column = (name: string): Expr => ({ kind: 'column', path: [name] });

export function selectOf(items: readonly (string | SelectItem)[], more: object = {}): Select {
  return {
    with: [],
    body: {
      kind: 'select',
      distinct: false,
      groupBy: [],
      orderBy: [],
      items: items.map((item) =>
        typeof item === 'string' ? { expr: column(item), text: item } : item,
      ),
      from: { kind: 'table', table: { db: 'd', name: 't' } },
      ...more,
    },
  };
}

export async function queryRows(
  engine: Engine,
  select: Select,
  tables: readonly QueryTable[],
): Promise<Text[][]> {
  const result = await engine.query({ select, context }, tables);
  const types = result.columns.map(({ type }) => type);
  const rows: Text[][] = [];
  for await (const batch of result.batches) rows.push(...rowsOf(batch, types));
  return rows;
}
