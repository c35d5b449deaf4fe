/** Syntax errors in StarRocks' shape, with the nearest of what was expected. */
import { LoadError } from '../base/errors.ts';

export interface SyntaxProblem {
  readonly line: number;
  readonly column: number;
  readonly found: string;
  readonly expected: readonly string[];
}

/** The found text of the end of the statement. */
export const END_OF_INPUT = '<EOF>';

const FOUND_LENGTH_MAX = 64;
const SUGGESTIONS_MAX = 8;

export function syntaxError(problem: SyntaxProblem, hint?: string): LoadError {
  const { line, column } = problem;
  const found = clip(problem.found);
  const expected = [...new Set(problem.expected)];
  const near = nearest(found, expected);
  const shown = near.length > 0 ? near : expected;
  const list = shown.slice(0, SUGGESTIONS_MAX).join(', ');
  const more = shown.length > SUGGESTIONS_MAX ? ', …' : '';
  const end = found === END_OF_INPUT ? ' (end of input)' : '';
  const detail = `Unexpected input '${found}'${end}, the most similar input is {${list}${more}}.`;
  return located('SQL_SYNTAX', { line, column, found, expected }, detail, hint);
}

/** An error about something that was understood but is not allowed there. */
export function statementError(
  code: string,
  place: { readonly line: number; readonly column: number },
  detail: string,
  hint?: string,
): LoadError {
  return located(code, { line: place.line, column: place.column }, detail, hint);
}

function located(
  code: string,
  details: { readonly line: number; readonly column: number } & Partial<SyntaxProblem>,
  detail: string,
  hint: string | undefined,
): LoadError {
  const where = `line ${details.line}, column ${details.column}`;
  return new LoadError(code, `Getting syntax error at ${where}. Detail message: ${detail}`, {
    errno: 1064,
    sqlState: 'HY000',
    details: { ...details },
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Candidates that a slip of the fingers could have meant, nearest first. */
export function nearest(found: string, candidates: readonly string[]): string[] {
  const word = found.toUpperCase();
  if (!/^[A-Z_]{2,32}$/.test(word)) return [];
  const allowed = word.length <= 3 ? 1 : word.length <= 6 ? 2 : 3;
  return candidates
    .filter((candidate) => /^[A-Z_]{2,32}$/.test(candidate))
    .map((candidate) => ({ candidate, distance: editDistance(word, candidate) }))
    .filter(({ candidate, distance }) => distance <= Math.min(allowed, candidate.length - 1))
    .sort((a, b) => a.distance - b.distance)
    .map(({ candidate }) => candidate);
}

/** Levenshtein with swaps of neighbours; both words are short. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, before[j - 2]! + 1);
      }
      row.push(cost);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}

function clip(text: string): string {
  return text.length <= FOUND_LENGTH_MAX ? text : `${text.slice(0, FOUND_LENGTH_MAX)}…`;
}
