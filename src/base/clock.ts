/** The clock port. Production uses `systemClock`; simulations step a virtual one. XState's `clock` option fits it. */
export interface Clock {
  /** Milliseconds since 1970, UTC. */
  now(): number;
  // biome-ignore lint/suspicious/noExplicitAny: a timer's handle belongs to its clock alone
  setTimeout(fn: () => void, delayMs: number): any;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  clearTimeout(id: any): void;
  /** Calls once the event loop has come round: sooner than any timer. Absent: a timer of 0 does it. */
  setImmediate?(fn: () => void): void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (fn, delayMs) => setTimeout(fn, delayMs),
  clearTimeout: (id) => clearTimeout(id),
  setImmediate: (fn) => {
    setImmediate(fn);
  },
};

/** For who works long: sockets, and answers of other threads, go first. */
export function turn(clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    if (clock.setImmediate === undefined) clock.setTimeout(resolve, 0);
    else clock.setImmediate(resolve);
  });
}

/** Resolves after `delayMs`, or at once when one of the signals is aborted. Never rejects. */
export function sleep(
  clock: Clock,
  delayMs: number,
  ...signals: readonly AbortSignal[]
): Promise<void> {
  if (signals.some(({ aborted }) => aborted)) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clock.clearTimeout(id);
      for (const signal of signals) signal.removeEventListener('abort', done);
      resolve();
    };
    const id = clock.setTimeout(done, delayMs);
    for (const signal of signals) signal.addEventListener('abort', done, { once: true });
  });
}
