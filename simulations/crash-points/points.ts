/**
 * The crash points of section 6, as moments that the ports tell (world/points.ts). One coordinator and two executors; the
 * n-th time that the moment comes, something happens to somebody.
 */
export interface CrashPoint {
  /** As in the list. */
  readonly name: string;
  readonly moment: string;
  /** Only in this process; default: wherever it comes. */
  readonly who?: 'fe' | 'be';
  /** Which time it comes; default 4, so that a few transactions went through before. */
  readonly nth?: number;
  /** A statement of a user at this moment. */
  readonly statement?: string;
}

export const CRASH_POINTS: readonly CrashPoint[] = [
  { name: 'cp.begun', moment: 'task-run sent', who: 'fe' },
  { name: 'cp.sent', moment: 'task-run delivered', who: 'be' },
  { name: 'cp.reading', moment: 'fetch answered', who: 'be' },
  { name: 'cp.encoded', moment: 'part finished', who: 'be' },
  { name: 'cp.staged', moment: 'part written', who: 'be' },
  { name: 'cp.staged synced', moment: 'part synced', who: 'be' },
  { name: 'cp.staged named', moment: 'part named', who: 'be' },
  { name: 'cp.stage sent', moment: 'stage sent', who: 'be' },
  { name: 'cp.stage delivered', moment: 'stage delivered', who: 'be' },
  { name: 'cp.vote queued', moment: 'voted queued', who: 'be' },
  { name: 'cp.vote written', moment: 'voted written', who: 'be' },
  { name: 'cp.synced', moment: 'voted durable', who: 'be' },
  { name: 'cp.voted', moment: 'stage answer sent', who: 'be' },
  { name: 'cp.somevotes', moment: 'stage answer delivered', who: 'be' },
  { name: 'cp.voted all', moment: 'task-run answer sent', who: 'be' },
  { name: 'cp.allvotes', moment: 'task-run answer delivered', who: 'fe' },
  { name: 'cp.written', moment: 'txn.committed queued', who: 'fe' },
  { name: 'cp.written, in the disk', moment: 'txn.committed written', who: 'fe' },
  { name: 'cp.decided', moment: 'txn.committed durable', who: 'fe' },
  { name: 'cp.publish sent', moment: 'publish sent', who: 'fe' },
  { name: 'cp.sometold', moment: 'publish delivered', who: 'be', nth: 8 },
  { name: 'cp.somepublished', moment: 'published durable', who: 'be', nth: 8 },
  { name: 'cp.publish answered', moment: 'publish answer delivered', who: 'fe', nth: 8 },
  { name: 'cp.visible queued', moment: 'txn.visible queued', who: 'fe' },
  { name: 'cp.published', moment: 'txn.visible durable', who: 'fe' },
  { name: 'cp.answered', moment: 'group offsets', who: 'be' },
  { name: 'cp.cleanup', moment: 'compacted durable', who: 'be', nth: 1 },
  { name: 'cp.cleanup of parts', moment: 'parts.removed queued', who: 'be', nth: 1 },
  { name: 'cp.checkpointhalf', moment: 'checkpoint section', nth: 3 },
  { name: 'cp.checkpointrenamed', moment: 'checkpoint header', nth: 3 },
  { name: 'cp.restoring', moment: 'store read', nth: 8 },
  { name: 'cp.registering', moment: 'register delivered', who: 'fe', nth: 1 },
  { name: 'cp.aborting', moment: 'abort sent', who: 'fe', nth: 1 },
  { name: 'cp.aborting, told', moment: 'abort delivered', who: 'be', nth: 1 },
  {
    name: 'cp.alterbetween',
    moment: 'task-run answer sent',
    who: 'be',
    statement: 'PAUSE ROUTINE LOAD FOR d.j',
  },
  {
    name: 'cp.dropbetween',
    moment: 'insert-run answer sent',
    who: 'be',
    nth: 2,
    statement: 'DROP TABLE d.u FORCE',
  },
];

export const ACTIONS = ['crash', 'pause', 'lost', 'repeated'] as const;
export type Action = (typeof ACTIONS)[number];

/** Who is hit, and recovers. */
export const VICTIMS = ['fe', 'coordinator', 'executor', 'all'] as const;
export type Victim = (typeof VICTIMS)[number];
