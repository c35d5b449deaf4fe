/**
 * The fold of the FE's facts, used live and in replay (DESIGN.md, decision 1).
 *
 *   F1. `apply` uses the entry and the state alone: no configuration, clock or default (PROTOCOL.md J2).
 *   F2. Progress moves by `txn.committed` and by recorded statements (`job.altered`, `job.scheduled`), never
 *       by an abort.
 *   F3. Versions of a tablet are given in journal order, without gaps.
 */
import { assert } from '../../base/assert.ts';
import type { FoldSpec } from '../../storage/journal.types.ts';
import type {
  CommitEntry,
  FeEntry,
  FeState,
  JobFact,
  LabelFact,
  TableFact,
  TabletFact,
} from './fe-facts.ts';
import {
  applyJobAltered,
  applyJobCommit,
  applyJobScheduled,
  applyJobState,
  applyTaskAborted,
  newJob,
} from './job-fold.ts';

/** How many transactions we remember by label, beyond those of users' labels. */
const LABELS_KEPT = 1_000;

export function labelKey(dbId: number, label: string): string {
  return `${dbId}/${label}`;
}

function emptyState(): FeState {
  return {
    clusterId: '',
    lastId: 10_000,
    epoch: 0,
    incarnation: '',
    epochs: {},
    dbs: new Map(),
    tables: new Map(),
    tablets: new Map(),
    jobs: new Map(),
    bes: new Map(),
    files: new Map(),
    config: new Map(),
    txns: new Map(),
    labels: new Map(),
    labelIndex: new Map(),
  };
}

function job(state: FeState, jobId: number): JobFact {
  const found = state.jobs.get(jobId);
  assert(found !== undefined, `job ${jobId} of an entry is not in the fold`);
  return found;
}

function addTablets(state: FeState, table: TableFact): void {
  for (const { tabletId, beId } of table.tablets) {
    const tablet: TabletFact = {
      tabletId,
      tableId: table.tableId,
      beId,
      committed: 1,
      visible: 1,
      damaged: null,
    };
    state.tablets.set(tabletId, tablet);
    state.lastId = Math.max(state.lastId, tabletId);
  }
}

function dropTable(state: FeState, tableId: number): void {
  const table = state.tables.get(tableId);
  if (table === undefined) return;
  for (const { tabletId } of table.tablets) state.tablets.delete(tabletId);
  state.tables.delete(tableId);
}

function applyCommit(state: FeState, entry: CommitEntry): void {
  for (const { tabletId, version } of entry.versions) {
    const tablet = state.tablets.get(tabletId);
    assert(
      tablet !== undefined && version === tablet.committed + 1,
      `F3: commit of transaction ${entry.txnId} skips a version of tablet ${tabletId}`,
    );
    tablet.committed = version;
  }
  for (const vote of entry.votes) {
    const be = state.bes.get(vote.beId);
    if (be !== undefined) be.seq = Math.max(be.seq, vote.beSeq);
  }
  state.txns.set(entry.txnId, { commit: entry, state: 'COMMITTED' });
  const fact: LabelFact = {
    txnId: entry.txnId,
    dbId: entry.dbId,
    tableId: entry.tableId,
    label: entry.label,
    source: entry.source,
    status: 'COMMITTED',
    counts: entry.counts,
    jobId: entry.job?.jobId ?? null,
    userLabel: entry.userLabel ?? false,
    rejects: entry.rejects,
    beginMs: entry.beginMs,
    commitMs: entry.atMs,
    visibleMs: null,
  };
  state.labels.set(entry.txnId, fact);
  state.labelIndex.set(labelKey(entry.dbId, entry.label), entry.txnId);
  forgetLabels(state);
  if (entry.job !== undefined) applyJobCommit(job(state, entry.job.jobId), entry);
}

/** C3: labels that we made go by count, looked at now and then; what is not visible yet is never forgotten. */
function forgetLabels(state: FeState): void {
  if (state.labels.size % LABELS_KEPT !== 0) return;
  const ours = [...state.labels.values()].filter((fact) => !fact.userLabel);
  for (const { txnId } of ours.slice(0, Math.max(0, ours.length - LABELS_KEPT))) {
    forgetLabel(state, txnId);
  }
}

function forgetLabel(state: FeState, txnId: number): void {
  const fact = state.labels.get(txnId);
  if (fact === undefined || state.txns.has(txnId)) return;
  state.labels.delete(txnId);
  state.labelIndex.delete(labelKey(fact.dbId, fact.label));
}

