import { expect, it } from 'vitest';
import { decodeJson, encodeJson } from './json-codec.ts';

it.each([
  { name: 'plain', value: { a: [1, 'x', null, true, { b: [] }] } },
  { name: 'bigint', value: { a: -12n, b: [2n ** 80n] } },
  { name: 'bytes', value: [new Uint8Array([0, 255]), { b: new Uint8Array() }] },
  { name: 'numbers that JSON lacks', value: [Number.NaN, Infinity, -Infinity, -0, 1e308] },
  { name: 'an object that looks like a tag', value: { $bigint: '12' } },
  { name: 'a tag within a tag', value: { $object: { $bytes: 7n } } },
  { name: 'text that looks like a tag', value: ['{"$bigint":"1"}', '$object'] },
  { name: 'a lone surrogate', value: 'a\ud800b' },
  { name: 'a key __proto__', value: JSON.parse('{"__proto__":{"x":{"$bytes":1}},"y":1}') },
])('$name comes back as it was', ({ value }) => {
  const decoded = decodeJson(encodeJson(value));
  expect(decoded).toStrictEqual(value);
  expect(Object.is(JSON.stringify(decoded, tag), JSON.stringify(value, tag))).toBe(true);
});

const tag = (_: string, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value);

it('a key __proto__ with a tagged value stays a key', () => {
  const value: unknown = Object.fromEntries([
    ['__proto__', 1n],
    ['y', 2],
  ]);
  expect(Object.keys(decodeJson(encodeJson(value)) as object)).toEqual(['__proto__', 'y']);
});

it('leaves out undefined properties', () => {
  expect(decodeJson(encodeJson({ a: undefined, b: 1n }))).toStrictEqual({ b: 1n });
});

it.each([
  { name: 'Map', value: new Map() },
  { name: 'Date', value: new Date(0) },
  { name: 'function', value: () => 0 },
  { name: 'undefined in an array', value: [undefined] },
])('refuses $name', ({ value }) => {
  expect(() => encodeJson({ value })).toThrow('cannot be written');
});
