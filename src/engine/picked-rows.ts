/**
 * A few rows of large parts, read here: for a statement whose WHERE leaves few row groups of a part that we wrote, the part
 * becomes an inline one with the rows that may be wanted. DuckDB would parse the part's footer with each statement, and
 * decode the row groups, to find the same.
 *
 *   K1. Only rows are left out that a condition of WHERE leaves out (part-pruning.ts R2 to R4); DuckDB still evaluates it.
 *   K2. What this cannot read, or what is not worth it, DuckDB reads: the part is given back as it came.
 */
import { type Column, type ColumnBatch, columnKind } from '../base/column-batch.ts';
import type { ColumnDef } from '../base/table-schema.ts';
import { emptyBatch } from '../formats/column-builder.ts';
import { encodeBatch } from '../formats/column-codec.ts';
import { concatBatches, takeColumn } from '../formats/column-rows.ts';
import type { Select } from '../sql/ast/select.ts';
import { eachPart } from '../sql/walk.ts';
import type * as T from './engine.types.ts';
import {
  isReadable,
  markedTexts,
  pageColumn,
  plainColumn,
  plainWidth,
  type TextMarks,
  textsFrom,
} from './parquet/page-read.ts';
import { physicalOf } from './parquet/parquet-types.ts';
import type { FooterChunk, FooterGroup } from './parquet/part-footer.ts';
import { PartFooters } from './part-footers.ts';
import { type RowTest, testsOn } from './part-pruning.ts';
import { rangeOfBytes } from './part-ranges.ts';
import { isWhole } from './parts-sql.ts';
import { ReadFile } from './read-file.ts';
import { RowZones } from './row-zones.ts';
import { rowsWithin, type Span } from './rows-within.ts';

/** Rows that are looked at, on the thread of the BE, and rows that come of it. */
const LOOKED_AT_MAX = 1024 * 1024;
const PICKED_MAX = 4_096;
/** Of values that are not those of the conditions: texts have to be read by the row group. */
const BYTES_MAX = 16 * 1024 * 1024;

type StoredTable = Extract<T.QueryTable, { kind: 'stored' }>;

/** Row groups of one part. */
interface Lookup {
  readonly part: T.PartInput;
  readonly path: string;
  /** Of each column of the schema, its place in the file. */
  readonly places: readonly number[];
  readonly groups: readonly FooterGroup[];
}

/** What all tests of one column leave. */
interface Condition {
  readonly position: number;
  readonly spans: readonly Span[];
}

interface Wanted {
  readonly columns: readonly ColumnDef[];
  /** Whether the statement has its name. */
  readonly named: readonly boolean[];
  readonly conditions: readonly Condition[];
  readonly signal: AbortSignal | undefined;
  rowsLeft: number;
  bytesLeft: number;
}

/** K2 */
class NotWorthIt extends Error {}

export class PickedRows {
  readonly #footers = new PartFooters();

  /** The parts, some of them made inline ones, some of them left out. */
  async of(
    select: Select,
    table: StoredTable,
    parts: readonly T.PartInput[],
    signal?: AbortSignal,
  ): Promise<readonly T.PartInput[]> {
    const { columns, model } = table.schema;
    if (model !== 'DUPLICATE') return parts;
    const tests = testsOn(select, table);
    if (tests.length === 0) return parts;
    const named = namedColumns(select, columns);
    if (columns.some(({ type }, i) => named[i] && !isReadable(type))) return parts;
    try {
      const lookups = await this.#lookups(columns, tests, parts);
      if (lookups.size === 0) return parts;
      const wanted = {
        columns,
        named,
        conditions: conditionsOf(columns, tests),
        signal,
        rowsLeft: PICKED_MAX,
        bytesLeft: BYTES_MAX,
      };
      const made: T.PartInput[] = [];
      for (const part of parts) {
        const lookup = lookups.get(part);
        if (lookup === undefined) made.push(part);
        else made.push(...(await pickedPart(lookup, wanted)));
      }
      return made;
    } catch {
      signal?.throwIfAborted();
      // DuckDB reads it, and says what is wrong where something is.
      return parts;
    }
  }

  async #lookups(
    columns: readonly ColumnDef[],
    tests: readonly RowTest[],
    parts: readonly T.PartInput[],
  ): Promise<ReadonlyMap<T.PartInput, Lookup>> {
    const lookups = new Map<T.PartInput, Lookup>();
    let rows = 0;
    for (const part of parts) {
      if (part.data.kind !== 'file' || part.merged || !isWhole(part)) continue;
      const { path, length } = part.data;
      const footer = await this.#footers.get(path, length);
      if (footer === undefined) continue;
      const places = columns.map(({ name }) => footer.columns.indexOf(name));
      const isSame = columns.every(({ type }, i) =>
        footer.groups.every(({ chunks }) => chunks[places[i]!]?.physical === physicalOf(type)),
      );
      if (!isSame) continue;
      const groups = footer.groups.filter((group) => mayHold(group, columns, places, tests));
      rows += groups.reduce((sum, group) => sum + group.rows, 0);
      if (rows > LOOKED_AT_MAX) throw new NotWorthIt();
      lookups.set(part, { part, path, places, groups });
    }
    return lookups;
  }
}

