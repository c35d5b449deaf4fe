/**
 * The fold of a BE's journal.
 *
 *   B1. A part is in `parts` while a vote or a rowset refers to it, then in `unused` until its bytes are gone.
 *   B2. A tablet's version is the end of its rowsets without a gap; publishes may come in any order.
 *   B3. Covered rowsets stay whole versions of their tablet until they are dropped together.
 */
import { assert, unreachable } from '../base/assert.ts';
import {
  type BeEntry,
  type BeState,
  EMPTY_VERSION,
  type PartState,
  type RowsetFact,
  type TabletFact,
  voteKey,
} from './be-facts.ts';
import type { FoldSpec } from './journal.types.ts';

const OUTCOMES_MAX = 10_000;
const ITEMS_IN_SECTION = 50;

export const beFold: FoldSpec<BeEntry, BeState> = {
  version: 1,
  types: [
    'created',
    'promised',
    'voted',
    'published',
    'aborted',
    'tablets.dropped',
    'tablets.damaged',
    'compacted',
    'covered.dropped',
    'parts.removed',
    'rejects.forgotten',
  ],
  empty,
  apply,
  save,
  load,
};

function empty(): BeState {
  return {
    beId: '',
    promise: null,
    feSeq: 0,
    votes: new Map(),
    parts: new Map(),
    unused: new Map(),
    tablets: new Map(),
    damaged: new Map(),
    rejects: new Map(),
    outcomes: new Map(),
  };
}

function apply(state: BeState, entry: BeEntry): void {
  switch (entry.type) {
    case 'created':
      state.beId = entry.beId;
      return;
    case 'promised':
      state.promise = entry.fe;
      state.feSeq = entry.feSeq;
      return;
    case 'voted':
      voted(state, entry);
      return;
    case 'published':
      published(state, entry);
      return;
    case 'aborted':
      aborted(state, entry);
      return;
    case 'tablets.dropped':
      for (const tabletId of entry.tabletIds) dropTablet(state, tabletId);
      return;
    case 'tablets.damaged':
      for (const tabletId of entry.tabletIds) state.damaged.set(tabletId, entry.reason);
      return;
    case 'compacted':
      compacted(state, entry);
      return;
    case 'covered.dropped':
      for (const tabletId of entry.tabletIds) dropCovered(state, tabletId, entry.untilMs);
      return;
    case 'parts.removed':
      for (const partId of entry.partIds) state.unused.delete(partId);
      return;
    case 'rejects.forgotten':
      for (const at of entry.rejects) state.rejects.delete(voteKey(at.txnId, at.attempt));
      return;
    default:
      unreachable(entry);
  }
}

function voted(state: BeState, entry: BeEntry & { type: 'voted' }): void {
  const { vote, label, part, rejects } = entry;
  const key = voteKey(vote.txnId, vote.attempt);
  assert(!state.votes.has(key), `a second vote of transaction ${key}`);
  state.feSeq = Math.max(state.feSeq, entry.feSeq);
  state.votes.set(key, { vote, label, dropped: [] });
  if (part !== null) state.parts.set(part.partId, { fact: part, refs: 1 });
  if (rejects !== null) state.rejects.set(key, { ...rejects, aborted: false });
  for (const { tabletId, tableId } of vote.tablets) tabletOf(state, tabletId, tableId);
}

function published(state: BeState, entry: BeEntry & { type: 'published' }): void {
  const key = voteKey(entry.txnId, entry.attempt);
  const held = state.votes.get(key);
  assert(held !== undefined, `publish of transaction ${key} without its vote`);
  state.feSeq = Math.max(state.feSeq, entry.feSeq);
  for (const { tabletId, tableId, version, rows, partId } of entry.rowsets) {
    const tablet = tabletOf(state, tabletId, tableId);
    if (hasVersion(tablet, version)) continue;
    insertRowset(tablet, { from: version, to: version, rows, partId });
    advance(tablet);
    if (partId !== null) partOf(state, partId).refs += 1;
  }
  endVote(state, key, 'published');
}

function aborted(state: BeState, entry: BeEntry & { type: 'aborted' }): void {
  const key = voteKey(entry.txnId, entry.attempt);
  endVote(state, key, 'aborted');
  const rejects = state.rejects.get(key);
  // Put in anew, so that the map keeps them in the order in which they were aborted.
  if (rejects !== undefined) {
    state.rejects.delete(key);
    state.rejects.set(key, { ...rejects, aborted: true });
  }
  for (const at of entry.forgotten) state.rejects.delete(voteKey(at.txnId, at.attempt));
}

function endVote(state: BeState, key: string, outcome: 'published' | 'aborted'): void {
  const held = state.votes.get(key);
  assert(held !== undefined, `transaction ${key} ended without a vote`);
  state.votes.delete(key);
  release(state, held.vote.partId);
  state.outcomes.set(key, outcome);
  if (state.outcomes.size <= OUTCOMES_MAX) return;
  for (const oldest of state.outcomes.keys()) {
    state.outcomes.delete(oldest);
    return;
  }
}

