/**
 * Names an effect that a machine needs. `src/actors` provides the real one with `.provide`, simulations a
 * faulty one; a machine without them stands still. Every effect may run twice. Leaving the state aborts the
 * signal, not the effect: a late result is matched by transaction, attempt and epoch (PROTOCOL.md I5).
 */
import { fromPromise } from 'xstate';

export function effect<Output, Input>(name: string) {
  return fromPromise<Output, Input>(() =>
    Promise.reject(new Error(`the effect "${name}" was not provided`)),
  );
}