function apply(state: FeState, entry: FeEntry): void {
  switch (entry.type) {
    case 'cluster.created':
      state.clusterId = entry.clusterId;
      return;
    case 'epoch.opened':
      state.epoch = entry.epoch;
      state.incarnation = entry.incarnation;
      state.epochs[entry.epoch] = entry.incarnation;
      return;
    case 'db.created':
      state.dbs.set(entry.dbId, { dbId: entry.dbId, name: entry.name, createdMs: entry.atMs });
      state.lastId = Math.max(state.lastId, entry.dbId);
      return;
    case 'db.dropped':
      for (const table of [...state.tables.values()]) {
        if (table.dbId === entry.dbId) dropTable(state, table.tableId);
      }
      for (const file of [...state.files.values()]) {
        if (file.dbId === entry.dbId) state.files.delete(file.fileId);
      }
      state.dbs.delete(entry.dbId);
      return;
    case 'table.created': {
      const table: TableFact = { ...structuredClone(entry.table), rows: 0 };
      state.tables.set(table.tableId, table);
      state.lastId = Math.max(state.lastId, table.tableId, table.schema.schemaId);
      addTablets(state, table);
      return;
    }
    case 'table.dropped':
      dropTable(state, entry.tableId);
      return;
    case 'table.truncated': {
      const table = state.tables.get(entry.tableId);
      assert(table !== undefined, `table ${entry.tableId} of an entry is not in the fold`);
      for (const { tabletId } of table.tablets) state.tablets.delete(tabletId);
      table.tablets = structuredClone(entry.tablets);
      table.rows = 0;
      addTablets(state, table);
      return;
    }
    case 'file.created':
      state.files.set(entry.file.fileId, entry.file);
      state.lastId = Math.max(state.lastId, entry.file.fileId);
      return;
    case 'file.dropped':
      state.files.delete(entry.fileId);
      return;
    case 'config.set':
      state.config.set(entry.name, entry.value);
      return;
    case 'job.created':
      state.lastId = Math.max(state.lastId, entry.jobId);
      state.jobs.set(entry.jobId, newJob(entry));
      return;
    case 'job.altered':
      applyJobAltered(job(state, entry.jobId), entry);
      return;
    case 'job.scheduled':
      applyJobScheduled(job(state, entry.jobId), entry);
      return;
    case 'job.state':
      applyJobState(job(state, entry.jobId), entry);
      return;
    case 'task.aborted': {
      const fact = state.jobs.get(entry.jobId);
      if (fact !== undefined) applyTaskAborted(fact, entry);
      return;
    }
    case 'job.removed':
      state.jobs.delete(entry.jobId);
      return;
    case 'be.registered': {
      const known = state.bes.get(entry.beId);
      state.bes.set(entry.beId, {
        beId: entry.beId,
        name: entry.name,
        firstSeenMs: known?.firstSeenMs ?? entry.atMs,
        incarnation: entry.incarnation,
        registeredMs: entry.atMs,
        epoch: state.epoch,
        seq: Math.max(known?.seq ?? 0, entry.seq),
        dropped: false,
      });
      return;
    }
    case 'be.dropped': {
      const be = state.bes.get(entry.beId);
      if (be !== undefined) be.dropped = true;
      for (const tablet of state.tablets.values()) {
        if (tablet.beId === entry.beId) tablet.damaged = 'its BE was dropped';
      }
      return;
    }
    case 'tablets.damaged':
      for (const tabletId of entry.tabletIds) {
        const tablet = state.tablets.get(tabletId);
        if (tablet !== undefined && tablet.beId === entry.beId) tablet.damaged = entry.reason;
      }
      return;
    case 'txn.committed':
      applyCommit(state, entry);
      return;
    case 'txn.visible': {
      const txn = state.txns.get(entry.txnId);
      assert(txn !== undefined, `transaction ${entry.txnId} became visible without a commit`);
      for (const { tabletId, version } of txn.commit.versions) {
        const tablet = state.tablets.get(tabletId);
        if (tablet !== undefined) tablet.visible = Math.max(tablet.visible, version);
      }
      for (const ack of entry.acks) {
        const be = state.bes.get(ack.beId);
        if (be !== undefined) be.seq = Math.max(be.seq, ack.seq);
      }
      const table = state.tables.get(txn.commit.tableId);
      if (table !== undefined) table.rows += txn.commit.counts.loaded;
      const label = state.labels.get(entry.txnId);
      if (label !== undefined) {
        label.status = 'VISIBLE';
        label.visibleMs = entry.atMs;
      }
      state.txns.delete(entry.txnId);
      return;
    }
    case 'labels.forgotten':
      for (const txnId of entry.txnIds) forgetLabel(state, txnId);
      return;
    case 'loss.accepted':
      return;
  }
}

const MAPS = [
  'dbs',
  'tables',
  'tablets',
  'jobs',
  'bes',
  'files',
  'config',
  'txns',
  'labels',
  'labelIndex',
] as const;

type Section = { readonly map: string; readonly entries: readonly (readonly [unknown, unknown])[] };

/** Sections of a checkpoint hold so many entries of one map, so that no turn takes long (J3). */
const SECTION_ENTRIES = 500;

function* save(state: FeState): Iterable<unknown> {
  const { clusterId, lastId, epoch, incarnation, epochs } = state;
  yield { clusterId, lastId, epoch, incarnation, epochs };
  for (const map of MAPS) {
    const entries = [...(state[map] as Map<unknown, unknown>)];
    for (let i = 0; i < entries.length; i += SECTION_ENTRIES) {
      yield { map, entries: entries.slice(i, i + SECTION_ENTRIES) } satisfies Section;
    }
  }
}

function load(sections: Iterable<unknown>): FeState {
  const state = emptyState();
  for (const section of sections) {
    if (section !== null && typeof section === 'object' && 'map' in section) {
      const { map, entries } = section as Section;
      const target = state[map as (typeof MAPS)[number]] as Map<unknown, unknown>;
      assert(target instanceof Map, `a checkpoint names an unknown map "${map}"`);
      for (const [key, value] of entries) target.set(key, value);
    } else {
      Object.assign(state, section);
    }
  }
  return state;
}

export const feFold: FoldSpec<FeEntry, FeState> = {
  version: 1,
  types: [
    'cluster.created',
    'epoch.opened',
    'db.created',
    'db.dropped',
    'table.created',
    'table.dropped',
    'table.truncated',
    'file.created',
    'file.dropped',
    'config.set',
    'job.created',
    'job.altered',
    'job.scheduled',
    'job.state',
    'task.aborted',
    'job.removed',
    'be.registered',
    'be.dropped',
    'tablets.damaged',
    'txn.committed',
    'txn.visible',
    'labels.forgotten',
    'loss.accepted',
  ],
  empty: emptyState,
  apply,
  save,
  load,
};
