import { describe, expect, it } from 'vitest';
import { isPattern, isSubject, SubjectTable, subjectMatches } from './bus-subjects.ts';

const cases = [
  { pattern: 'a', subject: 'a', matches: true },
  { pattern: 'a', subject: 'a.b', matches: false },
  { pattern: 'a.b', subject: 'a', matches: false },
  { pattern: '*', subject: 'a', matches: true },
  { pattern: '*', subject: 'a.b', matches: false },
  { pattern: '>', subject: 'a.b.c', matches: true },
  { pattern: 'a.>', subject: 'a', matches: false },
  { pattern: 'a.>', subject: 'a.b.c', matches: true },
  { pattern: '*.b.>', subject: 'a.b.c', matches: true },
  { pattern: '*.b.>', subject: 'a.c.b', matches: false },
  { pattern: 'a.*.c', subject: 'a.b.c', matches: true },
  { pattern: 'a.*.c', subject: 'a.b.d', matches: false },
];

it.each(cases)('$pattern on $subject: $matches', ({ pattern, subject, matches }) => {
  expect(subjectMatches(pattern, subject)).toBe(matches);
  const table = new SubjectTable<{ id: number }>();
  const value = { id: 1 };
  table.add(pattern, value);
  expect(table.match(subject)).toEqual(matches ? [value] : []);
  table.delete(pattern, value);
  expect(table.match(subject)).toEqual([]);
});

describe('forms', () => {
  it.each([
    { text: 'a.b-1_C', subject: true, pattern: true },
    { text: 'a.*', subject: false, pattern: true },
    { text: '>', subject: false, pattern: true },
    { text: 'a.>.b', subject: false, pattern: false },
    { text: 'a.b*', subject: false, pattern: false },
    { text: '', subject: false, pattern: false },
    { text: 'a..b', subject: false, pattern: false },
    { text: '.a', subject: false, pattern: false },
    { text: 'a b', subject: false, pattern: false },
    { text: 'a\r\nPUB b', subject: false, pattern: false },
    { text: 'a\n', subject: false, pattern: false },
    { text: 'a'.repeat(513), subject: false, pattern: false },
  ])('$text', ({ text, subject, pattern }) => {
    expect(isSubject(text)).toBe(subject);
    expect(isPattern(text)).toBe(pattern);
  });
});
