/**
 * CSV messages to columns (semantics.md 3.1–3.3). Each message is rows of its own: whatever stands in one, the next is not
 * touched. Without `enclose` and `escape` a quote is a byte like any other.
 */
import { isUtf8 } from 'node:buffer';
import type { MessageBatch } from '../sources/kafka/kafka.types.ts';
import { CsvFields, isMarker } from './csv-fields.ts';
import { FlatCsv } from './csv-flat.ts';
import type { CsvFormat, DecodedBatch, DecodePlan, FormatDecoder } from './decode.types.ts';
import { outOfRange, RowSink } from './row-sink.ts';
import { invalidAt } from './utf8.ts';

/** Looks no further than `end`: the next messages are none of this one's business, nor of its time. */
function indexOf(bytes: Buffer, what: Buffer, from: number, end: number): number {
  const first = what[0];
  const last = end - what.length;
  for (let i = from; i <= last; i++) {
    if (bytes[i] === first && (what.length === 1 || startsWith(bytes, what, i, end))) return i;
  }
  return -1;
}

function startsWith(bytes: Buffer, what: Buffer, at: number, end: number): boolean {
  if (at + what.length > end) return false;
  for (let i = 0; i < what.length; i++) if (bytes[at + i] !== what[i]) return false;
  return true;
}

/** `way` = `exact` leaves the fast way out: for tests that hold both against each other. */
export class CsvDecoder implements FormatDecoder {
  readonly #plan: DecodePlan;
  readonly #way: 'any' | 'exact';

  constructor(plan: DecodePlan, way: 'any' | 'exact' = 'any') {
    this.#plan = plan;
    this.#way = way;
  }

  into(sink: RowSink): (messages: MessageBatch) => void {
    const flat = this.#way === 'exact' ? undefined : FlatCsv.for(this.#plan, sink);
    const exact = new ExactCsv(this.#plan, this.#plan.format as CsvFormat, sink);
    return (messages) => {
      const { bytes, count, start: starts, length: lengths } = messages;
      const first = sink.open(messages);
      const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      for (let i = 0; i < count; i++) {
        const length = lengths[i]!;
        if (length <= 0) {
          sink.empty();
          continue;
        }
        const start = starts[i]!;
        sink.reserve();
        if (flat?.row(bytes, view, start, start + length, first + i)) continue;
        exact.message(first + i, buffer, start, start + length);
      }
    };
  }
}

export function decodeCsv(
  plan: DecodePlan,
  messages: MessageBatch,
  way: 'any' | 'exact' = 'any',
): DecodedBatch {
  const sink = new RowSink(plan, messages.count);
  new CsvDecoder(plan, way).into(sink)(messages);
  return sink.finish();
}

class ExactCsv {
  readonly #sink: RowSink;
  readonly #fieldCount: number;
  readonly #separator: Buffer;
  readonly #delimiter: Buffer;
  readonly #enclose: number;
  readonly #escape: number;
  readonly #trim: boolean;
  readonly #fields = new CsvFields();
  /** Where the row at hand ends, without its delimiter. */
  #rowEnd = 0;
  #unclosed = false;
  readonly #separatorText: string;
  readonly #delimiterText: string;

  constructor(plan: DecodePlan, format: CsvFormat, sink: RowSink) {
    this.#sink = sink;
    this.#fieldCount = plan.fields.length;
    this.#separator = Buffer.from(format.columnSeparator);
    this.#delimiter = Buffer.from(format.rowDelimiter);
    this.#enclose = format.enclose ? Buffer.from(format.enclose)[0]! : -1;
    // An enclose that escapes itself is RFC 4180's doubled quote, which needs no escape.
    const own = format.escape === format.enclose ? undefined : format.escape;
    this.#escape = own ? Buffer.from(own)[0]! : -1;
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
      this.#fields.clear();
      this.#unclosed = false;
      at = plain ? this.#plainRow(bytes, at, end) : this.#quotedRow(bytes, at, end);
      if (this.#rowEnd === rowStart) continue;
      this.#row(message, element, bytes, rowStart, this.#rowEnd);
      element += 1;
    }
    if (element === 0) this.#sink.empty();
  }

  /** Splits one row; gives where the next begins. */
  #plainRow(bytes: Buffer, from: number, end: number): number {
    const found = indexOf(bytes, this.#delimiter, from, end);
    const rowEnd = found < 0 ? end : found;
    this.#rowEnd = rowEnd;
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
      this.#rowEnd = at;
      return at >= end ? end : at + this.#delimiter.length;
    }
  }

