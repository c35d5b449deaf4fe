/** CREATE TABLE checked and placed; DESCRIBE and SHOW CREATE TABLE. */
import type { FeKernel } from '../../actors/fe/fe.types.ts';
import type { TableFact } from '../../actors/fe/fe-facts.ts';
import { LoadError } from '../../base/errors.ts';
import { describeType } from '../../base/sql-type.ts';
import type { ColumnDef, KeyModel } from '../../base/table-schema.ts';
import type { ColumnSpec, Statement } from '../ast/statement.ts';
import { quoteIdent } from '../printer.ts';

type CreateTable = Extract<Statement, { kind: 'createTable' }>;

function bad(message: string, hint?: string): LoadError {
  return new LoadError('TABLE', message, { errno: 1064, ...(hint === undefined ? {} : { hint }) });
}

const fold = (name: string) => name.toLowerCase();
const NO_KEY = new Set(['FLOAT', 'DOUBLE', 'JSON']);
const NUMERIC = new Set([
  'TINYINT',
  'SMALLINT',
  'INT',
  'BIGINT',
  'LARGEINT',
  'FLOAT',
  'DOUBLE',
  'DECIMAL',
]);
const BUCKETS_MAX = 1024;

/** The columns with their roles; throws what is wrong with the statement. */
export function planColumns(statement: CreateTable): { model: KeyModel; columns: ColumnDef[] } {
  const { keys, columns } = statement;
  const seen = new Set<string>();
  for (const { name } of columns) {
    if (seen.has(fold(name))) throw bad(`Duplicate column name '${name}'`);
    if (/^__(op|row|tablet|ord|version)/i.test(name))
      throw bad(`Column name [${name}] is a system reserved name.`);
    seen.add(fold(name));
  }
  if (statement.engine !== undefined && statement.engine.toUpperCase() !== 'OLAP') {
    throw bad(`Unknown engine name: ${statement.engine}`);
  }
  const model = keys?.model ?? 'DUPLICATE';
  if (model !== 'DUPLICATE' && model !== 'AGGREGATE') {
    throw bad(`${model} KEY tables are not supported yet`, 'use DUPLICATE KEY or AGGREGATE KEY');
  }
  const keyNames = keys?.columns ?? defaultKeys(columns);
  keyNames.forEach((name, i) => {
    if (fold(columns[i]?.name ?? '') === fold(name)) return;
    throw bad(
      'Key columns must be the first few columns of the schema and the order of the key columns must be consistent with the order of the schema',
    );
  });
  return {
    model,
    columns: columns.map((spec, i) => planColumn(spec, i, i < keyNames.length, model)),
  };
}

/** Without KEY: the first columns that can be keys, at most three. */
function defaultKeys(columns: readonly ColumnSpec[]): string[] {
  const end = columns.findIndex(({ type, agg }) => NO_KEY.has(type.name) || agg !== undefined);
  return columns.slice(0, Math.min(3, end < 0 ? columns.length : end)).map(({ name }) => name);
}

function planColumn(spec: ColumnSpec, id: number, isKey: boolean, model: KeyModel): ColumnDef {
  const { name, type, agg } = spec;
  if (isKey && NO_KEY.has(type.name))
    throw bad(`Invalid data type of key column '${name}': '${type.name}'`);
  if (isKey && agg !== undefined)
    throw bad(`Cannot specify aggregate function '${agg}' for key column '${name}'`);
  if (!isKey && model === 'AGGREGATE' && agg === undefined) {
    throw bad(`AGG_KEYS table should specify aggregate type for non-key column[${name}]`);
  }
  if (agg !== undefined && model !== 'AGGREGATE') {
    throw bad(
      `Cannot specify aggregate function '${agg}' on column '${name}' of a ${model} KEY table`,
    );
  }
  if (agg === 'SUM' && !NUMERIC.has(type.name)) {
    throw bad(`Invalid aggregate function 'SUM' for '${name}': ${type.name} is no number`);
  }
  if (model === 'AGGREGATE' && type.name === 'JSON')
    throw bad(`JSON column '${name}' is not allowed in an AGGREGATE KEY table`);
  const fallback = spec.default;
  return {
    id,
    name,
    type,
    nullable: agg === 'REPLACE_IF_NOT_NULL' ? true : (spec.nullable ?? true),
    isKey,
    ...(agg === undefined ? {} : { agg }),
    ...(fallback === undefined || fallback.kind === 'null' ? {} : { default: fallback }),
    ...(spec.comment === undefined ? {} : { comment: spec.comment }),
  };
}

