/** Waiting for a condition. What is waited for lives in other processes, so this asks again and again. */

export interface WaitOptions {
  /** Default 100,000: it ends what never comes, it measures nothing. */
  readonly timeoutMs?: number;
  /** What is waited for, as the error names it. */
  readonly what: string;
  /** Time between two questions. Default 50. */
  readonly intervalMs?: number;
  /** Throws what makes further waiting pointless, for example that the process has ended. */
  readonly giveUp?: () => void;
}

type Falsy = false | 0 | '' | null | undefined;

/**
 * The first truthy answer of `condition`. A condition that throws is asked again; its last error is
 * the cause of the timeout.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions,
): Promise<Exclude<T, Falsy>> {
  const timeoutMs = options.timeoutMs ?? 100_000;
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    options.giveUp?.();
    try {
      const answer = await condition();
      if (answer) return answer as Exclude<T, Falsy>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= deadline) {
      const last = cause instanceof Error ? `: ${cause.message}` : '';
      throw new Error(`no ${options.what} after ${timeoutMs} ms${last}`, { cause });
    }
    await new Promise((resolve) => setTimeout(resolve, options.intervalMs ?? 50));
  }
}