function compacted(state: BeState, entry: BeEntry & { type: 'compacted' }): void {
  const { part, atMs } = entry;
  if (part !== null) state.parts.set(part.partId, { fact: part, refs: 1 });
  for (const { tabletId, from, to, rows } of entry.tablets) {
    const tablet = state.tablets.get(tabletId);
    if (tablet === undefined) continue;
    const inside = tablet.rowsets.filter((rowset) => rowset.from >= from && rowset.to <= to);
    tablet.covered.push(...inside.map((rowset) => ({ ...rowset, atMs })));
    const partId = rows === 0 ? null : (part?.partId ?? null);
    tablet.rowsets = tablet.rowsets.filter((rowset) => !inside.includes(rowset));
    insertRowset(tablet, { from, to, rows, partId });
    if (partId !== null) partOf(state, partId).refs += 1;
  }
  if (part !== null) release(state, part.partId);
}

function dropCovered(state: BeState, tabletId: number, untilMs: number): void {
  const tablet = state.tablets.get(tabletId);
  if (tablet === undefined) return;
  for (const rowset of tablet.covered) {
    if (rowset.atMs <= untilMs) release(state, rowset.partId);
  }
  tablet.covered = tablet.covered.filter((rowset) => rowset.atMs > untilMs);
}

function dropTablet(state: BeState, tabletId: number): void {
  state.damaged.delete(tabletId);
  for (const held of state.votes.values()) {
    const named = held.vote.tablets.some((tablet) => tablet.tabletId === tabletId);
    if (named && !held.dropped.includes(tabletId)) held.dropped.push(tabletId);
  }
  const tablet = state.tablets.get(tabletId);
  if (tablet === undefined) return;
  for (const rowset of [...tablet.rowsets, ...tablet.covered]) release(state, rowset.partId);
  state.tablets.delete(tabletId);
}

/** B1 */
function release(state: BeState, partId: string | null): void {
  if (partId === null) return;
  const part = partOf(state, partId);
  part.refs -= 1;
  if (part.refs > 0) return;
  state.parts.delete(partId);
  state.unused.set(partId, part.fact);
}

function partOf(state: BeState, partId: string): PartState {
  const part = state.parts.get(partId);
  assert(part !== undefined, `part ${partId} is referred to and not there`);
  return part;
}

function tabletOf(state: BeState, tabletId: number, tableId: number): TabletFact {
  let tablet = state.tablets.get(tabletId);
  if (tablet === undefined) {
    tablet = { tabletId, tableId, version: EMPTY_VERSION, rowsets: [], covered: [] };
    state.tablets.set(tabletId, tablet);
  }
  return tablet;
}

/** Published, also ahead of a gap, or covered by compaction (C7). */
export function hasVersion(tablet: TabletFact | undefined, version: number): boolean {
  if (tablet === undefined) return version <= EMPTY_VERSION;
  if (version <= tablet.version) return true;
  const { rowsets } = tablet;
  return rowsets.slice(firstAfter(rowsets, tablet.version)).some(({ to }) => to === version);
}

/**
 * Rowsets are in order, and come nearly so: who looks from the end looks at a few, of the thousands that a tablet may have
 * until compaction has caught up.
 */
function firstAfter(rowsets: readonly RowsetFact[], version: number): number {
  let at = rowsets.length;
  while (at > 0 && rowsets[at - 1]!.from > version) at -= 1;
  return at;
}

function insertRowset({ rowsets }: TabletFact, rowset: RowsetFact): void {
  rowsets.splice(firstAfter(rowsets, rowset.from), 0, rowset);
}

/** B2 */
function advance(tablet: TabletFact): void {
  const { rowsets } = tablet;
  for (let at = firstAfter(rowsets, tablet.version); at < rowsets.length; at++) {
    const { from, to } = rowsets[at]!;
    if (from === tablet.version + 1) tablet.version = to;
  }
}

type Section =
  | ({ readonly kind: 'head' } & Pick<BeState, 'beId' | 'promise' | 'feSeq'>)
  | { readonly kind: MapName; readonly items: readonly (readonly [never, never])[] };
type MapName = (typeof MAPS)[number];
const MAPS = ['votes', 'parts', 'unused', 'tablets', 'damaged', 'rejects', 'outcomes'] as const;

function* save(state: BeState): Iterable<Section> {
  yield { kind: 'head', beId: state.beId, promise: state.promise, feSeq: state.feSeq };
  for (const kind of MAPS) {
    let items: (readonly [never, never])[] = [];
    for (const item of state[kind]) {
      items.push(item as unknown as readonly [never, never]);
      if (items.length < ITEMS_IN_SECTION) continue;
      yield { kind, items };
      items = [];
    }
    if (items.length > 0) yield { kind, items };
  }
}

function load(sections: Iterable<unknown>): BeState {
  const state = empty();
  for (const section of sections as Iterable<Section>) {
    if (section.kind === 'head') {
      state.beId = section.beId;
      state.promise = section.promise;
      state.feSeq = section.feSeq;
      continue;
    }
    for (const [key, value] of section.items) state[section.kind].set(key, value);
  }
  return state;
}
