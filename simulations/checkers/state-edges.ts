/** `state.edges`, `state.reason`: a job moves along listed edges alone, and each state in which it waits says why. */
import type { FeEntry, JobState } from '../../src/actors/fe/fe-facts.ts';
import type { Trace } from '../world/trace.ts';
import { type Checker, type Facts, InvariantBroken } from './checker.ts';

const EDGES: Readonly<Record<JobState, readonly JobState[]>> = {
  NEED_SCHEDULE: ['NEED_SCHEDULE', 'RUNNING', 'PAUSED', 'STOPPED', 'CANCELLED'],
  RUNNING: ['RUNNING', 'UNSTABLE', 'NEED_SCHEDULE', 'PAUSED', 'STOPPED', 'CANCELLED'],
  UNSTABLE: ['UNSTABLE', 'RUNNING', 'NEED_SCHEDULE', 'PAUSED', 'STOPPED', 'CANCELLED'],
  PAUSED: ['NEED_SCHEDULE', 'PAUSED', 'STOPPED', 'CANCELLED'],
  STOPPED: [],
  CANCELLED: [],
};

/** The edges of a transaction, for whoever steps through the trace. */
function traceTxn(entry: FeEntry, trace: Trace): void {
  switch (entry.type) {
    case 'txn.committed':
      trace.reach('txn.PREPARED>COMMITTED');
      trace.add('facts', `txn ${entry.txnId}`, { to: 'COMMITTED', progress: entry.progress });
      return;
    case 'txn.visible':
      trace.reach('txn.COMMITTED>VISIBLE');
      trace.add('facts', `txn ${entry.txnId}`, { from: 'COMMITTED', to: 'VISIBLE' });
      return;
    case 'task.aborted':
      trace.reach('txn.PREPARE>ABORTED');
      trace.add('facts', `txn ${entry.txnId}`, { to: 'ABORTED', message: entry.message });
      return;
    case 'be.registered':
      trace.add('facts', `be ${entry.name}`, { to: 'alive', incarnation: entry.incarnation });
  }
}

export function stateEdges(facts: Facts, trace: Trace): Checker {
  const id = 'state.edges';
  const states = new Map<number, JobState>();
  return {
    id,
    feEntry(entry) {
      traceTxn(entry, trace);
      for (const { jobId, name, state, reason } of facts.fe.jobs.values()) {
        const before = states.get(jobId);
        states.set(jobId, state);
        if (before !== undefined && before !== state) {
          trace.reach(`job.${before}>${state}`);
          trace.add('facts', `job ${name}`, { from: before, to: state, cause: reason?.cause });
          if (!EDGES[before].includes(state)) {
            throw new InvariantBroken(id, `job ${name}: ${before} to ${state} by ${entry.type}`);
          }
        }
        const needs = state === 'PAUSED' || state === 'UNSTABLE' || state === 'CANCELLED';
        if (!needs) continue;
        if (reason === null || reason.cause === '' || reason.message === '' || reason.next === '') {
          throw new InvariantBroken(
            'state.reason',
            `job ${name} is ${state}: ${JSON.stringify(reason)}`,
          );
        }
      }
    },
  };
}