export function planTable(
  kernel: FeKernel,
  statement: CreateTable,
  dbId: number,
): Omit<TableFact, 'rows'> {
  const { model, columns } = planColumns(statement);
  const alive = kernel.backends().filter((be) => be.alive);
  if (alive.length === 0) {
    throw new LoadError('NO_BACKEND', 'no BE is alive to keep the tablets', { transient: true });
  }
  const distribution = statement.distribution ?? { columns: [] };
  for (const name of distribution.columns) {
    const column = columns.find((one) => fold(one.name) === fold(name));
    if (column === undefined) throw bad(`Distribution column(${name}) doesn't exist.`);
    if (model === 'AGGREGATE' && !column.isKey)
      throw bad(`Distribution column[${name}] is not key column`);
    if (NO_KEY.has(column.type.name))
      throw bad(`${column.type.name} column can not be distribution column`);
  }
  if (model === 'AGGREGATE' && distribution.columns.length === 0) {
    throw bad('AGGREGATE KEY tables need DISTRIBUTED BY HASH (…)');
  }
  const buckets = distribution.buckets ?? alive.length;
  if (buckets < 1 || buckets > BUCKETS_MAX)
    throw bad(`Number of hash buckets must be from 1 to ${BUCKETS_MAX}, not ${buckets}`);
  const tableId = kernel.nextId(2 + buckets);
  const order = [...alive].sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    tableId,
    dbId,
    name: statement.table.name,
    schema: {
      tableId,
      schemaId: tableId + 1,
      model,
      columns,
      bucketColumns: distribution.columns,
    },
    buckets,
    bucketsGiven: distribution.buckets !== undefined,
    comment: statement.comment ?? '',
    properties: Object.fromEntries(statement.properties.map(({ key, value }) => [key, value])),
    tablets: Array.from({ length: buckets }, (_, bucket) => ({
      tabletId: tableId + 2 + bucket,
      bucket,
      // Another table begins at another BE, so that small tables do not all lie on the first.
      beId: order[(tableId + bucket) % order.length]?.beId ?? '',
    })),
    createdMs: kernel.clock.now(),
  };
}

function defaultText(column: ColumnDef): string | null {
  if (column.default === undefined) return null;
  return column.default.kind === 'literal' ? column.default.text : 'CURRENT_TIMESTAMP';
}

export function describeRows(table: TableFact): (string | null)[][] {
  return table.schema.columns.map((column) => [
    column.name,
    // The documents' DESCRIBE prints no display width, their SHOW CREATE TABLE does (files-and-pipe.md 5.1).
    describeType(column.type).replace(/^(\w*int)\(\d+\)$/, '$1'),
    column.nullable ? 'YES' : 'NO',
    column.isKey ? 'true' : 'false',
    defaultText(column),
    column.agg ?? '',
  ]);
}

export function createTableText(table: TableFact): string {
  const { schema } = table;
  const quote = (text: string) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  const columns = schema.columns.map((column) => {
    const fallback = defaultText(column);
    return [
      `  ${quoteIdent(column.name)} ${describeType(column.type)}`,
      ...(column.agg === undefined ? [] : [column.agg]),
      column.nullable ? 'NULL' : 'NOT NULL',
      ...(fallback === null
        ? []
        : [
            column.default?.kind === 'literal'
              ? `DEFAULT ${quote(fallback)}`
              : `DEFAULT ${fallback}`,
          ]),
      `COMMENT ${quote(column.comment ?? '')}`,
    ].join(' ');
  });
  const keys = schema.columns.filter(({ isKey }) => isKey).map(({ name }) => quoteIdent(name));
  const by =
    schema.bucketColumns.length === 0
      ? 'RANDOM'
      : `HASH(${schema.bucketColumns.map(quoteIdent).join(', ')})`;
  const properties = Object.entries({ replication_num: '1', ...table.properties });
  return [
    `CREATE TABLE ${quoteIdent(table.name)} (`,
    columns.join(',\n'),
    `) ENGINE=OLAP`,
    ...(keys.length === 0 ? [] : [`${schema.model} KEY(${keys.join(', ')})`]),
    ...(table.comment === '' ? [] : [`COMMENT ${quote(table.comment)}`]),
    `DISTRIBUTED BY ${by}${table.bucketsGiven ? ` BUCKETS ${table.buckets}` : ''}`,
    `PROPERTIES (\n${properties.map(([key, value]) => `${quote(key)} = ${quote(value)}`).join(',\n')}\n);`,
  ].join('\n');
}
