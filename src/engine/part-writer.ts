/**
 * Rows to one part (PROTOCOL.md P1): inline below a limit, else one Parquet file, which grows by row groups as rows come.
 *
 * A part holds the rows of one row group at the most, and less where all open parts of an engine together would hold more
 * than `HeldBytes.max`. One group is written while the next is collected; whoever appends waits for the one before.
 */
import { rm } from 'node:fs/promises';
import { assert } from '../base/assert.ts';
import type { Column, ColumnBatch } from '../base/column-batch.ts';
import { LoadError } from '../base/errors.ts';
import { emptyBatch } from '../formats/column-builder.ts';
import { encodeBatch } from '../formats/column-codec.ts';
import { concatBatches, takeRows } from '../formats/column-rows.ts';
import type { NamedColumn } from './duckdb-types.ts';
import type * as T from './engine.types.ts';
import { ParquetFile } from './parquet/parquet-file.ts';
import { partRanges, rangeOfBytes } from './part-ranges.ts';
import { hiddenColumns, isOrdered } from './parts-sql.ts';
import { TabletNumbers } from './tablet-numbers.ts';

/** A batch of 64 Ki rows is a group by itself, also where some of its rows were left out. */
const GROUP_ROWS = 48 * 1024;
const GROUP_BYTES = 8 * 1024 * 1024;
/** Less is not worth a row group, whatever is held elsewhere. */
const GROUP_BYTES_MIN = 1024 * 1024;

/** Of rows that the open parts of one engine hold. */
export interface HeldBytes {
  total: number;
  readonly max: number;
}

export function openPartWriter(held: HeldBytes, spec: T.PartSpec): T.PartWriter {
  return new PartWriter(held, spec);
}

class PartWriter implements T.PartWriter {
  readonly #all: HeldBytes;
  readonly #spec: T.PartSpec;
  readonly #stored: readonly NamedColumn[];
  readonly #ordered: boolean;
  readonly #tablets = new TabletNumbers();
  #held: HeldBatch[] = [];
  #heldRows = 0;
  #heldBytes = 0;
  #rows = 0;
  #bytes = 0;
  #file: ParquetFile | undefined;
  /** Settled when nothing is under way; it never rejects. */
  #turn: Promise<unknown> = Promise.resolve();
  /** The group that is being written. */
  #writing: Promise<void> = Promise.resolve();
  readonly #stop = new AbortController();
  #ended = false;

  constructor(all: HeldBytes, spec: T.PartSpec) {
    this.#all = all;
    this.#spec = spec;
    const [tablet, ...others] = hiddenColumns(spec.schema, false);
    this.#stored = [...spec.schema.columns, ...others, tablet!];
    this.#ordered = isOrdered(spec.schema);
  }

