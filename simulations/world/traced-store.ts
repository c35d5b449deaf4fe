/** The tablet store with its verbs in the trace: what a participant was asked, and what became of it. */
import type { TabletStore } from '../../src/storage/tablet-store.types.ts';
import { override } from './override.ts';
import type { Trace } from './trace.ts';

const VERBS = ['stage', 'publish', 'abort', 'promiseTo', 'dropTablets', 'markDamaged'] as const;

type Verb = (...args: unknown[]) => Promise<unknown>;

export function tracedStore(store: TabletStore, who: string, trace: Trace): TabletStore {
  const verbs: Record<string, Verb> = {};
  for (const verb of VERBS) {
    const own = (store[verb] as Verb).bind(store);
    verbs[verb] = async (...args) => {
      const [first, second] = args as [
        { txnId?: number; attempt?: number; versions?: unknown } | number | undefined,
        unknown,
      ];
      const fields =
        typeof first === 'object' && first !== null && 'txnId' in first
          ? { txnId: first.txnId, attempt: first.attempt, versions: first.versions }
          : { of: first, and: second };
      try {
        const answer = await own(...args);
        trace.add(who, verb, fields);
        return answer;
      } catch (error) {
        trace.add(who, `${verb} failed`, { ...fields, error: String(error) });
        throw error;
      }
    };
  }
  return override(store, verbs as Partial<TabletStore>);
}
