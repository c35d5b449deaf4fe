/**
 * The footer of a file that `ParquetFile` wrote: where the values of each row group lie, and their ranges. DuckDB parses
 * it anew with each statement; this one is kept (part-footers.ts).
 */
import { ThriftReader } from './thrift-reader.ts';
import type { ValueRange } from './value-range.ts';

export interface FooterChunk {
  readonly physical: number;
  /** Of the first page, and of all pages: one data page alone where there is no dictionary. */
  readonly offset: number;
  readonly bytes: number;
  readonly nulls: number;
  readonly range: ValueRange | undefined;
}

export interface FooterGroup {
  readonly rows: number;
  readonly chunks: readonly FooterChunk[];
}

export interface PartFooter {
  readonly columns: readonly string[];
  readonly groups: readonly FooterGroup[];
}

/** What stands behind a footer: its length, and the magic. */
export const FOOTER_TAIL = 8;
const CREATED_BY = 'millrace';

/** Undefined: another wrote it. Throws RangeError where it ends too early. */
export function readFooter(bytes: Uint8Array): PartFooter | undefined {
  const from = new ThriftReader(bytes);
  const groups: FooterGroup[] = [];
  let columns: readonly string[] = [];
  let createdBy = '';
  from.struct((id) => {
    if (id === 4) {
      from.list(() => {
        const { names, group } = readGroup(from);
        columns = names;
        groups.push(group);
      });
    } else if (id === 6) createdBy = textOf(from.binary());
    else return false;
    return true;
  });
  return createdBy === CREATED_BY ? { columns, groups } : undefined;
}

function readGroup(from: ThriftReader): { names: string[]; group: FooterGroup } {
  const names: string[] = [];
  const chunks: FooterChunk[] = [];
  let rows = 0;
  from.struct((id) => {
    if (id === 1) {
      from.list(() => {
        from.struct((field) => {
          if (field !== 3) return false;
          const { name, chunk } = readChunk(from);
          names.push(name);
          chunks.push(chunk);
          return true;
        });
      });
    } else if (id === 3) rows = from.int();
    else return false;
    return true;
  });
  return { names, group: { rows, chunks } };
}

function readChunk(from: ThriftReader): { name: string; chunk: FooterChunk } {
  let name = '';
  let [physical, offset, dictionary, bytes, nulls] = [-1, 0, 0, 0, 0];
  let [min, max]: (Uint8Array | undefined)[] = [];
  from.struct((id) => {
    switch (id) {
      case 1:
        physical = from.int();
        return true;
      case 3:
        from.list(() => {
          name = textOf(from.binary());
        });
        return true;
      case 7:
        bytes = from.int();
        return true;
      case 9:
        offset = from.int();
        return true;
      case 11:
        dictionary = from.int();
        return true;
      case 12:
        from.struct((field) => {
          if (field === 3) nulls = from.int();
          else if (field === 5) max = from.binary();
          else if (field === 6) min = from.binary();
          else return false;
          return true;
        });
        return true;
      default:
        return false;
    }
  });
  const range = min === undefined || max === undefined ? undefined : { min, max };
  return {
    name,
    chunk: { physical, offset: dictionary > 0 ? dictionary : offset, bytes, nulls, range },
  };
}

const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8');
