/** What the tablet store refuses, in words. */
import { DamageError, type ErrorData, LoadError } from '../base/errors.ts';
import type { FeIdentity, PublishRequest, TxnId } from './tablet-store.types.ts';

export function refused(fe: FeIdentity, promise: FeIdentity): LoadError {
  const message = `epoch ${fe.epoch} is not the one that this backend promised itself to, ${promise.epoch}`;
  const details = { epoch: fe.epoch, incarnation: fe.incarnation, promised: promise };
  return new LoadError('EPOCH_REFUSED', message, { details });
}

export function decided(at: { txnId: TxnId; attempt: number }, outcome: string): LoadError {
  const { txnId, attempt } = at;
  const message = `attempt ${attempt} of transaction ${txnId} was ${outcome}`;
  return new LoadError('TXN_DECIDED', message, { details: { txnId, attempt, outcome } });
}

export function tabletDamaged(tabletId: number, reason: ErrorData): DamageError {
  const message = `tablet ${tabletId} is damaged: ${reason.message}`;
  return new DamageError('TABLET_DAMAGED', { tabletId, reason }, message);
}

export function notRegistered(): LoadError {
  const message = 'this backend has not registered with a frontend yet';
  return new LoadError('EPOCH_REFUSED', message, { details: { promised: null } });
}

/** The decision names this BE: without a vote it is our entry that was lost, not the vote (D1). */
export function voteLost(
  at: PublishRequest & { readonly beId: string; readonly outcome: string | undefined },
): DamageError {
  const message = `transaction ${at.txnId} was committed and its vote is not here any more`;
  return new DamageError('VOTE_LOST', { ...at }, message);
}

export function versionNotYet(at: {
  tabletId: number;
  version: number;
  published: number;
}): LoadError {
  const message = `version ${at.version} of tablet ${at.tabletId} is not published here`;
  return new LoadError('VERSION_NOT_YET', message, { details: at, transient: true });
}

export function versionGone(at: { tabletId: number; version: number }): LoadError {
  const message = `version ${at.version} of tablet ${at.tabletId} was merged into a newer one`;
  return new LoadError('VERSION_GONE', message, { details: at, transient: true });
}

export function tooManyVersions(tabletId: number, rowsets: number, limit: number): LoadError {
  return new LoadError('TOO_MANY_VERSIONS', `tablet ${tabletId} has ${rowsets} rowsets`, {
    details: { tabletId, rowsets, limit },
    hint: 'load larger batches less often; compaction will make room',
    transient: true,
  });
}

export function diskFullSoon(beId: string, free: number, limit: number): LoadError {
  const message = `the disk of backend "${beId}" has ${free} bytes left, loads need ${limit}`;
  return new LoadError('DISK_FULL_SOON', message, {
    details: { free, limit },
    hint: 'make room on the disk, or drop tables',
    transient: true,
  });
}
