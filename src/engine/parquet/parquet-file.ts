/**
 * A Parquet file that grows by row groups as rows come, so that nothing is left to do at its end but the footer. Pages are
 * not compressed: their bytes are those of the columns, and compressing them would take longer than all else that is done
 * with a row. What is under way is bounded by the caller, who awaits each group.
 *
 * Not synced: whoever adopts the file does that (PROTOCOL.md D5).
 */
import { type FileHandle, open } from 'node:fs/promises';
import { assert } from '../../base/assert.ts';
import type { Column, ColumnBatch } from '../../base/column-batch.ts';
import type { SqlType } from '../../base/sql-type.ts';
import { dictionaryValues, ENCODING, type PageValues, pageValues } from './page-values.ts';
import { physicalOf, writeSchemaElement } from './parquet-types.ts';
import { ThriftWriter } from './thrift-writer.ts';
import { type ValueRange, valueRange } from './value-range.ts';

export interface FileColumn {
  readonly name: string;
  readonly type: SqlType;
}

/** Rows of one row group. Behind the batch's columns stands one more, a BIGINT, that few values make. */
export interface GroupBatch extends ColumnBatch {
  readonly numbers: Uint16Array;
}

const MAGIC = Buffer.from('PAR1');
const UNCOMPRESSED = 0;
const DATA_PAGE = 0;
const DICTIONARY_PAGE = 2;
const CREATED_BY = 'millrace';

interface Chunk {
  readonly offset: number;
  readonly bytes: number;
  /** Of the dictionary's page; 0: there is none. */
  readonly dictionaryBytes: number;
  readonly encoding: number;
  readonly nulls: number;
  readonly range: ValueRange | undefined;
}

interface Group {
  readonly rows: number;
  readonly chunks: readonly Chunk[];
}

export class ParquetFile {
  readonly #columns: readonly FileColumn[];
  readonly #path: string;
  readonly #groups: Group[] = [];
  #file: FileHandle | undefined;
  #length = 0;

  /** The last column is that of the dictionary. */
  constructor(path: string, columns: readonly FileColumn[]) {
    this.#path = path;
    this.#columns = columns;
  }

