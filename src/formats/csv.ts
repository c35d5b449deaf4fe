/**
 * CSV messages to columns (semantics.md 3.1–3.3). Each message is rows of its own: whatever stands in one, the next is not
 * touched. Without `enclose` and `escape` a quote is a byte like any other.
 */
import { isUtf8 } from 'node:buffer';
import type { MessageBatch } from '../sources/kafka/kafka.types.ts';
import type { CsvFormat, DecodedBatch, DecodePlan } from './decode.types.ts';
import { outOfRange, RowSink } from './row-sink.ts';

const BACKSLASH = 92;
const CAPITAL_N = 78;

/** Fields of one row: where each lies, in which bytes, and whether it was NULL as written. */
class Fields {
  count = 0;
  bytes: Uint8Array[] = [];
  start: number[] = [];
  end: number[] = [];
  isNull: boolean[] = [];

  add(bytes: Uint8Array, start: number, end: number, raw: boolean): void {
    const i = this.count++;
    this.bytes[i] = bytes;
    this.start[i] = start;
    this.end[i] = end;
    this.isNull[i] =
      raw && end - start === 2 && bytes[start] === BACKSLASH && bytes[start + 1] === CAPITAL_N;
  }
}

function indexOf(bytes: Buffer, what: Buffer, from: number, end: number): number {
  if (what.length === 1) {
    const byte = what[0];
    for (let i = from; i < end; i++) if (bytes[i] === byte) return i;
    return -1;
  }
  const found = bytes.indexOf(what, from);
  return found < 0 || found + what.length > end ? -1 : found;
}

function startsWith(bytes: Buffer, what: Buffer, at: number, end: number): boolean {
  if (at + what.length > end) return false;
  for (let i = 0; i < what.length; i++) if (bytes[at + i] !== what[i]) return false;
  return true;
}

export function decodeCsv(plan: DecodePlan, messages: MessageBatch): DecodedBatch {
  const sink = new RowSink(plan, messages.count);
  const decoder = new CsvDecoder(plan, plan.format as CsvFormat, sink);
  const { bytes } = messages;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let message = 0; message < messages.count; message++) {
    const length = messages.length[message]!;
    const start = messages.start[message]!;
    if (length <= 0) sink.empty();
    else decoder.message(message, buffer, start, start + length);
  }
  return sink.finish();
}

class CsvDecoder {
  readonly #sink: RowSink;
  readonly #fieldCount: number;
  readonly #separator: Buffer;
  readonly #delimiter: Buffer;
  readonly #enclose: number;
  readonly #escape: number;
  readonly #trim: boolean;
  readonly #fields = new Fields();
  readonly #separatorText: string;
  readonly #delimiterText: string;

  constructor(plan: DecodePlan, format: CsvFormat, sink: RowSink) {
    this.#sink = sink;
    this.#fieldCount = plan.fields.length;
    this.#separator = Buffer.from(format.columnSeparator);
    this.#delimiter = Buffer.from(format.rowDelimiter);
    this.#enclose = format.enclose ? Buffer.from(format.enclose)[0]! : -1;
    this.#escape = format.escape ? Buffer.from(format.escape)[0]! : -1;
    this.#trim = format.trimSpace;
    this.#separatorText = shown(format.columnSeparator);
    this.#delimiterText = shown(format.rowDelimiter);
  }

