/** information_schema: rows made from the durable fold, joined and filtered by the engine like any table. */
import type { ColumnBatch } from '../../base/column-batch.ts';
import { describeType, type SqlType, VARCHAR } from '../../base/sql-type.ts';
import { createBuilder } from '../../formats/column-builder.ts';
import type { Select } from '../../sql/ast/select.ts';
import { JOB_COLUMNS, jobRow, timeText } from '../../sql/statements/show-routine-load.ts';
import { dbNameOf, SYSTEM_DB } from './catalog.ts';
import type { FeKernel, QueryTableRequest } from './fe.types.ts';
import { LOADS_COLUMNS, loadRow, TRACKING_COLUMNS, trackingRows } from './system-loads.ts';

export type SystemTable = Extract<QueryTableRequest, { kind: 'rows' }>;

export const SYSTEM_TABLES = [
  'schemata',
  'tables',
  'columns',
  'routine_load_jobs',
  'loads',
  'load_tracking_logs',
] as const;

function table(
  name: string,
  names: readonly string[],
  rows: readonly (readonly (string | null)[])[],
): SystemTable {
  const columns = names.map((one): { name: string; type: SqlType } => ({
    name: one,
    type: VARCHAR,
  }));
  const builders = names.map(() => createBuilder(VARCHAR, rows.length));
  for (const row of rows) {
    builders.forEach((builder, i) => {
      const value = row[i] ?? null;
      if (value === null) builder.appendNull();
      else builder.appendText(value);
    });
  }
  const batch: ColumnBatch = {
    rows: rows.length,
    columns: builders.map((builder) => builder.finish()),
  };
  return { kind: 'rows', db: SYSTEM_DB, name, columns, batch };
}

/** `select`: the statement, for what it asks of tables whose rows are fetched from BEs. */
export async function systemTable(
  kernel: FeKernel,
  name: string,
  timezone: string,
  select: Select,
): Promise<SystemTable | undefined> {
  const { durable } = kernel;
  const dbName = (dbId: number) => dbNameOf(durable, dbId);
  const time = (ms: number | null) => (ms === null ? null : timeText(ms, timezone));
  const lower = name.toLowerCase();
  switch (lower) {
    case 'schemata':
      return table(
        lower,
        ['CATALOG_NAME', 'SCHEMA_NAME'],
        [...durable.dbs.values()].map((db) => ['def', db.name]),
      );
    case 'tables':
      return table(
        lower,
        [
          'TABLE_CATALOG',
          'TABLE_SCHEMA',
          'TABLE_NAME',
          'TABLE_TYPE',
          'ENGINE',
          'TABLE_ROWS',
          'CREATE_TIME',
          'TABLE_COMMENT',
        ],
        [...durable.tables.values()].map((one) => [
          'def',
          dbName(one.dbId),
          one.name,
          'BASE TABLE',
          'StarRocks',
          String(one.rows),
          time(one.createdMs),
          one.comment,
        ]),
      );
    case 'columns':
      return table(
        lower,
        [
          'TABLE_CATALOG',
          'TABLE_SCHEMA',
          'TABLE_NAME',
          'COLUMN_NAME',
          'ORDINAL_POSITION',
          'IS_NULLABLE',
          'COLUMN_TYPE',
          'COLUMN_COMMENT',
        ],
        [...durable.tables.values()].flatMap((one) =>
          one.schema.columns.map((column, i) => [
            'def',
            dbName(one.dbId),
            one.name,
            column.name,
            String(i + 1),
            column.nullable ? 'YES' : 'NO',
            describeType(column.type),
            column.comment ?? '',
          ]),
        ),
      );
    case 'routine_load_jobs':
      return table(
        lower,
        JOB_COLUMNS.map((column) => column.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()),
        [...durable.jobs.values()].map((job) => jobRow(kernel, job, timezone)),
      );
    case 'loads':
      return table(
        lower,
        LOADS_COLUMNS,
        [...durable.labels.values()].map((one) => loadRow(kernel, one, timezone)),
      );
    case 'load_tracking_logs':
      return table(lower, TRACKING_COLUMNS, await trackingRows(kernel, select));
    default:
      return undefined;
  }
}
