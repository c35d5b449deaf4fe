/** Requests whose answer may be lost on the bus (contract B2), where the one who answers runs each once and answers alike. */
import { LoadError } from '../base/errors.ts';

const ASK_AGAIN_MS = 5_000;

/**
 * Asks every few seconds until there is an answer or `timeoutMs` are over: a lost message costs seconds. Waits are counted, so
 * that a clock that is set moves nothing.
 */
export async function askAgain<T>(
  timeoutMs: number,
  ask: (timeoutMs: number) => Promise<T>,
): Promise<T> {
  let leftMs = timeoutMs;
  for (;;) {
    const waitMs = Math.min(ASK_AGAIN_MS, leftMs);
    try {
      return await ask(waitMs);
    } catch (error) {
      leftMs -= waitMs;
      const isSilent = error instanceof LoadError && error.code === 'BUS_TIMEOUT';
      if (!isSilent || leftMs <= 0) throw error;
    }
  }
}
