/**
 * Globals that would make two runs of a seed differ: while a world runs, a call of one of them from the project's own code is
 * told to `tell` and throws. Libraries may stamp what they schedule; nothing of a run depends on it (the trace hash tells).
 */
const FORBIDDEN: readonly (readonly [object: object, name: string])[] = [
  [Date, 'now'],
  [Math, 'random'],
  [performance, 'now'],
  [globalThis, 'setTimeout'],
  [globalThis, 'setInterval'],
  [globalThis.crypto, 'randomUUID'],
  [globalThis.crypto, 'getRandomValues'],
];

function isOurs(): boolean {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 3;
  const caller = new Error().stack?.split('\n')[3] ?? '';
  Error.stackTraceLimit = stackTraceLimit;
  return !caller.includes('node_modules') && !caller.includes('node:');
}

/** Who calls is read off the stack, which costs: of so many calls each is looked at, then one of so many. */
const LOOKED_AT = 500;
const LOOKED_AT_EACH = 40;

/** What is returned puts them back. */
export function guardGlobals(tell: (what: string) => void): () => void {
  let calls = 0;
  const undo = FORBIDDEN.map(([object, name]) => {
    const own = Object.getOwnPropertyDescriptor(object, name);
    const inherited = (object as Record<string, (...all: unknown[]) => unknown>)[name];
    const value = (...args: readonly unknown[]): unknown => {
      calls += 1;
      if ((calls > LOOKED_AT && calls % LOOKED_AT_EACH !== 0) || !isOurs())
        return inherited?.apply(object, [...args]);
      tell(name);
      throw new Error(`${name} was called in a simulation: ask a port`);
    };
    Object.defineProperty(object, name, { value, configurable: true, writable: true });
    return () => {
      if (own === undefined) Reflect.deleteProperty(object, name);
      else Object.defineProperty(object, name, own);
    };
  });
  return () => {
    for (const put of undo) put();
  };
}
