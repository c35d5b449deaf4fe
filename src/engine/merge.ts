/** Parts of one schema into one, which DuckDB writes itself: no row comes through here unless the result is small. */
import { rm, stat } from 'node:fs/promises';
import type { ColumnBatch } from '../base/column-batch.ts';
import { BIGINT, VARCHAR } from '../base/sql-type.ts';
import { encodeBatch } from '../formats/column-codec.ts';
import { valueText } from '../formats/value-text.ts';
import type { NamedColumn } from './duckdb-types.ts';
import type { BuiltPart, ColumnRange, PartInput, PartSpec, PartTablet } from './engine.types.ts';
import { partRanges, type RowsRange, rangeOfTexts } from './part-ranges.ts';
import { hiddenColumns, mergedSql, rowsSql } from './parts-sql.ts';
import type { RowSource } from './row-source.ts';
import { ident, text } from './sql-text.ts';
import type { Statements } from './statements.ts';

const MERGED_FILE = 'FORMAT parquet, PARQUET_VERSION v2, COMPRESSION snappy';

export async function mergeParts(
  statements: Statements,
  spec: PartSpec,
  parts: readonly PartInput[],
  signal?: AbortSignal,
): Promise<BuiltPart> {
  const { schema, inlineBytesMax, path } = spec;
  const stored: NamedColumn[] = [...schema.columns, ...hiddenColumns(schema, true)];
  const sources: RowSource[] = [];
  const open = (...args: Parameters<Statements['openRows']>): RowSource => {
    const made = statements.openRows(...args);
    sources.push(made);
    return made;
  };
  try {
    const merged = mergedSql(schema, rowsSql(schema, parts, open, true), true);
    const sizes = parts.map(({ data }) =>
      data.kind === 'inline' ? data.bytes.length : data.length,
    );
    const inputBytes = sizes.reduce((sum, size) => sum + size, 0);
    if (inputBytes <= 2 * inlineBytesMax) {
      const batch = await statements.read(`${merged} ORDER BY __tablet`, stored, signal);
      const bytes = encodeBatch(batch);
      if (bytes.length <= inlineBytesMax)
        return {
          rows: batch.rows,
          tablets: tabletsOf(batch, schema.columns.length),
          data: { kind: 'inline', bytes },
        };
    }
    return await writeFile();

    async function writeFile(): Promise<BuiltPart> {
      // Parquet has no 128-bit integers: they go as text.
      const items = stored.map(({ name, type }) =>
        type.name === 'LARGEINT'
          ? `CAST(${ident(name)} AS VARCHAR) AS ${ident(name)}`
          : ident(name),
      );
      // Joined rows keep their order; merged ones come in none, and sorted by key they are smaller and pruned better.
      const keys = schema.columns.filter(({ isKey }) => isKey).map(({ name }) => ident(name));
      const order =
        schema.model === 'DUPLICATE' ? '' : ` ORDER BY ${['__tablet', ...keys].join(', ')}`;
      const from = `SELECT ${items.join(', ')} FROM (${merged})${order}`;
      await statements.run(`COPY (${from}) TO ${text(path)} (${MERGED_FILE})`, signal);
      const counted = await statements.read(
        `SELECT __tablet, count(*) FROM read_parquet(${text(path)}) GROUP BY 1 ORDER BY 1`,
        [
          { name: 'tablet', type: BIGINT },
          { name: 'rows', type: BIGINT },
        ],
        signal,
      );
      const [ids, counts] = counted.columns;
      const tablets = bigs(ids).map((id, i) => ({
        tabletId: Number(id),
        rows: Number(bigs(counts)[i]),
      }));
      const { size } = await stat(path);
      const rows = tablets.reduce((sum, tablet) => sum + tablet.rows, 0);
      const ranges = await writtenRanges(statements, spec, signal);
      return { rows, tablets, data: { kind: 'file', path, length: size }, ranges };
    }
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    for (const source of sources) source.close();
  }
}

/** From the file's footer: DuckDB has noted them with each row group. */
async function writtenRanges(
  statements: Statements,
  { schema, path }: PartSpec,
  signal?: AbortSignal,
): Promise<readonly ColumnRange[]> {
  const { rows, columns } = await statements.read(
    `SELECT column_id, coalesce(num_values = stats_null_count, false), stats_min_value, stats_max_value FROM parquet_metadata(${text(path)})`,
    [
      { name: 'column', type: BIGINT },
      { name: 'empty', type: { name: 'BOOLEAN' } },
      { name: 'low', type: VARCHAR },
      { name: 'high', type: VARCHAR },
    ],
    signal,
  );
  const ids = bigs(columns[0]);
  const [empty, lows, highs] = [columns[1]!, columns[2]!, columns[3]!];
  const found = new Map<number, RowsRange[]>();
  for (let row = 0; row < rows; row++) {
    const position = Number(ids[row]);
    const type = schema.columns[position]?.type;
    if (type === undefined) continue;
    const [low, high] = [valueText(lows, row, VARCHAR), valueText(highs, row, VARCHAR)];
    const isEmpty = valueText(empty, row, { name: 'TINYINT' }) === '1';
    const range = low === null || high === null ? undefined : rangeOfTexts(type.name, low, high);
    const list = found.get(position) ?? [];
    list.push(isEmpty ? null : range);
    found.set(position, list);
  }
  return partRanges(schema, (position) => found.get(position) ?? []);
}

function bigs(column: ColumnBatch['columns'][number] | undefined): bigint[] {
  return column?.kind === 'i64' ? [...column.values] : [];
}

/** Rows that lie by tablet. */
function tabletsOf(batch: ColumnBatch, at: number): PartTablet[] {
  const tablets: { tabletId: number; rows: number }[] = [];
  for (const id of bigs(batch.columns[at])) {
    const last = tablets.at(-1);
    if (last?.tabletId === Number(id)) last.rows += 1;
    else tablets.push({ tabletId: Number(id), rows: 1 });
  }
  return tablets;
}
