/**
 * Subjects of the bus: dotted words of [A-Za-z0-9_-]. Patterns may hold `*` for one word and end in `>` for
 * one word or more, as in NATS, so that all transports route alike.
 */
import { assert } from '../base/assert.ts';

const subjectForm = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
const patternForm = /^(([A-Za-z0-9_-]+|\*)\.)*([A-Za-z0-9_-]+|\*|>)$/;
const lengthMax = 512;

export function isSubject(text: string): boolean {
  return text.length <= lengthMax && subjectForm.test(text);
}

export function isPattern(text: string): boolean {
  return text.length <= lengthMax && patternForm.test(text);
}

export function subjectMatches(pattern: string, subject: string): boolean {
  return wordsMatch(pattern.split('.'), subject.split('.'));
}

function wordsMatch(pattern: readonly string[], subject: readonly string[]): boolean {
  for (const [i, word] of pattern.entries()) {
    if (word === '>') return subject.length > i;
    if (i >= subject.length || (word !== '*' && word !== subject[i])) return false;
  }
  return pattern.length === subject.length;
}

/** Who listens to what. Literal subjects, nearly all there are, are found by one look-up. */
export class SubjectTable<T> {
  readonly #literals = new Map<string, Set<T>>();
  readonly #wild = new Map<T, readonly string[]>();

  /** A value is in the table once at most: the caller makes a new one per subscription. */
  add(pattern: string, value: T): void {
    assert(isPattern(pattern), `not a subject pattern: ${pattern}`);
    if (!isSubject(pattern)) {
      this.#wild.set(value, pattern.split('.'));
      return;
    }
    const values = this.#literals.get(pattern);
    if (values === undefined) this.#literals.set(pattern, new Set([value]));
    else values.add(value);
  }

  delete(pattern: string, value: T): void {
    if (this.#wild.delete(value)) return;
    const values = this.#literals.get(pattern);
    values?.delete(value);
    if (values?.size === 0) this.#literals.delete(pattern);
  }

  match(subject: string): readonly T[] {
    const found = [...(this.#literals.get(subject) ?? [])];
    if (this.#wild.size === 0) return found;
    const words = subject.split('.');
    for (const [value, pattern] of this.#wild) if (wordsMatch(pattern, words)) found.push(value);
    return found;
  }
}
