/**
 * JSON messages to columns (semantics.md 2.10, 3.4, 3.5). Numbers keep their text, so that 64-bit integers and decimals are
 * exact. A message that is no JSON is one reject with its position; its neighbours are not touched, and none of its own
 * rows is loaded.
 */
import { isUtf8 } from 'node:buffer';
import { LoadError } from '../base/errors.ts';
import type { MessageBatch } from '../sources/kafka/kafka.types.ts';
import { displayed } from './cast/json-text.ts';
import type { DecodedBatch, DecodePlan, FormatDecoder, JsonFormat } from './decode.types.ts';
import { FlatJson } from './json-flat.ts';
import { Layout } from './json-layout.ts';
import { EVERY, type PathStep, parseJsonPath } from './json-path.ts';
import { JsonReader, type JsonValue, minified } from './json-reader.ts';
import { RowSink, type SinkColumn } from './row-sink.ts';
import { invalidAt } from './utf8.ts';

/** The `jsonpaths` property: a JSON array of paths. */
export function checkJsonPaths(text: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string')) {
    throw new LoadError('JSON_PATH', `Invalid json path: ${text}`, {
      errno: 1064,
      hint: 'jsonpaths is a JSON array of strings, e.g. ["$.id", "$.name"]',
    });
  }
  for (const path of value) parseJsonPath(path);
  return value as string[];
}

function find(value: JsonValue, steps: readonly PathStep[]): JsonValue | undefined {
  let at: JsonValue | undefined = value;
  for (const [i, step] of steps.entries()) {
    if (at === undefined) return undefined;
    if (step === EVERY) {
      if (at.kind !== 'array') return undefined;
      const rest = steps.slice(i + 1);
      const items = at.items.map((item) => find(item, rest));
      return { kind: 'array', items: items.filter((item) => item !== undefined) };
    }
    if (typeof step === 'number') at = at.kind === 'array' ? at.items[step] : undefined;
    else at = at.kind === 'object' ? at.members.get(step) : undefined;
  }
  return at;
}

class BadMessage extends Error {}

/** `way` = `exact` leaves the fast way out: for tests that hold both against each other. */
export class JsonDecoder implements FormatDecoder {
  readonly #plan: DecodePlan;
  readonly #format: JsonFormat;
  readonly #way: 'any' | 'exact';
  readonly #paths: readonly (readonly PathStep[] | undefined)[];
  readonly #root: readonly PathStep[] | undefined;
  /** Outlives the rows: what is learned from messages holds for the next ones too. */
  readonly #layout = new Layout();

  constructor(plan: DecodePlan, way: 'any' | 'exact' = 'any') {
    const format = plan.format as JsonFormat;
    this.#plan = plan;
    this.#format = format;
    this.#way = way;
    this.#paths = plan.fields.map((field, i) =>
      format.jsonpaths === undefined
        ? [field.name]
        : format.jsonpaths[i] === undefined
          ? undefined
          : parseJsonPath(format.jsonpaths[i]),
    );
    this.#root = format.jsonRoot ? parseJsonPath(format.jsonRoot) : undefined;
  }

  into(sink: RowSink): (messages: MessageBatch) => void {
    const flat = this.#way === 'exact' ? undefined : FlatJson.for(this.#plan, sink, this.#layout);
    return (messages) => this.#decode(sink, flat, messages);
  }

  #decode(sink: RowSink, flat: FlatJson | undefined, messages: MessageBatch): void {
    const { bytes, count, start: starts, length: lengths } = messages;
    const first = sink.open(messages);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let i = 0; i < count; i++) {
      const length = lengths[i]!;
      if (length <= 0) {
        sink.empty();
        continue;
      }
      const start = starts[i]!;
      if (flat !== undefined) {
        sink.reserve();
        if (flat.row(bytes, view, start, start + length, first + i)) continue;
      }
      const message = bytes.subarray(start, start + length);
      decodeMessage(sink, this.#format, this.#paths, this.#root, first + i, message);
    }
  }
}

export function decodeJson(
  plan: DecodePlan,
  messages: MessageBatch,
  way: 'any' | 'exact' = 'any',
): DecodedBatch {
  const sink = new RowSink(plan, messages.count);
  new JsonDecoder(plan, way).into(sink)(messages);
  return sink.finish();
}

function decodeMessage(
  sink: RowSink,
  format: JsonFormat,
  paths: readonly (readonly PathStep[] | undefined)[],
  root: readonly PathStep[] | undefined,
  message: number,
  bytes: Uint8Array,
): void {
  const before = sink.rows;
  try {
    if (!isUtf8(bytes)) throw new BadMessage(`Invalid UTF-8 row (byte ${invalidAt(bytes)})`);
    const rows = rowsOf(bytes, format, root);
    if (rows.length === 0) {
      sink.empty();
      return;
    }
    rows.forEach((row, element) => {
      decodeRow(sink, paths, row, message, element);
    });
  } catch (error) {
    if (!(error instanceof BadMessage)) throw error;
    sink.truncate(before);
    sink.reject(message, 0, error.message, bytes);
  }
}

