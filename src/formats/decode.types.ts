/** The contract of src/formats: messages (or pieces of files) in, typed columns and rejects out. */
import type { ColumnBatch } from '../base/column-batch.ts';
import type { SqlType } from '../base/sql-type.ts';
import type { MessageBatch } from '../sources/kafka/kafka.types.ts';
import type { RowSink } from './row-sink.ts';

/** Plain JSON: part of a load plan. */
export interface SourceField {
  readonly name: string;
  /** The type the reader converts to (semantics.md 2.1); absent: the field is read over and makes no column. */
  readonly type?: SqlType;
  /** The table column behind the field takes NULL; used in strict mode's messages only. All fields may be NULL here. */
  readonly nullable: boolean;
  /** Expressions calculate with it: texts that are numbers are kept as numbers (src/formats/seen-texts.ts). */
  readonly calculated?: boolean;
}

export interface CsvFormat {
  readonly kind: 'csv';
  /** Resolved bytes as text, 1–50 bytes of UTF-8. */
  readonly columnSeparator: string;
  readonly rowDelimiter: string;
  /** One byte as a character, or absent. */
  readonly enclose?: string;
  readonly escape?: string;
  readonly trimSpace: boolean;
}

export interface JsonFormat {
  readonly kind: 'json';
  readonly stripOuterArray: boolean;
  /** Absent: fields are found by name. Else path i feeds field i. */
  readonly jsonpaths?: readonly string[];
  readonly jsonRoot?: string;
}

export type Format = CsvFormat | JsonFormat;

export interface DecodePlan {
  readonly format: Format;
  readonly fields: readonly SourceField[];
  /** Filters rows whose value does not convert, instead of a NULL (semantics.md 2.2). */
  readonly strict: boolean;
}

/**
 * A row that will not be loaded: why, and where it stands. Kept with the job's rejects, shown over HTTP and
 * in information_schema.
 */
export interface Reject {
  /** The message's number, counted through all batches of messages that were decoded together. */
  readonly message: number;
  /** Which row of the message, from 0. */
  readonly element: number;
  /** The column that did not convert, if one did. */
  readonly column?: string;
  /** semantics.md 3.8's text. */
  readonly reason: string;
  /** The row as it was sent, at most 1 KiB of text, made printable. */
  readonly row: string;
}

/** Messages from number `first` on are those of this batch, until the next source begins. */
export interface MessageSource {
  readonly first: number;
  readonly messages: MessageBatch;
}

export interface DecodedBatch {
  /** One column per field with a type, in the order of the fields. */
  readonly batch: ColumnBatch;
  /** Where messages come from, by their number. */
  readonly sources: readonly MessageSource[];
  /** Row → number of its message. */
  readonly message: Uint32Array;
  /** Row → which row of its message, from 0. */
  readonly element: Uint32Array;
  /** At most `REJECTS_KEPT` with text … */
  readonly rejects: readonly Reject[];
  /** … of so many in all. */
  readonly rejected: number;
  /** Messages without a row: tombstones, empty messages, empty lines alone. Counted in no total. */
  readonly empty: number;
  /** Values that became NULL because they did not convert (strict off): shown in the job's statistics. */
  readonly coerced: number;
}

/** Of one format and plan. */
export interface FormatDecoder {
  /** Gives the function that reads messages into these columns. */
  into(sink: RowSink): (messages: MessageBatch) => void;
}

export const REJECTS_KEPT = 50;
