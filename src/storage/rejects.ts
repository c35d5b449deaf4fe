/** Rejected rows under a key of their own; length and digest stand in the vote entry (PROTOCOL.md C6, D1). */
import { DamageError } from '../base/errors.ts';
import type { RejectsFact } from './be-facts.ts';
import { digestHex, digestOf } from './digest.ts';
import { decodeJson, encodeJson } from './json-codec.ts';
import { rejectsKey } from './keys.ts';
import type { OrderedStore, StoreOp } from './ordered-store.types.ts';
import type { StageRequest, StoredReject, TxnId } from './tablet-store.types.ts';

export function encodeRejects(
  request: StageRequest,
): { fact: RejectsFact; ops: readonly StoreOp[] } | undefined {
  const { txnId, attempt, rejects } = request;
  if (rejects.length === 0) return undefined;
  const value = Buffer.from(encodeJson(rejects), 'utf8');
  const digest = digestHex(digestOf(value));
  return {
    fact: { txnId, attempt, count: rejects.length, length: value.length, digest },
    ops: [{ type: 'put', key: rejectsKey(txnId, attempt), value }],
  };
}

export function deleteRejects(at: { txnId: TxnId; attempt: number }): StoreOp {
  return { type: 'del', key: rejectsKey(at.txnId, at.attempt) };
}

/** `undefined` where they are not what the vote says. */
export async function readRejects(
  store: OrderedStore,
  fact: RejectsFact,
): Promise<StoredReject[] | undefined> {
  const bytes = await store.get(rejectsKey(fact.txnId, fact.attempt));
  if (bytes?.length !== fact.length || digestHex(digestOf(bytes)) !== fact.digest) return undefined;
  return decodeJson(Buffer.from(bytes).toString('utf8')) as StoredReject[];
}

export function rejectsDamaged({ txnId, attempt }: RejectsFact): DamageError {
  const message = `the rejected rows of transaction ${txnId} are not those that were written`;
  return new DamageError('REJECTS_DAMAGED', { txnId, attempt }, message);
}
