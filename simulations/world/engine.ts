/**
 * The engine's stand-in (PROTOCOL.md E1): DUPLICATE KEY tables, AGGREGATE KEY tables whose values are sums of BIGINT, no
 * expressions, `SELECT *`. It computes in the step in which it is asked and refuses the rest. The way of rows without
 * expressions is the production code's own.
 */

import type { ColumnBatch, I64Column } from '../../src/base/column-batch.ts';
import { LoadError } from '../../src/base/errors.ts';
import type { TableSchema } from '../../src/base/table-schema.ts';
import type {
  BuiltPart,
  Engine,
  PartInput,
  PartSpec,
  PartWriter,
} from '../../src/engine/engine.types.ts';
import type { PreparedRows } from '../../src/engine/prepared-rows.ts';
import { Transformer } from '../../src/engine/transform.ts';
import { emptyBatch } from '../../src/formats/column-builder.ts';
import { decodeBatch, encodeBatch } from '../../src/formats/column-codec.ts';
import { concatBatches, takeRows } from '../../src/formats/column-rows.ts';
import { valueText } from '../../src/formats/value-text.ts';
import type { Disk } from './disk.ts';
import { inRanges, rangesOf } from './ranges.ts';

function unsupported(what: string): LoadError {
  return new LoadError('SIM_UNSUPPORTED', `the stand-in does not know ${what}`);
}

const i64 = (values: BigInt64Array): I64Column => ({ kind: 'i64', values, valid: null });

interface Rows {
  readonly batch: ColumnBatch;
  readonly tablets: readonly number[];
  readonly versions: readonly number[];
}

/** One row a tablet and key; its version is the newest of what went into it. */
function summed({ columns }: TableSchema, { batch, tablets, versions }: Rows): Rows {
  const groups = new Map<string, { first: number; version: number; sums: (bigint | null)[] }>();
  const values = columns.flatMap((column, i) => (column.isKey ? [] : [i]));
  for (const i of values) {
    const isSum = columns[i]?.agg === 'SUM' && columns[i]?.type.name === 'BIGINT';
    if (!isSum) throw unsupported(`${columns[i]?.agg} of ${columns[i]?.type.name}`);
  }
  const at = (i: number, row: number): bigint | null => {
    const column = batch.columns[i] as I64Column;
    return column.valid !== null && column.valid[row] === 0 ? null : (column.values[row] ?? null);
  };
  for (let row = 0; row < batch.rows; row++) {
    const key = columns.map(({ isKey, type }, i) =>
      isKey ? valueText(batch.columns[i] as never, row, type) : null,
    );
    const name = JSON.stringify([tablets[row], key]);
    const version = versions[row] as number;
    const group = groups.get(name);
    if (group === undefined) {
      groups.set(name, { first: row, version, sums: values.map((i) => at(i, row)) });
      continue;
    }
    group.version = Math.max(group.version, version);
    group.sums = group.sums.map((sum, n) => {
      const more = at(values[n] as number, row);
      return sum === null ? more : more === null ? sum : BigInt.asIntN(64, sum + more);
    });
  }
  const all = [...groups.values()];
  const kept = takeRows(
    batch,
    Uint32Array.from(all, ({ first }) => first),
  );
  const summedColumns = kept.columns.map((column, i) => {
    const n = values.indexOf(i);
    if (n < 0) return column;
    const sums = all.map((group) => group.sums[n] ?? null);
    return {
      kind: 'i64' as const,
      values: BigInt64Array.from(sums, (sum) => sum ?? 0n),
      valid: sums.includes(null) ? Uint8Array.from(sums, (sum) => (sum === null ? 0 : 1)) : null,
    };
  });
  return {
    batch: { rows: all.length, columns: summedColumns },
    tablets: all.map(({ first }) => tablets[first] as number),
    versions: all.map(({ version }) => version),
  };
}

/** What mutants change of it. */
export interface EngineHooks {
  /** Rows of a part as it is finished. */
  readonly finish?: (batch: ColumnBatch) => ColumnBatch;
}

