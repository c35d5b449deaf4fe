/**
 * The decision (PROTOCOL.md C1): one pure function of the head fold, called in the turn in which its entry is queued.
 *
 *   C1. Table alive, schema id and job epoch unchanged, progress equal to the range's start, label free, all votes
 *       of this attempt present, each from a BE that is registered in this epoch.
 *   I3. Votes of registered incarnations only.
 *   C5. No rows is a decision too: it moves progress over filtered, unselected and control records.
 */
import { LoadError } from '../../base/errors.ts';
import type { CommitEntry, FeState, JobReason } from './fe-facts.ts';
import { labelKey } from './fe-fold.ts';

/** What a commit entry will say, but for the versions, which the decision gives. */
export type Proposal = Omit<CommitEntry, 'type' | 'versions' | 'atMs'>;

export type Verdict =
  | { readonly kind: 'commit'; readonly entry: CommitEntry }
  | { readonly kind: 'refuse'; readonly cause: LoadError };

export function decide(head: FeState, proposal: Proposal, atMs: number): Verdict {
  const refusal = refuse(head, proposal);
  if (refusal !== undefined) return { kind: 'refuse', cause: refusal };
  const versions = proposal.votes.flatMap((vote) =>
    vote.tablets.map(({ tabletId }) => ({
      tabletId,
      version: (head.tablets.get(tabletId)?.committed ?? 0) + 1,
    })),
  );
  return { kind: 'commit', entry: { type: 'txn.committed', ...proposal, versions, atMs } };
}

function refused(code: string, message: string, details: Record<string, unknown>): LoadError {
  return new LoadError(code, message, { details, transient: true });
}

function refuse(head: FeState, proposal: Proposal): LoadError | undefined {
  const { txnId, label } = proposal;
  const table = head.tables.get(proposal.tableId);
  if (table === undefined) {
    return new LoadError('TABLE_DROPPED', `table of transaction ${txnId} was dropped`, {
      details: { txnId, tableId: proposal.tableId },
    });
  }
  if (table.schema.schemaId !== proposal.schemaId) {
    return refused('SCHEMA_CHANGED', `table "${table.name}" changed while it was loaded`, {
      txnId,
    });
  }
  const known = head.labelIndex.get(labelKey(proposal.dbId, label));
  if (known !== undefined) {
    return new LoadError('LABEL_USED', `Label [${label}] has already been used.`, {
      details: { label, txnId: known },
    });
  }
  return refuseJob(head, proposal) ?? refuseVotes(head, proposal);
}

function refuseJob(
  head: FeState,
  { job, progress, txnId, label }: Proposal,
): LoadError | undefined {
  if (job === undefined) return undefined;
  const fact = head.jobs.get(job.jobId);
  if (
    fact === undefined ||
    fact.epoch !== job.epoch ||
    (fact.state !== 'RUNNING' && fact.state !== 'UNSTABLE')
  ) {
    return refused(
      'TASK_DROPPED',
      `txn ${txnId} could not be COMMITTED while task ${label} has been aborted.`,
      { txnId, jobId: job.jobId },
    );
  }
  for (const [partition, range] of Object.entries(progress)) {
    const now = fact.progress[partition];
    if (now !== range.from) {
      return refused('PROGRESS_MOVED', `partition ${partition} is at ${now}, not ${range.from}`, {
        txnId,
        partition,
      });
    }
  }
  return undefined;
}

function refuseVotes(head: FeState, proposal: Proposal): LoadError | undefined {
  const { txnId, attempt } = proposal;
  const seen = new Set<number>();
  for (const vote of proposal.votes) {
    const be = head.bes.get(vote.beId);
    if (vote.txnId !== txnId || vote.attempt !== attempt) {
      return refused('VOTE_FOREIGN', `a vote of transaction ${vote.txnId} came for ${txnId}`, {
        txnId,
      });
    }
    if (
      be === undefined ||
      be.dropped ||
      be.incarnation !== vote.incarnation ||
      be.epoch !== head.epoch
    ) {
      return refused('VOTE_STALE', `BE "${vote.beId}" is not registered as it voted`, {
        txnId,
        beId: vote.beId,
      });
    }
    for (const { tabletId } of vote.tablets) {
      const tablet = head.tablets.get(tabletId);
      if (
        tablet === undefined ||
        tablet.tableId !== proposal.tableId ||
        tablet.beId !== vote.beId
      ) {
        return refused('TABLET_MOVED', `tablet ${tabletId} is not on BE "${vote.beId}"`, { txnId });
      }
      if (tablet.damaged !== null) {
        return new LoadError('TABLET_DAMAGED', `tablet ${tabletId} is damaged: ${tablet.damaged}`, {
          details: { txnId, tabletId, beId: vote.beId },
        });
      }
      if (seen.has(tabletId)) {
        return refused('VOTE_TWICE', `two votes name tablet ${tabletId}`, { txnId });
      }
      seen.add(tabletId);
    }
  }
  return undefined;
}

/** routine-load.md 3.3: what a job is paused with when its window went over `max_error_number`. */
export function tooManyErrors(errors: number, limit: number, atMs: number): JobReason {
  return {
    code: 102,
    cause: 'TOO_MANY_FAILURE_ROWS',
    message: `Current error rows: ${errors} is more than max error num: ${limit}. Check the 'TrackingSQL' field for detailed information. If you are sure that the data has many errors, you can set 'max_error_number' property to a greater value through ALTER ROUTINE LOAD and RESUME the job`,
    sinceMs: atMs,
    next: 'look at ErrorLogUrls or TrackingSQL; RESUME goes on behind the rejected rows',
  };
}
