/** Requests whose answer may be lost on the bus (contract B2), where the one who answers runs each once and answers alike. */
import { type Clock, sleep } from '../base/clock.ts';
import { LoadError } from '../base/errors.ts';

const ASK_AGAIN_MS = 5_000;
const REGISTERING_MS = 50;
/** A BE that asks the FE about what it holds takes nothing yet; one that still does after this has been refused. */
const REGISTERING_MS_MAX = 5_000;

/**
 * Asks every few seconds until there is an answer or `timeoutMs` are over: a lost message costs seconds, a BE that is just
 * registering costs its registration. Waits are counted, so that a clock that is set moves nothing.
 */
export async function askAgain<T>(
  timeoutMs: number,
  clock: Clock,
  ask: (timeoutMs: number) => Promise<T>,
): Promise<T> {
  let leftMs = timeoutMs;
  let registeringMs = 0;
  for (;;) {
    const waitMs = Math.min(ASK_AGAIN_MS, leftMs);
    try {
      return await ask(waitMs);
    } catch (error) {
      const code = error instanceof LoadError ? error.code : null;
      if (code === 'BUS_TIMEOUT') {
        leftMs -= waitMs;
      } else if (code === 'NOT_REGISTERED' && registeringMs < REGISTERING_MS_MAX) {
        await sleep(clock, REGISTERING_MS);
        registeringMs += REGISTERING_MS;
        leftMs -= REGISTERING_MS;
      } else {
        throw error;
      }
      if (leftMs <= 0) throw error;
    }
  }
}
