/** The tablet store with its verbs in the trace: what a participant was asked, and what became of it. */
import type { TabletStore } from '../../src/storage/tablet-store.types.ts';
import type { Trace } from './trace.ts';

const VERBS = ['stage', 'publish', 'abort', 'promiseTo', 'dropTablets', 'markDamaged'] as const;

export function tracedStore(store: TabletStore, who: string, trace: Trace): TabletStore {
  const wrapped = Object.create(store) as Record<string, unknown>;
  const own = store as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  for (const verb of VERBS) {
    wrapped[verb] = async (...args: unknown[]) => {
      const [first, second] = args as [
        { txnId?: number; attempt?: number; versions?: unknown } | number | undefined,
        unknown,
      ];
      const fields =
        typeof first === 'object' && first !== null && 'txnId' in first
          ? { txnId: first.txnId, attempt: first.attempt, versions: first.versions }
          : { of: first, and: second };
      try {
        const answer = await (own[verb] as (...a: unknown[]) => Promise<unknown>).apply(
          store,
          args,
        );
        trace.add(who, verb, fields);
        return answer;
      } catch (error) {
        trace.add(who, `${verb} failed`, { ...fields, error: String(error) });
        throw error;
      }
    };
  }
  // Getters and the rest read from the store itself, which has private fields.
  return new Proxy(store, {
    get(target, key) {
      if (typeof key === 'string' && key in wrapped && VERBS.includes(key as never)) {
        return wrapped[key];
      }
      const value = Reflect.get(target, key, target) as unknown;
      return typeof value === 'function' ? (value as () => void).bind(target) : value;
    },
  });
}