  /** Adds the field that begins at `from`; gives where it ends. Copied only where it is not as written. */
  #quotedField(bytes: Buffer, from: number, end: number): number {
    const fields = this.#fields;
    let at = from;
    if (this.#trim) while (at < end && bytes[at] === 32) at += 1;
    const enclosed = at < end && bytes[at] === this.#enclose;
    if (enclosed) at += 1;
    const start = at;
    const copyStart = fields.used;
    let copied = false;
    /** What is not copied yet begins here. */
    let run = at;
    let closedAt = -1;
    /** Blanks before this place were escaped. */
    let kept = at;
    while (at < end) {
      const byte = bytes[at]!;
      if (byte === this.#escape && at + 1 < end) {
        fields.copy(bytes, run, at);
        copied = true;
        run = at + 1;
        at = run + this.#escapedLength(bytes, run, end);
        kept = at;
      } else if (enclosed && closedAt < 0) {
        if (byte !== this.#enclose) at += 1;
        else if (at + 1 < end && bytes[at + 1] === this.#enclose) {
          fields.copy(bytes, run, at + 1);
          copied = true;
          at += 2;
          run = at;
        } else {
          closedAt = at;
          at += 1;
          const next = this.#trim ? this.#afterBlanks(bytes, at, end) : at;
          if (this.#endsField(bytes, next, end)) {
            at = next;
            break;
          }
          // Text behind the enclosure belongs to the value.
          fields.copy(bytes, run, closedAt);
          copied = true;
          run = at;
          kept = at;
        }
      } else if (this.#endsField(bytes, at, end)) break;
      else at += 1;
    }
    if (enclosed && closedAt < 0) this.#unclosed = true;
    // Nothing behind the enclosure: the value ends with it.
    let valueEnd = enclosed && closedAt >= run ? closedAt : at;
    if (this.#trim && valueEnd === at && closedAt < run) {
      while (valueEnd > kept && bytes[valueEnd - 1] === 32) valueEnd -= 1;
    }
    const raw = !enclosed && isMarker(bytes, start, valueEnd);
    if (copied && !raw) {
      fields.copy(bytes, run, valueEnd);
      fields.addCopied(copyStart);
    } else fields.add(bytes, start, valueEnd, raw);
    return at;
  }

  #afterBlanks(bytes: Buffer, from: number, end: number): number {
    let at = from;
    while (at < end && bytes[at] === 32) at += 1;
    return at;
  }

  #endsField(bytes: Buffer, at: number, end: number): boolean {
    return (
      at >= end ||
      startsWith(bytes, this.#separator, at, end) ||
      startsWith(bytes, this.#delimiter, at, end)
    );
  }

  /** An escape stands for a whole separator or delimiter, else for one byte. */
  #escapedLength(bytes: Buffer, at: number, end: number): number {
    if (startsWith(bytes, this.#separator, at, end)) return this.#separator.length;
    if (startsWith(bytes, this.#delimiter, at, end)) return this.#delimiter.length;
    return 1;
  }

  #row(message: number, element: number, bytes: Buffer, from: number, to: number): void {
    const sink = this.#sink;
    const fields = this.#fields;
    const row = bytes.subarray(from, to);
    if (!isUtf8(row)) {
      sink.reject(message, element, `Invalid UTF-8 row (byte ${invalidAt(row)})`, row);
      return;
    }
    if (fields.count !== this.#fieldCount || this.#unclosed) {
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
      const source = fields.copied[i] ? fields.scratch : bytes;
      const start = fields.start[i]!;
      const end = fields.end[i]!;
      if (column.append(column.builder, source, start, end)) continue;
      if (sink.strict) {
        sink.truncate(before);
        const reason = outOfRange(column, source, start, end);
        sink.reject(message, element, reason, row, column.field.name);
        return;
      }
      column.builder.appendNull();
      sink.coerced();
    }
    sink.endRow(message, element);
  }

  #countReason(found: number, row: Buffer): string {
    const text = `Target column count: ${this.#fieldCount} doesn't match source value column count: ${found}. Column separator: '${this.#separatorText}', Row delimiter: '${this.#delimiterText}'`;
    if (this.#unclosed) {
      return found === this.#fieldCount
        ? 'An enclosed field is never closed'
        : `${text}. An enclosed field is never closed`;
    }
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