  /** One row group. Calls follow each other. */
  async append(batch: GroupBatch, dictionary: BigInt64Array): Promise<void> {
    const { rows } = batch;
    assert(batch.columns.length === this.#columns.length - 1, 'a group has all columns');
    const pieces: Uint8Array[] = this.#file === undefined ? [MAGIC] : [];
    const chunks: Chunk[] = [];
    let offset = this.#length + (this.#file === undefined ? MAGIC.length : 0);
    const put = (chunk: Omit<Chunk, 'offset' | 'bytes'>, own: readonly Uint8Array[]) => {
      const bytes = lengthOf(own);
      pieces.push(...own);
      chunks.push({ ...chunk, offset, bytes });
      offset += bytes;
    };
    this.#columns.slice(0, -1).forEach(({ type }, i) => {
      const column = batch.columns[i]!;
      const values = pageValues(column, type, rows);
      const { encoding, nulls } = values;
      const range = rangeOf(column, type, rows);
      put({ encoding, nulls, range, dictionaryBytes: 0 }, dataPage(values, rows));
    });
    const values = dictionaryValues(batch.numbers, dictionary.length);
    const known = dictionaryPage(dictionary);
    const range = valueRange({ kind: 'i64', valid: null, values: dictionary }, dictionary.length);
    const dictionaryBytes = lengthOf(known);
    put({ encoding: values.encoding, nulls: 0, range, dictionaryBytes }, [
      ...known,
      ...dataPage(values, rows),
    ]);
    await this.#write(pieces);
    this.#groups.push({ rows, chunks });
  }

  /** What each row group has of a column: `nulls` of `rows` are NULL, the others lie in `range`, where it is known. */
  statistics(column: number): { rows: number; nulls: number; range: ValueRange | undefined }[] {
    return this.#groups.map(({ rows, chunks }) => {
      const { nulls, range } = chunks[column]!;
      return { rows, nulls, range };
    });
  }

  /** Its length. */
  async finish(): Promise<number> {
    const footer = this.#footer();
    const length = Buffer.alloc(4);
    length.writeUInt32LE(footer.length);
    await this.#write([...(this.#file === undefined ? [MAGIC] : []), footer, length, MAGIC]);
    await this.close();
    return this.#length;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #write(pieces: readonly Uint8Array[]): Promise<void> {
    // The name was never used: what stands there is nobody's to be written over.
    this.#file ??= await open(this.#path, 'wx', 0o644);
    let rest = pieces;
    while (rest.length > 0) {
      const { bytesWritten } = await this.#file.writev([...rest]);
      this.#length += bytesWritten;
      rest = behind(rest, bytesWritten);
    }
  }

  /*
    FileMetaData  1 version, 2 [schema element], 3 rows, 4 [row group], 6 created by, 7 [column order]
    RowGroup      1 [column chunk], 2 plain bytes, 3 rows
    ColumnChunk   2 file offset, 3 meta data
  */
  #footer(): Uint8Array {
    const to = new ThriftWriter();
    to.i32(1, 2);
    to.structs(2, [undefined, ...this.#columns], (column) => {
      if (column !== undefined) writeSchemaElement(to, column.name, column.type);
      else {
        to.text(4, 'part');
        to.i32(5, this.#columns.length);
      }
    });
    to.i64(3, sum(this.#groups.map(({ rows }) => rows)));
    to.structs(4, this.#groups, ({ rows, chunks }) => {
      to.structs(1, [...chunks.entries()], ([i, chunk]) => {
        to.i64(2, chunk.offset);
        to.struct(3, () => writeChunk(to, this.#columns[i]!, rows, chunk));
      });
      to.i64(2, sum(chunks.map(({ bytes }) => bytes)));
      to.i64(3, rows);
    });
    to.text(6, CREATED_BY);
    // Without it nobody may believe the greatest and least values.
    to.structs(7, this.#columns, () => to.struct(1, () => {}));
    return to.finish();
  }
}

/*
  ColumnMetaData  1 type, 2 [encoding], 3 [name], 4 codec, 5 values, 6 plain bytes, 7 bytes, 9 offset of the first data
                  page, 11 offset of the dictionary, 12 statistics: 3 nulls, 5 max, 6 min
*/
function writeChunk(to: ThriftWriter, { name, type }: FileColumn, rows: number, chunk: Chunk) {
  const { offset, bytes, encoding, dictionaryBytes, range } = chunk;
  const isDictionary = dictionaryBytes > 0;
  to.i32(1, physicalOf(type));
  to.i32s(2, [ENCODING.RLE, encoding, ...(isDictionary ? [ENCODING.PLAIN] : [])]);
  to.texts(3, [name]);
  to.i32(4, UNCOMPRESSED);
  to.i64(5, rows);
  to.i64(6, bytes);
  to.i64(7, bytes);
  to.i64(9, offset + dictionaryBytes);
  if (isDictionary) to.i64(11, offset);
  to.struct(12, () => {
    to.i64(3, chunk.nulls);
    if (range === undefined) return;
    to.binary(5, range.max);
    to.binary(6, range.min);
  });
}

/*
  PageHeader  1 type, 2 plain bytes, 3 bytes,
              5 data page: 1 values, 2 encoding, 3 and 4 encodings of levels
              7 dictionary page: 1 values, 2 encoding
*/
function dataPage({ pieces, encoding }: PageValues, rows: number): Uint8Array[] {
  const to = new ThriftWriter();
  const bytes = lengthOf(pieces);
  to.i32(1, DATA_PAGE);
  to.i32(2, bytes);
  to.i32(3, bytes);
  to.struct(5, () => {
    to.i32(1, rows);
    to.i32(2, encoding);
    to.i32(3, ENCODING.RLE);
    to.i32(4, ENCODING.RLE);
  });
  return [to.finish(), ...pieces];
}

function dictionaryPage({ buffer, byteOffset, byteLength, length }: BigInt64Array): Uint8Array[] {
  const to = new ThriftWriter();
  to.i32(1, DICTIONARY_PAGE);
  to.i32(2, byteLength);
  to.i32(3, byteLength);
  to.struct(7, () => {
    to.i32(1, length);
    to.i32(2, ENCODING.PLAIN);
  });
  return [to.finish(), new Uint8Array(buffer, byteOffset, byteLength)];
}

/** Booleans have no bytes of their own to compare. */
const rangeOf = (column: Column, type: SqlType, rows: number) =>
  type.name === 'BOOLEAN' ? undefined : valueRange(column, rows);

const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);
const lengthOf = (pieces: readonly Uint8Array[]) => sum(pieces.map(({ length }) => length));

/** What is left when so many bytes were written. */
function behind(pieces: readonly Uint8Array[], written: number): readonly Uint8Array[] {
  let left = written;
  let first = 0;
  while (first < pieces.length && left >= pieces[first]!.length) left -= pieces[first++]!.length;
  if (left === 0) return pieces.slice(first);
  return [pieces[first]!.subarray(left), ...pieces.slice(first + 1)];
}
