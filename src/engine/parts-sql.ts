/** Stored parts as SQL: what a query reads, and what a merge writes (PROTOCOL.md P2). */
import type { ColumnBatch } from '../base/column-batch.ts';
import { LoadError } from '../base/errors.ts';
import { BIGINT } from '../base/sql-type.ts';
import type { TableSchema } from '../base/table-schema.ts';
import { decodeBatch } from '../formats/column-codec.ts';
import { takeRows } from '../formats/column-rows.ts';
import { duckType, type NamedColumn } from './duckdb-types.ts';
import type { PartInput } from './engine.types.ts';
import { ident, text } from './sql-text.ts';

/** Whether the result of a table depends on the order of its rows. */
export const isOrdered = (schema: TableSchema): boolean =>
  schema.columns.some((column) => column.agg?.startsWith('REPLACE'));

export function hiddenColumns(schema: TableSchema, merged: boolean): NamedColumn[] {
  const names = [
    '__tablet',
    ...(isOrdered(schema) ? ['__ord'] : []),
    ...(merged ? ['__version'] : []),
  ];
  return names.map((name) => ({ name, type: BIGINT }));
}

/** Opens a row source of the instance, which the caller closes. */
export type OpenRows = (
  columns: readonly NamedColumn[],
  batches: readonly ColumnBatch[],
) => { readonly sql: string };

/**
 * The rows of parts: schema columns, `__tablet`, and where they are wanted `__ord` and `__version`. Files are read where
 * they lie; inline parts come together as one source of rows.
 */
export function rowsSql(
  schema: TableSchema,
  parts: readonly PartInput[],
  open: OpenRows,
  versions: boolean,
): string {
  const columns: NamedColumn[] = [...schema.columns, ...hiddenColumns(schema, versions)];
  const selects = fileSelects(columns, parts, versions);
  const inline = parts.flatMap((part) => inlineRows(schema, part, versions) ?? []);
  if (inline.length > 0 || selects.length === 0) {
    const names = columns.map((column) => ident(column.name)).join(', ');
    selects.push(`SELECT ${names} FROM ${open(columns, inline).sql}`);
  }
  return selects.join(' UNION ALL ');
}

function fileSelects(
  columns: readonly NamedColumn[],
  parts: readonly PartInput[],
  versions: boolean,
): string[] {
  // Files of which the same is wanted are one scan.
  const scans = new Map<string, { part: PartInput; paths: string[] }>();
  for (const part of parts) {
    if (part.data.kind !== 'file' || part.tablets.length === 0) continue;
    const own = versions && !part.merged;
    const tablets = part.tablets.map((t) => (own ? `${t.tabletId}@${t.version}` : t.tabletId));
    const wanted = isWhole(part) && !own ? 'whole' : tablets.map(String).sort().join();
    const key = `${own}:${wanted}`;
    const scan = scans.get(key);
    if (scan === undefined) scans.set(key, { part, paths: [part.data.path] });
    else scan.paths.push(part.data.path);
  }
  return [...scans.values()].map(({ part, paths }) => {
    const { tablets, merged } = part;
    const items = columns.map(({ name, type }) => {
      if (name !== '__version' || merged) {
        const column = ident(name);
        // Parquet has no 128-bit integers: they went as text.
        return type.name === 'LARGEINT' ? `CAST(${column} AS HUGEINT) AS ${column}` : column;
      }
      const whens = tablets.map((t) => `WHEN ${t.tabletId} THEN ${t.version}`).join(' ');
      return `CAST(CASE __tablet ${whens} END AS BIGINT) AS __version`;
    });
    const ids = tablets.map((t) => t.tabletId).join(', ');
    const where = isWhole(part) ? '' : ` WHERE __tablet IN (${ids})`;
    return `SELECT ${items.join(', ')} FROM read_parquet([${paths.map(text).join(', ')}])${where}`;
  });
}

/** Whether the tablets that are wanted are all that the part has. */
export function isWhole({ rows, tablets }: PartInput): boolean {
  return rows !== undefined && rows === countOf(tablets);
}

function countOf(tablets: PartInput['tablets']): number | undefined {
  let sum = 0;
  for (const { rows } of tablets) {
    if (rows === undefined) return undefined;
    sum += rows;
  }
  return sum;
}