function documents(bytes: Uint8Array): JsonValue[] {
  const reader = new JsonReader(
    // A byte order mark is no data, as in CSV.
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
      .toString('utf8')
      .replace(/^\ufeff/, ''),
  );
  const values: JsonValue[] = [];
  while (!reader.atEnd()) {
    const value = reader.value();
    if (value === undefined) {
      throw new BadMessage(
        `Failed to parse json as document stream. error: ${reader.fault} at character ${reader.position}`,
      );
    }
    values.push(value);
    reader.skipComma();
  }
  return values;
}

/** semantics.md 3.4's table. */
function rowsOf(
  bytes: Uint8Array,
  format: JsonFormat,
  root: readonly PathStep[] | undefined,
): JsonValue[] {
  const rows: JsonValue[] = [];
  for (const one of documents(bytes)) {
    if (one.kind !== 'object' && one.kind !== 'array') {
      throw new BadMessage('The value should be object type in json document stream');
    }
    // Rows are added one by one: as arguments of one call they could pass its limit.
    if (root === undefined) {
      for (const row of withoutRoot(one, format.stripOuterArray)) rows.push(row);
      continue;
    }
    for (const item of one.kind === 'array' ? one.items : [one]) {
      for (const row of withRoot(item, root, format.stripOuterArray)) rows.push(row);
    }
  }
  const odd = rows.find((row) => row.kind !== 'object');
  if (odd !== undefined) {
    throw new BadMessage(
      `the value should be object type in json document stream, value: ${minified(odd).slice(0, 64)}`,
    );
  }
  return rows;
}

function withoutRoot(value: JsonValue, strip: boolean): readonly JsonValue[] {
  if (value.kind === 'array') {
    if (strip) return value.items;
    throw new BadMessage(
      'The value is array type in json document stream, you can set strip_outer_array=true to parse each element of the array as individual rows',
    );
  }
  if (!strip) return [value];
  throw new BadMessage(
    `the value should be array type with strip_outer_array=true, value: ${minified(value).slice(0, 64)}`,
  );
}

function withRoot(
  value: JsonValue,
  root: readonly PathStep[],
  strip: boolean,
): readonly JsonValue[] {
  const found = find(value, root);
  if (strip) {
    if (found?.kind === 'array') return found.items;
    throw new BadMessage(
      `the value under json root should be array type with strip_outer_array=true in json document stream with root, value: ${found === undefined ? '' : minified(found).slice(0, 64)}`,
    );
  }
  if (found?.kind === 'object') return [found];
  throw new BadMessage(
    `the value should be object type in json document stream with json root, value: ${found === undefined ? '' : minified(found).slice(0, 64)}`,
  );
}

const INTEGERS = new Set(['TINYINT', 'SMALLINT', 'INT', 'BIGINT']);
const FLOATS = new Set(['FLOAT', 'DOUBLE']);

function decodeRow(
  sink: RowSink,
  paths: readonly (readonly PathStep[] | undefined)[],
  row: JsonValue,
  message: number,
  element: number,
): void {
  const before = sink.rows;
  for (let i = 0; i < paths.length; i++) {
    const column = sink.columns[i];
    if (column === undefined) continue;
    const steps = paths[i];
    const value = steps === undefined ? undefined : find(row, steps);
    if (value === undefined || value.kind === 'null') {
      column.builder.appendNull();
      continue;
    }
    const reason = append(column, value);
    if (reason === undefined) continue;
    if (sink.strict) {
      sink.truncate(before);
      sink.reject(message, element, reason, Buffer.from(minified(row)), column.field.name);
      return;
    }
    column.builder.appendNull();
    sink.coerced();
  }
  sink.endRow(message, element);
}

/** `undefined`: appended; else why not. */
function append(column: SinkColumn, value: JsonValue): string | undefined {
  const { field, builder } = column;
  const { name } = field.type;
  if (name === 'JSON') {
    builder.appendText(displayed(value));
    return undefined;
  }
  const number = INTEGERS.has(name) || FLOATS.has(name);
  if (number && value.kind !== 'number' && value.kind !== 'string') {
    return `Unsupported value type. Numeric type is required. column=${field.name}`;
  }
  const text = textOf(value);
  const bytes = Buffer.from(text, 'utf8');
  if (column.append(builder, bytes, 0, bytes.length)) return undefined;
  const shown = text.slice(0, 100);
  if (INTEGERS.has(name)) {
    return value.kind === 'string'
      ? `Unable to cast string value to ${name}. value=${shown}, column=${field.name}`
      : `Value is overflow. column=${field.name}, value=${shown}`;
  }
  if (name === 'VARCHAR' || name === 'CHAR') {
    return `Value length is beyond the capacity. column=${field.name}, capacity=${field.type.length ?? 1}`;
  }
  return `Value '${shown}' is out of range. The type of '${field.name}' is ${name}`;
}

function textOf(value: JsonValue): string {
  switch (value.kind) {
    case 'string':
      return value.text;
    case 'number':
      return value.text;
    case 'boolean':
      return value.value ? '1' : '0';
    default:
      return minified(value);
  }
}