function conditionsOf(columns: readonly ColumnDef[], tests: readonly RowTest[]): Condition[] {
  const spansOf = new Map<number, readonly Span[]>();
  for (const { column, spans } of tests) {
    const position = columns.indexOf(column);
    spansOf.set(position, common(spansOf.get(position) ?? [EVERYWHERE], spans));
  }
  return [...spansOf].map(([position, spans]) => ({ position, spans }));
}

const EVERYWHERE: Span = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];

function common(some: readonly Span[], others: readonly Span[]): readonly Span[] {
  return some.flatMap(([low, high]) =>
    others
      .map(([least, most]): Span => [Math.max(low, least), Math.min(high, most)])
      .filter(([from, to]) => from <= to),
  );
}

function mayHold(
  { rows, chunks }: FooterGroup,
  columns: readonly ColumnDef[],
  places: readonly number[],
  tests: readonly RowTest[],
): boolean {
  return tests.every(({ column, mayHold }) => {
    const { nulls, range } = chunks[places[columns.indexOf(column)]!]!;
    // No condition holds for NULL.
    if (nulls === rows) return false;
    return range === undefined || mayHold(rangeOfBytes(column.type.name, range));
  });
}

async function pickedPart(
  { part, path, places, groups }: Lookup,
  wanted: Wanted,
): Promise<T.PartInput[]> {
  if (groups.length === 0) return [];
  const file = new ReadFile(path);
  const batches: ColumnBatch[] = [];
  try {
    // All of them, also when one has failed: nothing may be read from a file that is closed.
    const found = await allOf(
      groups.map((group) => pickedOf(new GroupReader(file, group, places, wanted), wanted)),
    );
    batches.push(...found.filter((one) => one !== undefined));
  } finally {
    file.close();
  }
  if (batches.length === 0) return [];
  const { rows, columns } = concatBatches(batches);
  // All tablets of the part are wanted, so whose a row is makes no difference.
  const values = new BigInt64Array(rows).fill(BigInt(part.tablets[0]!.tabletId));
  const tablets = { kind: 'i64', valid: null, values } as const;
  const bytes = encodeBatch({ rows, columns: [...columns, tablets] });
  return [{ ...part, data: { kind: 'inline', bytes } }];
}

async function pickedOf(group: GroupReader, wanted: Wanted): Promise<ColumnBatch | undefined> {
  const { columns, conditions, signal } = wanted;
  const [first, ...others] = conditions;
  let rows = await group.rowsOf(first!.position, first!.spans);
  wanted.rowsLeft -= rows.length;
  if (wanted.rowsLeft < 0) throw new NotWorthIt();
  for (const { position, spans } of others) {
    if (rows.length === 0) break;
    const values = await group.taken(position, rows);
    rows = rowsWithin(values, spans, rows.length).map((i) => rows[i]!);
  }
  signal?.throwIfAborted();
  if (rows.length === 0) return undefined;
  return {
    rows: rows.length,
    columns: await allOf(columns.map((_, i) => group.taken(i, rows))),
  };
}

/** What was seen of a chunk when it was read as a whole. */
interface Seen {
  readonly zones?: RowZones;
  readonly marks?: TextMarks;
}

const SEEN = new WeakMap<FooterChunk, Seen>();