export function standInEngine(
  disk: Disk,
  fileBytesMin: number,
  hooks: EngineHooks = {},
  tell: (moment: string) => void = () => {},
): Engine {
  const transformer = new Transformer(
    new Proxy({} as PreparedRows, {
      get: () => {
        throw unsupported('expressions');
      },
    }),
  );

  const build = (spec: PartSpec, rows: ColumnBatch, tablets: readonly number[]): BuiltPart => {
    const counts = new Map<number, number>();
    for (const tablet of tablets) counts.set(tablet, (counts.get(tablet) ?? 0) + 1);
    const kept = hooks.finish === undefined ? rows : hooks.finish(rows);
    const bytes = encodeBatch(kept);
    const isFile = bytes.length > Math.min(fileBytesMin, spec.inlineBytesMax);
    if (isFile) disk.writeFile(spec.path, bytes);
    return {
      rows: rows.rows,
      tablets: [...counts].map(([tabletId, count]) => ({ tabletId, rows: count })),
      data: isFile
        ? { kind: 'file', path: spec.path, length: bytes.length }
        : { kind: 'inline', bytes },
      ...(isFile ? { ranges: rangesOf(spec.schema, kept) } : {}),
    };
  };

  const grouped = (rows: ColumnBatch, tablets: Float64Array) => {
    const order = Uint32Array.from(tablets.keys()).sort(
      (a, b) => (tablets[a] as number) - (tablets[b] as number) || a - b,
    );
    return {
      rows: takeRows(rows, order),
      tablets: [...order].map((row) => tablets[row] as number),
    };
  };

  const withHidden = (
    rows: ColumnBatch,
    tablets: readonly number[],
    versions?: readonly number[],
  ) => ({
    rows: rows.rows,
    columns: [
      ...rows.columns,
      i64(BigInt64Array.from(tablets.map(BigInt))),
      ...(versions === undefined ? [] : [i64(BigInt64Array.from(versions.map(BigInt)))]),
    ],
  });

  /** Rows of a part that belong to its tablets, at or below their versions. */
  const read = (schema: TableSchema, part: PartInput) => {
    const { data } = part;
    const batch = decodeBatch(data.kind === 'inline' ? data.bytes : disk.readFile(data.path));
    const wanted = new Map(part.tablets.map(({ tabletId, version }) => [tabletId, version]));
    const width = schema.columns.length;
    const hidden = batch.columns[width] as I64Column;
    const merged = part.merged ? (batch.columns[width + 1] as I64Column) : undefined;
    const rows: number[] = [];
    const tablets: number[] = [];
    const versions: number[] = [];
    const isIn = inRanges(schema, part, batch);
    for (let row = 0; row < batch.rows; row++) {
      const tablet = Number(hidden.values[row]);
      const version = wanted.get(tablet);
      if (version === undefined || !isIn(row)) continue;
      rows.push(row);
      tablets.push(tablet);
      versions.push(merged === undefined ? version : Number(merged.values[row]));
    }
    const plain = { rows: batch.rows, columns: batch.columns.slice(0, width) };
    return { batch: takeRows(plain, Uint32Array.from(rows)), tablets, versions };
  };

  const rowsOf = (schema: TableSchema, parts: readonly PartInput[]): Rows => {
    const types = schema.columns.map(({ type }) => type);
    const pieces = parts.map((part) => read(schema, part));
    const batch =
      pieces.length === 0 ? emptyBatch(types) : concatBatches(pieces.map((piece) => piece.batch));
    const tablets = pieces.flatMap((piece) => piece.tablets);
    const versions = pieces.flatMap((piece) => piece.versions);
    const rows = { batch, tablets, versions };
    return schema.model === 'AGGREGATE' ? summed(schema, rows) : rows;
  };

  return {
    transform: (plan, input, signal) => transformer.transform(plan, input, signal),
    openPart(spec): PartWriter {
      const held: ColumnBatch[] = [];
      const ids: number[] = [];
      return {
        async append(batch, tabletIds) {
          held.push(batch);
          ids.push(...tabletIds);
        },
        get rows() {
          return ids.length;
        },
        get bytes() {
          return ids.length * 16;
        },
        async finish() {
          tell('part finished');
          const all = grouped(
            held.length === 0
              ? emptyBatch(spec.schema.columns.map(({ type }) => type))
              : concatBatches(held),
            Float64Array.from(ids),
          );
          return build(spec, withHidden(all.rows, all.tablets), all.tablets);
        },
        async discard() {},
      };
    },
    async merge(spec, parts) {
      const { batch, tablets, versions } = rowsOf(spec.schema, parts);
      return build(spec, withHidden(batch, tablets, versions), tablets);
    },
    async query(plan, tables) {
      const { body } = plan.select;
      const [table] = tables;
      if (body.kind !== 'select' || body.where !== undefined || table?.kind !== 'stored') {
        throw unsupported('this query');
      }
      const { schema, parts } = table;
      const { batch: all } = rowsOf(schema, parts);
      async function* batches() {
        yield all;
      }
      return {
        columns: schema.columns.map(({ name, type, nullable }) => ({ name, type, nullable })),
        batches: batches(),
        close: async () => {},
      };
    },
    close: async () => {},
  };
}
