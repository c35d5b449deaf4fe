/** Paths into JSON documents (semantics.md 3.5): of `jsonpaths` and `json_root`. */
import { LoadError } from '../base/errors.ts';

/** `[*]`: every item of an array. */
export const EVERY = -1;
export type PathStep = string | number;

/** `$.a.b[0]`, `a.b`, `$."x.y"`, `$` to steps. */
export function parseJsonPath(path: string): readonly PathStep[] {
  const bad = () => new LoadError('JSON_PATH', `Invalid json path: ${path}`, { errno: 1064 });
  let rest = path.trim();
  if (rest === '') throw bad();
  if (rest.startsWith('$')) rest = rest.slice(1);
  else rest = `.${rest}`;
  const steps: PathStep[] = [];
  while (rest !== '') {
    const match = /^(?:\."([^"]+)"|\.([^.[\]"]+)|\[([0-9]{1,9}|\*)\])/.exec(rest);
    if (match === null) throw bad();
    steps.push(match[1] ?? match[2] ?? (match[3] === '*' ? EVERY : Number(match[3])));
    rest = rest.slice(match[0].length);
  }
  return steps;
}
