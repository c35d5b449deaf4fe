import { expect, it } from 'vitest';
import { beMemoryMb } from './memory.ts';

it.each([
  { name: 'one BE', be: 1, asked: null, machine: 24_000, each: 512 },
  { name: 'three', be: 3, asked: null, machine: 24_000, each: 320 },
  { name: 'a small machine', be: 3, asked: null, machine: 2_000, each: 192 },
  { name: 'one BE on a small machine', be: 1, asked: null, machine: 1_600, each: 400 },
  { name: 'asked for more', be: 2, asked: 8_000, machine: 24_000, each: 4_000 },
  { name: 'asked for less', be: 1, asked: 256, machine: 24_000, each: 256 },
  { name: 'too little for all', be: 8, asked: 256, machine: 24_000, each: 192 },
])('$name', ({ be, asked, machine, each }) => {
  expect(beMemoryMb(be, asked, machine)).toBe(each);
});