/** An inline part's rows of the tablets that are wanted, in the columns of `rowsSql`. */
function inlineRows(
  schema: TableSchema,
  part: PartInput,
  versions: boolean,
): ColumnBatch | undefined {
  if (part.data.kind !== 'inline' || part.tablets.length === 0) return undefined;
  const stored = decodeBatch(part.data.bytes);
  const width = schema.columns.length;
  const ids = stored.columns[width];
  if (ids?.kind !== 'i64') throw new LoadError('PART_DAMAGED', 'a part lacks its tablets');
  const versionOf = new Map(part.tablets.map((t) => [BigInt(t.tabletId), BigInt(t.version)]));
  const rows: number[] = [];
  for (let i = 0; i < stored.rows; i++) if (versionOf.has(ids.values[i]!)) rows.push(i);
  const batch = rows.length === stored.rows ? stored : takeRows(stored, Uint32Array.from(rows));
  const kept = batch.columns.slice(0, width + (isOrdered(schema) ? 2 : 1));
  if (!versions) return { rows: batch.rows, columns: kept };
  if (part.merged) return { rows: batch.rows, columns: [...kept, batch.columns.at(-1)!] };
  const tablets = kept[width] as typeof ids;
  const values = tablets.values.map((id) => versionOf.get(id) ?? 0n);
  return { rows: batch.rows, columns: [...kept, { kind: 'i64', valid: null, values }] };
}

/** DUPLICATE: the rows as they are. AGGREGATE: one row a key, whatever the order of files, scans and threads (P2). */
export function mergedSql(schema: TableSchema, rows: string, hidden: boolean): string {
  const tail = hidden ? hiddenColumns(schema, true).map(({ name }) => name) : [];
  if (schema.model === 'DUPLICATE') {
    const names = [...schema.columns.map(({ name }) => ident(name)), ...tail];
    return `SELECT ${names.join(', ')} FROM (${rows})`;
  }
  const keys = schema.columns.filter((column) => column.isKey).map(({ name }) => ident(name));
  const items = [
    ...schema.columns.map((column) =>
      column.isKey ? ident(column.name) : `${aggregateSql(column)} AS ${ident(column.name)}`,
    ),
    ...tail.map((name) => (name === '__tablet' ? name : `max(${name}) AS ${name}`)),
  ];
  return `SELECT ${items.join(', ')} FROM (${rows}) GROUP BY ${[...keys, '__tablet'].join(', ')}`;
}

/** A row's place in the order of loading. A version and a position within a part are below 2^31 and 2^32. */
const PLACE = '(__version * 4294967296 + __ord)';

function aggregateSql(column: TableSchema['columns'][number]): string {
  const name = ident(column.name);
  const type = duckType(column.type);
  switch (column.agg) {
    case 'REPLACE':
      return `arg_max_null(${name}, ${PLACE})`;
    case 'REPLACE_IF_NOT_NULL':
      return `arg_max(${name}, ${PLACE})`;
    case 'SUM':
      return sumSql(name, column.type.name, type);
    case 'MIN':
    case 'MAX':
      return `${column.agg.toLowerCase()}(${name})`;
    default:
      return `any_value(${name})`;
  }
}

const BITS: Readonly<Record<string, number>> = { TINYINT: 8, SMALLINT: 16, INT: 32, BIGINT: 64 };

/**
 * Integers wrap around as they do there, which no order of adding can change; a sum that failed instead would leave the
 * table unreadable. Doubles are added with compensation: what is left of the order is below their last digits.
 */
function sumSql(name: string, typeName: string, type: string): string {
  const bits = BITS[typeName];
  if (bits !== undefined) {
    const [half, whole] = [2n ** BigInt(bits - 1), 2n ** BigInt(bits)];
    const sum = `sum(${name})`;
    const wrapped = `((((${sum} + ${half}::HUGEINT) % ${whole}::HUGEINT) + ${whole}::HUGEINT) % ${whole}::HUGEINT - ${half}::HUGEINT)`;
    return `CAST(${wrapped} AS ${type})`;
  }
  if (typeName === 'FLOAT' || typeName === 'DOUBLE') return `CAST(fsum(${name}) AS ${type})`;
  return `TRY_CAST(sum(${name}) AS ${type})`;
}
