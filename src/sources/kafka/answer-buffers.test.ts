import { expect, it } from 'vitest';
import { AnswerBuffers } from './answer-buffers.ts';

const MIB = 1024 * 1024;

it.each([
  { name: 'the same length', first: MIB, second: MIB, again: true },
  { name: 'a little less', first: MIB, second: MIB - 100, again: true },
  { name: 'more', first: MIB, second: MIB + 1, again: false },
  { name: 'so much less that memory would lie idle', first: 8 * MIB, second: MIB, again: false },
  { name: 'a small one, which is never kept', first: 1_000, second: 1_000, again: false },
])('memory is used again: $name', ({ first, second, again }) => {
  const buffers = new AnswerBuffers();
  const one = buffers.take(first);
  expect(one.length).toBe(first);
  buffers.give(one.buffer);
  const two = buffers.take(second);
  expect(two.length).toBe(second);
  expect(two.buffer === one.buffer).toBe(again);
  // What is taken is nobody else's, whatever was said of it.
  expect(buffers.take(second).buffer).not.toBe(two.buffer);
});

it('takes memory back once, and keeps no more than its share', () => {
  const buffers = new AnswerBuffers();
  const one = buffers.take(MIB);
  buffers.give(one.buffer);
  buffers.give(one.buffer);
  expect(buffers.take(MIB).buffer).toBe(one.buffer);
  expect(buffers.take(MIB).buffer).not.toBe(one.buffer);
  const large = buffers.take(40 * MIB);
  buffers.give(large.buffer);
  expect(buffers.take(40 * MIB).buffer).not.toBe(large.buffer);
});