  message(message: number, bytes: Buffer, from: number, end: number): void {
    let at = from;
    // A byte order mark is no data (semantics.md 10, 13).
    if (bytes[at] === 0xef && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf && at + 3 <= end)
      at += 3;
    let element = 0;
    const plain = this.#enclose < 0 && this.#escape < 0;
    while (at < end) {
      const rowStart = at;
      this.#fields.count = 0;
      at = plain ? this.#plainRow(bytes, at, end) : this.#quotedRow(bytes, at, end);
      const rowEnd = startsWith(bytes, this.#delimiter, at - this.#delimiter.length, end)
        ? at - this.#delimiter.length
        : at;
      if (rowEnd <= rowStart) continue;
      this.#row(message, element, bytes.subarray(rowStart, Math.max(rowStart, rowEnd)));
      element += 1;
    }
    if (element === 0) this.#sink.empty();
  }

  /** Splits one row; gives where the next begins. */
  #plainRow(bytes: Buffer, from: number, end: number): number {
    const found = indexOf(bytes, this.#delimiter, from, end);
    const rowEnd = found < 0 ? end : found;
    let at = from;
    for (;;) {
      const separator = indexOf(bytes, this.#separator, at, rowEnd);
      const stop = separator < 0 ? rowEnd : separator;
      this.#addRaw(bytes, at, stop);
      if (separator < 0) break;
      at = separator + this.#separator.length;
    }
    return found < 0 ? end : found + this.#delimiter.length;
  }

  #addRaw(bytes: Buffer, from: number, to: number): void {
    let start = from;
    let end = to;
    if (this.#trim) {
      while (start < end && bytes[start] === 32) start += 1;
      while (end > start && bytes[end - 1] === 32) end -= 1;
    }
    this.#fields.add(bytes, start, end, true);
  }

  /** RFC 4180 with an escape byte; an enclose counts as the first byte of a field alone. */
  #quotedRow(bytes: Buffer, from: number, end: number): number {
    let at = from;
    for (;;) {
      at = this.#quotedField(bytes, at, end);
      if (startsWith(bytes, this.#separator, at, end)) {
        at += this.#separator.length;
        continue;
      }
      return at >= end ? end : at + this.#delimiter.length;
    }
  }

  #quotedField(bytes: Buffer, from: number, end: number): number {
    let at = from;
    if (this.#trim) while (at < end && bytes[at] === 32) at += 1;
    const out: number[] = [];
    const enclosed = this.#enclose >= 0 && bytes[at] === this.#enclose;
    const raw = at;
    let inside = enclosed;
    if (enclosed) at += 1;
    let closedAt = -1;
    while (at < end) {
      const byte = bytes[at]!;
      if (byte === this.#escape && at + 1 < end) {
        // The marker is looked for in the field as written: `\N` stays NULL with `\` as escape.
        out.push(bytes[at + 1]!);
        at += 2;
      } else if (inside && byte === this.#enclose) {
        if (bytes[at + 1] === this.#enclose && at + 1 < end) {
          out.push(byte);
          at += 2;
        } else {
          inside = false;
          at += 1;
          closedAt = out.length;
        }
      } else if (
        !inside &&
        (startsWith(bytes, this.#separator, at, end) || startsWith(bytes, this.#delimiter, at, end))
      ) {
        break;
      } else {
        out.push(byte);
        at += 1;
      }
    }
    if (!enclosed) {
      const isMarker = at - raw === 2 && bytes[raw] === BACKSLASH && bytes[raw + 1] === CAPITAL_N;
      if (isMarker) {
        this.#fields.add(bytes, raw, at, true);
        return at;
      }
    }
    let length = out.length;
    if (this.#trim) while (length > Math.max(0, closedAt) && out[length - 1] === 32) length -= 1;
    this.#fields.add(Uint8Array.from(out), 0, length, false);
    return at;
  }

  #row(message: number, element: number, row: Buffer): void {
    const sink = this.#sink;
    const fields = this.#fields;
    if (!isUtf8(row)) {
      sink.reject(message, element, `Invalid UTF-8 row (byte ${invalidAt(row)})`, row);
      return;
    }
    if (fields.count !== this.#fieldCount) {
      sink.reject(message, element, this.#countReason(fields.count, row), row);
      return;
    }
    const before = sink.rows;
    for (let i = 0; i < fields.count; i++) {
      const column = sink.columns[i];
      if (column === undefined) continue;
      if (fields.isNull[i]) {
        column.builder.appendNull();
        continue;
      }
      const bytes = fields.bytes[i]!;
      const start = fields.start[i]!;
      const end = fields.end[i]!;
      if (column.append(column.builder, bytes, start, end)) continue;
      if (sink.strict) {
        sink.truncate(before);
        sink.reject(
          message,
          element,
          outOfRange(column, bytes, start, end),
          row,
          column.field.name,
        );
        return;
      }
      column.builder.appendNull();
      sink.coerced();
    }
    sink.endRow(message, element);
  }

  #countReason(found: number, row: Buffer): string {
    const text = `Target column count: ${this.#fieldCount} doesn't match source value column count: ${found}. Column separator: '${this.#separatorText}', Row delimiter: '${this.#delimiterText}'`;
    if (row.at(-1) === 13) return `${text}. The row ends in \\r: its row delimiter may be '\\r\\n'`;
    if (
      found === this.#fieldCount + 1 &&
      this.#fields.start[found - 1] === this.#fields.end[found - 1]
    ) {
      return `${text}. The row ends in a separator`;
    }
    return text;
  }
}

function shown(text: string): string {
  return text.replace(/[\x00-\x1f\x7f]/g, (c) =>
    c === '\n' ? '\\n' : c === '\t' ? '\\t' : `0x${c.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

/** The first byte that no UTF-8 text has there: where decoding puts a replacement that the bytes do not hold. */
function invalidAt(row: Buffer): number {
  const text = row.toString('utf8');
  let at = 0;
  let from = 0;
  for (;;) {
    const found = text.indexOf('\ufffd', from);
    if (found < 0) return at;
    at += Buffer.byteLength(text.slice(from, found));
    if (row[at] !== 0xef || row[at + 1] !== 0xbf || row[at + 2] !== 0xbd) return at;
    at += 3;
    from = found + 1;
  }
}