  get rows(): number {
    return this.#rows;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async append(batch: ColumnBatch, tabletIds: Float64Array): Promise<void> {
    // Whoever gave the part up may have rows under way (I5).
    this.#stop.signal.throwIfAborted();
    assert(!this.#ended, 'a part that was finished takes no rows');
    assert(batch.rows === tabletIds.length, 'every row has a tablet');
    if (batch.rows === 0) return;
    const bytes = bytesOf(batch);
    const ordinals = this.#ordered ? [ordinalColumn(this.#rows, batch.rows)] : [];
    const numbers = this.#tablets.numbersOf(tabletIds);
    this.#held.push({ rows: batch.rows, columns: [...batch.columns, ...ordinals], numbers });
    this.#rows += batch.rows;
    this.#bytes += bytes;
    this.#heldRows += batch.rows;
    this.#heldBytes += bytes;
    this.#all.total += bytes;
    if (!this.#isGroup()) return;
    await this.#writing;
    this.#writing = this.#inTurn(() => this.#writeHeld());
    // Whoever appends next, or finishes, is told.
    this.#writing.catch(() => {});
  }

  async finish(): Promise<T.BuiltPart> {
    this.#ended = true;
    await this.#writing;
    return this.#inTurn(() => this.#finish());
  }

  async discard(): Promise<void> {
    this.#stop.abort(discarded());
    await this.#turn;
    this.#free();
    await this.#remove();
  }

  /** What is held is worth a row group; what may still be inline is not. */
  #isGroup(): boolean {
    if (this.#bytes <= this.#spec.inlineBytesMax) return false;
    if (this.#heldRows >= GROUP_ROWS || this.#heldBytes >= GROUP_BYTES) return true;
    const { total, max } = this.#all;
    return total > max && this.#heldBytes >= Math.min(GROUP_BYTES_MIN, max);
  }

  /** One after the other: the order of rows is the order of calls. */
  #inTurn<R>(act: () => Promise<R>): Promise<R> {
    const turn = this.#turn.then(act);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #writeHeld(): Promise<void> {
    const held = this.#held;
    if (held.length === 0) return;
    // They count until they are there.
    const bytes = this.#heldBytes;
    this.#held = [];
    this.#heldRows = 0;
    this.#heldBytes = 0;
    try {
      this.#stop.signal.throwIfAborted();
      this.#file ??= new ParquetFile(this.#spec.path, this.#stored);
      await this.#file.append(joined(held), this.#tablets.ids());
    } catch (error) {
      throw writeError(error);
    } finally {
      this.#all.total -= bytes;
    }
  }

  async #finish(): Promise<T.BuiltPart> {
    const { inlineBytesMax, path } = this.#spec;
    try {
      this.#stop.signal.throwIfAborted();
      const tablets = this.#tablets.counts();
      if (this.#file === undefined && this.#bytes <= inlineBytesMax) {
        const bytes = encodeBatch(this.#grouped());
        if (bytes.length <= inlineBytesMax)
          return { rows: this.#rows, tablets, data: { kind: 'inline', bytes } };
      }
      await this.#writeHeld();
      this.#stop.signal.throwIfAborted();
      this.#file ??= new ParquetFile(path, this.#stored);
      const length = await this.#file.finish();
      const ranges = rangesOf(this.#spec.schema, this.#file);
      return { rows: this.#rows, tablets, data: { kind: 'file', path, length }, ranges };
    } catch (error) {
      await this.#remove();
      throw writeError(error);
    } finally {
      this.#free();
    }
  }

  /** Rows by tablet, in the order of the source within each; `__tablet` behind the schema's columns. */
  #grouped(): ColumnBatch {
    if (this.#held.length === 0) return emptyBatch(this.#inlineTypes());
    const { rows, columns, numbers } = joined(this.#held);
    const ids = this.#tablets.ids();
    const values = new BigInt64Array(rows);
    for (let row = 0; row < rows; row++) values[row] = ids[numbers[row]!]!;
    const width = this.#spec.schema.columns.length;
    const all = [
      ...columns.slice(0, width),
      { kind: 'i64', valid: null, values } as const,
      ...columns.slice(width),
    ];
    if (ids.length <= 1) return { rows, columns: all };
    const order = Uint32Array.from(values, (_, i) => i).sort((a, b) => {
      const [x, y] = [values[a]!, values[b]!];
      return x < y ? -1 : x > y ? 1 : a - b;
    });
    return takeRows({ rows, columns: all }, order);
  }

  #inlineTypes() {
    const { schema } = this.#spec;
    return [...schema.columns, ...hiddenColumns(schema, false)].map(({ type }) => type);
  }

  async #remove(): Promise<void> {
    if (this.#file === undefined) return;
    await this.#file.close();
    await rm(this.#spec.path, { force: true });
  }

  #free(): void {
    this.#held = [];
    this.#heldRows = 0;
    this.#all.total -= this.#heldBytes;
    this.#heldBytes = 0;
  }
}

function rangesOf(schema: T.PartSpec['schema'], file: ParquetFile): readonly T.ColumnRange[] {
  return partRanges(schema, (position) => {
    const { name } = schema.columns[position]!.type;
    return file.statistics(position).map(({ rows, nulls, range }) => {
      if (nulls === rows) return null;
      return range && rangeOfBytes(name, range);
    });
  });
}

/** What the disk says fails the load, which is tried again; what we say stays as it is. */
function writeError(error: unknown): unknown {
  if (error instanceof LoadError || (error as { code?: unknown }).code === undefined) return error;
  const { code, message } = error as { code: string; message: string };
  return new LoadError('ENGINE_WRITE', `could not write a part: ${message}`, {
    details: { cause: code },
    hint: 'look at the disk of this backend',
    transient: true,
    cause: error,
  });
}

function discarded(): LoadError {
  return new LoadError('PART_DISCARDED', 'the part was given up', { transient: true });
}

/** Rows and, by its number, the tablet of each. */
interface HeldBatch extends ColumnBatch {
  readonly numbers: Uint16Array;
}

function joined(held: readonly HeldBatch[]): HeldBatch {
  if (held.length === 1) return held[0]!;
  const { rows, columns } = concatBatches(held);
  const numbers = new Uint16Array(rows);
  let at = 0;
  for (const one of held) {
    numbers.set(one.numbers, at);
    at += one.rows;
  }
  return { rows, columns, numbers };
}

/** Positions in the part, without a bigint for each. */
function ordinalColumn(from: number, rows: number): Column {
  const values = new BigInt64Array(rows);
  const words = new Uint32Array(values.buffer);
  for (let i = 0; i < rows; i++) words[2 * i] = from + i;
  return { kind: 'i64', valid: null, values };
}

/** Of the memory that the rows take. */
export function bytesOf(batch: ColumnBatch): number {
  let bytes = 0;
  for (const column of batch.columns) {
    bytes +=
      column.kind === 'bytes' ? column.data.length + 4 * batch.rows : column.values.byteLength;
    if (column.valid !== null) bytes += batch.rows;
  }
  return bytes;
}
