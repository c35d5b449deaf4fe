/**
 * JSON with bigint and bytes, for journal entries and checkpoints.
 *
 *   bigint                  {"$bigint":"-12"}
 *   Uint8Array              {"$bytes":"base64"}
 *   NaN, ±Infinity, -0      {"$number":"NaN"}
 *   {"$anything": …}        {"$object":{…}}      an object of one key that begins with a dollar
 *
 * Other values that JSON would change without a word (Map, Date, functions, symbols) are refused; `undefined`
 * as a property is left out. What is decoded therefore equals what was encoded.
 */
import { assert } from '../base/assert.ts';

export function encodeJson(value: unknown): string {
  return JSON.stringify(toPlain(value));
}

export function decodeJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return text.includes('"$') ? fromPlain(value) : value;
}

/** The same value where nothing in it needs a tag: most entries are encoded without a copy. */
function toPlain(value: unknown): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      if (Number.isFinite(value) && !Object.is(value, -0)) return value;
      return { $number: Object.is(value, -0) ? '-0' : String(value) };
    case 'bigint':
      return { $bigint: String(value) };
    case 'object':
      break;
    default:
      assert(false, `a ${typeof value} cannot be written to the journal`);
  }
  if (value === null) return null;
  if (value instanceof Uint8Array) {
    const view = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return { $bytes: view.toString('base64') };
  }
  if (Array.isArray(value)) return plainArray(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  assert(
    prototype === Object.prototype || prototype === null,
    `a ${value.constructor?.name ?? 'value'} cannot be written to the journal`,
  );
  return plainObject(value as Record<string, unknown>);
}

function plainArray(values: readonly unknown[]): readonly unknown[] {
  let copy: unknown[] | undefined;
  for (let i = 0; i < values.length; i++) {
    const plain = toPlain(values[i]);
    if (plain !== values[i]) copy ??= values.slice();
    if (copy !== undefined) copy[i] = plain;
  }
  return copy ?? values;
}

function plainObject(value: Record<string, unknown>): unknown {
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  let changed = false;
  for (const entry of entries) {
    const plain = toPlain(entry[1]);
    if (plain === entry[1]) continue;
    entry[1] = plain;
    changed = true;
  }
  // fromEntries defines properties: a user's key "__proto__" stays a key.
  const plain = changed ? Object.fromEntries(entries) : value;
  return entries.length === 1 && entries[0]![0].startsWith('$') ? { $object: plain } : plain;
}

function fromPlain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = fromPlain(value[i]);
    return value;
  }
  const record = value as Record<string, unknown>;
  const keys = Object.keys(record);
  const only = keys.length === 1 ? keys[0]! : '';
  const inner = record[only];
  if (only === '$object') return restore(inner as Record<string, unknown>);
  if (typeof inner === 'string') {
    if (only === '$bigint') return BigInt(inner);
    if (only === '$bytes') return new Uint8Array(Buffer.from(inner, 'base64'));
    if (only === '$number') return Number(inner);
  }
  return restore(record);
}

function restore(record: Record<string, unknown>): Record<string, unknown> {
  for (const key of Object.keys(record)) {
    const item = record[key];
    if (typeof item !== 'object' || item === null) continue;
    const restored = fromPlain(item);
    if (restored !== item) record[key] = restored;
  }
  return record;
}