/** As `Promise.all`, but nothing is under way any more when it rejects. */
async function allOf<R>(promises: readonly Promise<R>[]): Promise<R[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

class GroupReader {
  readonly #file: ReadFile;
  readonly #group: FooterGroup;
  readonly #places: readonly number[];
  readonly #wanted: Wanted;

  constructor(file: ReadFile, group: FooterGroup, places: readonly number[], wanted: Wanted) {
    this.#file = file;
    this.#group = group;
    this.#places = places;
    this.#wanted = wanted;
  }

  /** The rows whose values may lie within the spans. */
  async rowsOf(position: number, spans: readonly Span[]): Promise<Uint32Array> {
    const { rows } = this.#group;
    const chunk = this.#chunk(position);
    const stretches = SEEN.get(chunk)?.zones?.stretches(spans) ?? [[0, rows]];
    const found = await allOf(
      stretches.map(async ([from, to]) => {
        const values = this.#isPlain(position)
          ? await this.#plain(position, from, to)
          : await this.#whole(position);
        if (to - from === rows && chunk.nulls === 0 && !SEEN.has(chunk)) {
          const zones = RowZones.of(values, rows);
          SEEN.set(chunk, zones === undefined ? {} : { zones });
        }
        return rowsWithin(values, spans, to - from).map((row) => from + row);
      }),
    );
    if (found.length === 1) return found[0]!;
    return Uint32Array.from(found.flatMap((one) => [...one]));
  }

  /** Some rows of a column, in their order. Nobody asks what stands in one without a name in the statement. */
  async taken(position: number, rows: Uint32Array): Promise<Column> {
    const { columns, named } = this.#wanted;
    const { type } = columns[position]!;
    if (named[position] !== true) return nullsOf(type, rows.length);
    const from = rows[0]!;
    if (this.#isPlain(position)) {
      const column = await this.#plain(position, from, rows.at(-1)! + 1);
      return takeColumn(
        column,
        rows.map((row) => row - from),
      );
    }
    const chunk = this.#chunk(position);
    if (columnKind(type) !== 'bytes' || chunk.nulls > 0)
      return takeColumn(await this.#whole(position), rows);
    return this.#texts(chunk, rows);
  }

  #chunk(position: number): FooterChunk {
    return this.#group.chunks[this.#places[position]!]!;
  }

  #isPlain(position: number): boolean {
    const { type } = this.#wanted.columns[position]!;
    return this.#chunk(position).nulls === 0 && plainWidth(type) !== undefined;
  }

  /** They are the last bytes of the page. */
  async #plain(position: number, from: number, to: number): Promise<Column> {
    const { type } = this.#wanted.columns[position]!;
    const { offset, bytes } = this.#chunk(position);
    const width = plainWidth(type)!;
    const begin = offset + bytes - (this.#group.rows - from) * width;
    return plainColumn(await this.#bytes(begin, (to - from) * width), type);
  }

  async #whole(position: number): Promise<Column> {
    const { type } = this.#wanted.columns[position]!;
    const chunk = this.#chunk(position);
    return pageColumn(
      await this.#bytes(chunk.offset, chunk.bytes),
      type,
      this.#group.rows,
      chunk.nulls,
    );
  }

  /** Without NULLs. Lengths are read on from a mark, where there is one. */
  async #texts(chunk: FooterChunk, rows: Uint32Array): Promise<Column> {
    const count = this.#group.rows;
    const marks = SEEN.get(chunk)?.marks;
    const index = marks === undefined ? 0 : Math.floor((rows[0]! - 1) / marks.step);
    const isNear = marks !== undefined && index >= 0 && rows.at(-1)! < 1 + (index + 1) * marks.step;
    if (!isNear) {
      const read = markedTexts(await this.#bytes(chunk.offset, chunk.bytes), count);
      SEEN.set(chunk, { marks: read.marks });
      return takeColumn(read.column, rows);
    }
    const [mark, next] = [marks.marks[index]!, marks.marks[index + 1]];
    const endAt = next?.at ?? marks.textsAt;
    const lengths = await this.#bytes(chunk.offset + mark.at, endAt - mark.at);
    const offsets = textsFrom(marks, index, count, lengths);
    const first = 1 + index * marks.step;
    const [from, to] = [offsets[rows[0]! - first]!, offsets[rows.at(-1)! - first + 1]!];
    const at = chunk.offset + marks.textsAt + mark.offset + from;
    const data = await this.#bytes(at, to - from);
    return takeColumn(
      { kind: 'bytes', valid: null, offsets: offsets.map((offset) => offset - from), data },
      rows.map((row) => row - first),
    );
  }

  #bytes(at: number, length: number): Promise<Uint8Array> {
    this.#wanted.bytesLeft -= length;
    if (this.#wanted.bytesLeft < 0) throw new NotWorthIt();
    return this.#file.at(at, length);
  }
}

function nullsOf(type: ColumnDef['type'], rows: number): Column {
  const [none] = emptyBatch([type]).columns as [Column];
  const valid = new Uint8Array(rows);
  if (none.kind === 'bytes') return { ...none, valid, offsets: new Uint32Array(rows + 1) };
  const length = none.kind === 'i128' ? 2 * rows : rows;
  const values = new (none.values.constructor as Float64ArrayConstructor)(length);
  return { ...none, valid, values } as unknown as Column;
}

/** A column whose name stands nowhere in the statement is not asked for, unless a star asks for all. */
function namedColumns(select: Select, columns: readonly ColumnDef[]): readonly boolean[] {
  const words = new Set<string>();
  let isAll = false;
  eachPart(select, (part) => {
    if (typeof part === 'string') words.add(part.toLowerCase());
    else if ((part as { kind?: unknown } | null)?.kind === 'star') isAll = true;
  });
  return columns.map(({ name }) => isAll || words.has(name.toLowerCase()));
}
