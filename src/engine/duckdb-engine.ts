/** The engine in production: one locked DuckDB instance in memory, which spills to `tempDir` (PROTOCOL.md E1). */
import { stat } from 'node:fs/promises';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import type { ColumnBatch } from '../base/column-batch.ts';
import { LoadError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { BIGINT, type SqlType } from '../base/sql-type.ts';
import type { TableSchema } from '../base/table-schema.ts';
import { castTextColumn } from '../formats/cast/text-cast.ts';
import { concatBatches, createBuilder, emptyBatch, takeRows } from '../formats/column-builder.ts';
import { decodeBatch, encodeBatch } from '../formats/column-codec.ts';
import { appendBatch, createTemp, type NamedColumn, readChunk, sqlTypeOf } from './duckdb-io.ts';
import type * as T from './engine.types.ts';
import { checkSink } from './sink.ts';
import { castSql, duckType, exprSql, ident, MACROS, selectSql, text } from './translate.ts';

export interface DuckDbEngineOptions {
  readonly tempDir: string;
  readonly memoryLimitMb: number;
  readonly threads?: number;
  /** Where parts lie: with `tempDir` all that the instance may touch. */
  readonly partDirs: readonly string[];
  readonly log?: Log;
}

const STATEMENTS = 4;
const ordered = (s: TableSchema): boolean => s.columns.some((c) => c.agg?.startsWith('REPLACE'));

function hiddenColumns(schema: TableSchema, merged: boolean): NamedColumn[] {
  const names = [
    '__tablet',
    ...(ordered(schema) ? ['__ord'] : []),
    ...(merged ? ['__version'] : []),
  ];
  return names.map((name) => ({ name, type: BIGINT }));
}

function bigs(values: Iterable<number | bigint>): ColumnBatch['columns'][number] {
  return {
    kind: 'i64',
    values: BigInt64Array.from([...values].map((v) => BigInt(v))),
    valid: null,
  };
}

export async function createDuckDbEngine(options: DuckDbEngineOptions): Promise<T.Engine> {
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: `${options.memoryLimitMb}MB`,
    threads: String(options.threads ?? 2),
    temp_directory: options.tempDir,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
  const first = await instance.connect();
  for (const macro of MACROS) await first.run(macro);
  const dirs = [...options.partDirs, options.tempDir].map(text).join(', ');
  await first.run(`SET allowed_directories = [${dirs}]`);
  await first.run('SET enable_external_access = false');
  await first.run('SET lock_configuration = true');
  first.closeSync();

  const open = new Set<DuckDBConnection>();
  const waiting: (() => void)[] = [];
  let idle: (() => void) | undefined;
  let closed = false;

  const acquire = async (signal?: AbortSignal) => {
    while (open.size >= STATEMENTS && !closed) await new Promise<void>((go) => waiting.push(go));
    if (closed) throw new LoadError('ENGINE_CLOSED', 'the engine is closed', { transient: true });
    signal?.throwIfAborted();
    const slot = {} as DuckDBConnection;
    open.add(slot);
    const connection = await instance.connect();
    open.delete(slot);
    open.add(connection);
    const stop = () => connection.interrupt();
    signal?.addEventListener('abort', stop);
    let done = false;
    return {
      connection,
      release: () => {
        if (done) return;
        done = true;
        signal?.removeEventListener('abort', stop);
        connection.closeSync();
        open.delete(connection);
        waiting.shift()?.();
        if (open.size === 0) idle?.();
      },
    };
  };
  const using = async <R>(
    signal: AbortSignal | undefined,
    f: (c: DuckDBConnection) => Promise<R>,
  ) => {
    const { connection, release } = await acquire(signal);
    try {
      return await f(connection);
    } catch (error) {
      throw wrap(error);
    } finally {
      release();
    }
  };

  async function readAll(c: DuckDBConnection, sql: string, types?: readonly SqlType[]) {
    const result = await c.stream(sql);
    const made = types ?? result.columnTypes().map((type) => sqlTypeOf(type, false));
    const batches: ColumnBatch[] = [];
    for (
      let chunk = await result.fetchChunk();
      chunk !== null && chunk.rowCount > 0;
      chunk = await result.fetchChunk()
    )
      batches.push(readChunk(chunk, made));
    return { types: made, batch: batches.length === 0 ? emptyBatch(made) : concatBatches(batches) };
  }

  /** The rows of parts in a temp table: schema columns, __tablet, __ord, __version. */
  async function loadParts(
    c: DuckDBConnection,
    table: string,
    schema: TableSchema,
    parts: readonly T.PartInput[],
  ) {
    const columns: NamedColumn[] = [
      ...schema.columns,
      ...['__tablet', '__ord', '__version'].map((name) => ({ name, type: BIGINT })),
    ];
    await createTemp(c, table, columns);
    for (const part of parts) {
      if (part.tablets.length === 0) continue;
      const stored = [...schema.columns, ...hiddenColumns(schema, part.merged)];
      const at = (name: string): number => stored.findIndex((s) => s.name === name);
      const versions = new Map(part.tablets.map((t) => [BigInt(t.tabletId), t.version]));
      if (part.data.kind === 'file') {
        const picked = schema.columns.map((s) => `CAST(${ident(s.name)} AS ${duckType(s.type)})`);
        const version = `CASE __tablet ${part.tablets.map((t) => `WHEN ${t.tabletId} THEN ${t.version}`).join(' ')} END`;
        await c.run(
          `INSERT INTO ${ident(table)} SELECT ${[...picked, '__tablet', at('__ord') < 0 ? '0' : '__ord', part.merged ? '__version' : version].join(', ')} FROM read_parquet(${text(part.data.path)}) WHERE __tablet IN (${part.tablets.map((t) => t.tabletId).join(', ')})`,
        );
        continue;
      }
      const all = decodeBatch(part.data.bytes);
      const ids = all.columns[at('__tablet')];
      if (ids?.kind !== 'i64') throw new LoadError('PART_DAMAGED', 'a part lacks its tablets');
      const rows: number[] = [];
      for (let i = 0; i < all.rows; i++) if (versions.has(ids.values[i]!)) rows.push(i);
      const batch = takeRows(all, Uint32Array.from(rows));
      const tablets = batch.columns[at('__tablet')]!;
      const list = tablets.kind === 'i64' ? [...tablets.values] : [];
      await appendBatch(c, table, columns, {
        rows: batch.rows,
        columns: [
          ...batch.columns.slice(0, schema.columns.length),
          tablets,
          at('__ord') < 0 ? bigs(list.map(() => 0n)) : batch.columns[at('__ord')]!,
          part.merged
            ? batch.columns[at('__version')]!
            : bigs(list.map((id) => versions.get(id) ?? 0)),
        ],
      });
    }
  }

  function mergedSql(schema: TableSchema, table: string, hidden: boolean): string {
    if (schema.model === 'DUPLICATE') {
      const names = schema.columns.map((c) => ident(c.name));
      const tail = hidden ? hiddenColumns(schema, true).map((h) => h.name) : [];
      return `SELECT ${[...names, ...tail].join(', ')} FROM ${ident(table)}`;
    }
    const keys = schema.columns.filter((c) => c.isKey).map((c) => ident(c.name));
    const items = schema.columns.map((c) => {
      const name = ident(c.name);
      if (c.isKey) return name;
      if (c.agg?.startsWith('REPLACE'))
        return `${c.agg === 'REPLACE' ? 'arg_max_null' : 'arg_max'}(${name}, row(__version, __ord)) AS ${name}`;
      return `CAST(${c.agg ?? 'any_value'}(${name}) AS ${duckType(c.type)}) AS ${name}`;
    });
    const tail = hidden
      ? [
          '__tablet',
          ...(ordered(schema) ? ['max(__ord) AS __ord'] : []),
          'max(__version) AS __version',
        ]
      : [];
    return `SELECT ${[...items, ...tail].join(', ')} FROM ${ident(table)} GROUP BY ${[...keys, '__tablet'].join(', ')}`;
  }

  async function build(
    spec: T.PartSpec,
    stored: readonly NamedColumn[],
    batch: ColumnBatch,
  ): Promise<T.BuiltPart> {
    const ids = batch.columns[spec.schema.columns.length]!;
    const tablets: { tabletId: number; rows: number }[] = [];
    if (ids.kind === 'i64')
      for (const id of ids.values) {
        const last = tablets.at(-1);
        if (last?.tabletId === Number(id)) last.rows++;
        else tablets.push({ tabletId: Number(id), rows: 1 });
      }
    const bytes = encodeBatch(batch);
    if (bytes.length <= spec.inlineBytesMax)
      return { rows: batch.rows, tablets, data: { kind: 'inline', bytes } };
    await using(undefined, async (c) => {
      await createTemp(c, 'part', stored);
      await appendBatch(c, 'part', stored, batch);
      // Parquet has no 128-bit integers: they go as text.
      const items = stored.map((s) =>
        s.type.name === 'LARGEINT'
          ? `CAST(${ident(s.name)} AS VARCHAR) AS ${ident(s.name)}`
          : ident(s.name),
      );
      await c.run(
        `COPY (SELECT ${items.join(', ')} FROM part) TO ${text(spec.path)} (FORMAT parquet)`,
      );
    });
    const { size } = await stat(spec.path);
    return { rows: batch.rows, tablets, data: { kind: 'file', path: spec.path, length: size } };
  }

  return {
    transform: async (plan, input, signal) => {
      const { schema, sources, context } = plan;
      const all = Uint32Array.from({ length: input.rows }, (_, i) => i);
      const columns: (ColumnBatch['columns'][number] | undefined)[] = sources.map((source, i) => {
        const { type } = schema.columns[i]!;
        if (source.kind === 'field') {
          const column = input.columns[source.field]!;
          const from = plan.fields[source.field]!.type;
          // A field that expressions use as well is read as text (semantics.md 2.1, rule 3).
          return column.kind === 'bytes' && from.name === 'VARCHAR' && type.name !== 'VARCHAR'
            ? castTextColumn(column, input.rows, type, 'reader')
            : column;
        }
        if (source.kind === 'expr') return undefined;
        const builder = createBuilder({ name: 'VARCHAR' }, input.rows);
        const value =
          source.kind === 'null'
            ? null
            : source.kind === 'literal'
              ? source.text
              : new Date(context.nowMs).toISOString().slice(0, 19).replace('T', ' ');
        for (let row = 0; row < input.rows; row++)
          value === null ? builder.appendNull() : builder.appendText(value);
        const made = builder.finish();
        return made.kind === 'bytes' ? castTextColumn(made, input.rows, type, 'cast') : made;
      });
      if (plan.where === undefined && columns.every((c) => c !== undefined))
        return checkSink(
          schema,
          { rows: input.rows, columns: columns as ColumnBatch['columns'] },
          all,
          0,
        );
      return using(signal, async (c) => {
        const fields = plan.fields.map((f, i) => ({ name: `f${i}`, type: f.type }));
        const made = columns.map((_, i) => ({ name: `c${i}`, type: schema.columns[i]!.type }));
        const kept = made.filter((_, i) => columns[i] !== undefined);
        const temp = [...fields, ...kept, { name: 'row', type: BIGINT }];
        await createTemp(c, 'input', temp);
        await appendBatch(c, 'input', temp, {
          rows: input.rows,
          columns: [...input.columns, ...columns.filter((x) => x !== undefined), bigs(all)],
        });
        const fieldOf = (path: readonly string[]): string => {
          const at = plan.fields.findIndex(
            (f) => f.name.toLowerCase() === path.at(-1)?.toLowerCase(),
          );
          if (at < 0)
            throw new LoadError(
              'SQL_UNKNOWN_COLUMN',
              `Column '${path.at(-1)}' cannot be resolved`,
              { errno: 1054 },
            );
          return `f${at}`;
        };
        const items = sources.map((s, i) =>
          s.kind === 'expr' ? `${exprSql(s.expr, { context, column: fieldOf })} AS c${i}` : `c${i}`,
        );
        const raw = await readAll(
          c,
          `SELECT ${[...items, 'row'].join(', ')} FROM input ORDER BY row`,
        );
        const cast: ColumnBatch['columns'][number][] = [];
        for (const [i, s] of sources.entries()) {
          const { type } = schema.columns[i]!;
          const column = raw.batch.columns[i]!;
          if (s.kind !== 'expr') cast.push(columns[i]!);
          else if (column.kind === 'bytes')
            cast.push(castTextColumn(column, input.rows, type, 'cast'));
          else {
            const sql = castSql(`(${items[i]!.replace(/ AS c\d+$/, '')})`, type);
            cast.push(
              (await readAll(c, `SELECT ${sql} FROM input ORDER BY row`, [type])).batch.columns[0]!,
            );
          }
        }
        const batch = { rows: input.rows, columns: cast };
        if (plan.where === undefined) return checkSink(schema, batch, all, 0);
        const target = [...made, { name: 'row', type: BIGINT }];
        await createTemp(c, 'output', target);
        await appendBatch(c, 'output', target, { rows: input.rows, columns: [...cast, bigs(all)] });
        const where = exprSql(plan.where, {
          context,
          column: (path) => {
            const at = schema.columns.findIndex(
              (x) => x.name.toLowerCase() === path.at(-1)?.toLowerCase(),
            );
            return at < 0 ? `input.${fieldOf(path)}` : `output.c${at}`;
          },
        });
        const chosen = await readAll(
          c,
          `SELECT output.row FROM output JOIN input ON input.row = output.row WHERE ${where} ORDER BY 1`,
        );
        const rowsOf = chosen.batch.columns[0]!;
        const rows = Uint32Array.from(rowsOf.kind === 'i64' ? [...rowsOf.values].map(Number) : []);
        return checkSink(schema, takeRows(batch, rows), rows, input.rows - rows.length);
      });
    },

    openPart: (spec) => {
      const batches: ColumnBatch[] = [];
      const ids: number[] = [];
      let bytes = 0;
      return {
        append: async (batch, tabletIds) => {
          batches.push(batch);
          for (const id of tabletIds) ids.push(id);
          for (const c of batch.columns)
            bytes += c.kind === 'bytes' ? c.data.length : c.values.byteLength;
        },
        get rows() {
          return ids.length;
        },
        get bytes() {
          return bytes;
        },
        finish: async () => {
          const stored = [...spec.schema.columns, ...hiddenColumns(spec.schema, false)];
          const types = spec.schema.columns.map((c) => c.type);
          const joined = batches.length === 0 ? emptyBatch(types) : concatBatches(batches);
          const order = Uint32Array.from(ids, (_, i) => i).sort(
            (a, b) => ids[a]! - ids[b]! || a - b,
          );
          const grouped = takeRows(joined, order);
          const hidden = [
            bigs([...order].map((i) => ids[i]!)),
            ...(ordered(spec.schema) ? [bigs(order)] : []),
          ];
          return build(spec, stored, {
            rows: grouped.rows,
            columns: [...grouped.columns, ...hidden],
          });
        },
        discard: async () => {
          batches.length = 0;
        },
      };
    },

    merge: async (spec, parts, signal) => {
      const stored = [...spec.schema.columns, ...hiddenColumns(spec.schema, true)];
      const { batch } = await using(signal, async (c) => {
        await loadParts(c, 'merging', spec.schema, parts);
        const sql = `SELECT * FROM (${mergedSql(spec.schema, 'merging', true)}) ORDER BY __tablet`;
        return readAll(
          c,
          sql,
          stored.map((s) => s.type),
        );
      });
      return build(spec, stored, batch);
    },

    query: async (plan, tables, signal) => {
      const { connection: c, release } = await acquire(signal);
      try {
        const names = new Map<string, string>();
        for (const [i, table] of tables.entries()) {
          names.set(`${table.db}\0${table.name}`.toLowerCase(), `v${i}`);
          if (table.kind === 'rows') {
            await createTemp(c, `v${i}`, table.columns);
            await appendBatch(c, `v${i}`, table.columns, table.batch);
          } else {
            await loadParts(c, `t${i}`, table.schema, table.parts);
            await c.run(`CREATE TEMP VIEW v${i} AS ${mergedSql(table.schema, `t${i}`, false)}`);
          }
        }
        const sql = selectSql(plan.select, {
          context: plan.context,
          table: (db, name) => names.get(`${db}\0${name}`.toLowerCase()) ?? ident(name),
        });
        const result = await c.stream(sql);
        const large = tables.some((t) =>
          (t.kind === 'rows' ? t.columns : t.schema.columns).some(
            (x) => x.type.name === 'LARGEINT',
          ),
        );
        const columns = result.columnNames().map((name, i) => ({
          name,
          type: sqlTypeOf(result.columnType(i), large),
          nullable: true,
        }));
        const types = columns.map((x) => x.type);
        async function* pull(): AsyncGenerator<ColumnBatch, undefined> {
          try {
            for (;;) {
              const chunk = await result.fetchChunk();
              if (chunk === null || chunk.rowCount === 0) return;
              yield readChunk(chunk, types);
            }
          } catch (error) {
            throw wrap(error);
          } finally {
            release();
          }
        }
        return { columns, batches: pull(), close: async () => release() };
      } catch (error) {
        release();
        throw wrap(error);
      }
    },

    close: async () => {
      if (closed) return;
      closed = true;
      for (const go of waiting.splice(0)) go();
      for (const c of open) c.interrupt?.();
      if (open.size > 0) await new Promise<void>((go) => (idle = go));
      instance.closeSync();
    },
  };
}

function wrap(error: unknown): unknown {
  if (error instanceof LoadError || !(error instanceof Error)) return error;
  if (/interrupt/i.test(error.message))
    return new LoadError('ENGINE_CANCELLED', 'the statement was cancelled', {
      errno: 1317,
      cause: error,
    });
  return new LoadError('ENGINE_ERROR', error.message.split('\n')[0] ?? 'engine error', {
    cause: error,
  });
}
