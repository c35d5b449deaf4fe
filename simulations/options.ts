/**
 * What a seed decides before it runs: limits, paces, rates, and the schedule of faults. Each kind of fault is on in a part of
 * the seeds only: what runs alone finds other things than all at once.
 */
import { DAMAGES } from './world/disk-damage.ts';
import type { SeededRandom } from './world/random.ts';

/** `atlas`: what a healthy disk with power cuts may do. `havoc`: lost tails, holes, flipped bits, wipes, old backups as well. */
export type Profile = 'atlas' | 'havoc';

/** Something that happens once, after so many steps of the first phase. */
export interface Fault {
  readonly step: number;
  /** As in section 3 of the list. */
  readonly kind: string;
  /** Which process or partition: taken modulo how many there are. */
  readonly target: number;
  /** How long it lasts, or how long until the process is back. */
  readonly ms: number;
}

export interface SwarmOptions {
  readonly profile: Profile;
  readonly bes: number;
  readonly partitions: number;
  readonly buckets: number;
  /** The loaded table sums by key: a row that is loaded twice is there once, with twice its value. */
  readonly aggregate: boolean;
  readonly desired: number;
  /** Batches that are produced in the first phase, one after the other. */
  readonly batches: number;
  readonly produceMs: number;
  readonly heartbeatMs: number;
  readonly pollMs: number;
  readonly timeoutS: number;
  readonly consumeS: number;
  readonly checkpointEntries: number;
  /** Parts above so many bytes are files, the others inline. */
  readonly fileBytesMin: number;
  /** Compaction merges a tablet's rowsets from so many on; 0: as in production. */
  readonly rowsetsMax: number;
  readonly coveredMs: number;
  /** Rates by message, write or answer. */
  readonly drop: number;
  readonly duplicate: number;
  readonly reorder: number;
  readonly stale: number;
  readonly delayMsMax: number;
  readonly syncMsMax: number;
  readonly writeError: number;
  readonly silence: number;
  /** Shares of what is produced. */
  readonly abortShare: number;
  readonly openShare: number;
  readonly nullShare: number;
  readonly badShare: number;
  /** Statements of sessions, as a share of the batches. */
  readonly selects: number;
  readonly inserts: number;
  readonly faults: readonly Fault[];
}

/** Options that a shrunk run sets to none. */
export const RATES = [
  'drop',
  'duplicate',
  'reorder',
  'stale',
  'writeError',
  'silence',
  'abortShare',
  'openShare',
  'nullShare',
  'badShare',
  'inserts',
] as const satisfies readonly (keyof SwarmOptions)[];

interface FaultKind {
  readonly kind: string;
  /** In which share of the seeds it is on. */
  readonly share: number;
  /** Mean steps between two of it. */
  readonly steps: readonly [from: number, to: number];
  readonly ms: readonly [from: number, to: number];
}

const KINDS: readonly FaultKind[] = [
  { kind: 'proc.crash', share: 0.6, steps: [80, 900], ms: [1, 3_000] },
  { kind: 'proc.crashall', share: 0.3, steps: [300, 1_500], ms: [1, 3_000] },
  { kind: 'proc.pause', share: 0.3, steps: [200, 1_200], ms: [500, 40_000] },
  { kind: 'net.partition', share: 0.3, steps: [200, 1_200], ms: [100, 15_000] },
  { kind: 'net.oneway', share: 0.3, steps: [200, 1_200], ms: [100, 15_000] },
  { kind: 'net.isolate', share: 0.2, steps: [300, 1_500], ms: [100, 15_000] },
  { kind: 'net.clog', share: 0.3, steps: [200, 1_200], ms: [100, 20_000] },
  { kind: 'net.erase', share: 0.1, steps: [300, 1_500], ms: [0, 0] },
  { kind: 'kafka.leader', share: 0.5, steps: [60, 600], ms: [0, 0] },
  { kind: 'kafka.down', share: 0.4, steps: [200, 1_200], ms: [100, 10_000] },
  { kind: 'kafka.newpartition', share: 0.15, steps: [500, 2_000], ms: [0, 0] },
  { kind: 'disk.stall', share: 0.2, steps: [300, 1_500], ms: [500, 20_000] },
  { kind: 'disk.full', share: 0.15, steps: [400, 2_000], ms: [500, 10_000] },
  { kind: 'clock.forward', share: 0.1, steps: [300, 1_500], ms: [1_000, 7_200_000] },
  { kind: 'clock.back', share: 0.1, steps: [300, 1_500], ms: [1_000, 7_200_000] },
  { kind: 'sql.pause', share: 0.3, steps: [150, 900], ms: [100, 5_000] },
  { kind: 'sql.alter', share: 0.25, steps: [200, 1_200], ms: [0, 0] },
  { kind: 'sql.config', share: 0.15, steps: [200, 1_200], ms: [0, 0] },
  { kind: 'sql.ddl', share: 0.2, steps: [200, 1_200], ms: [0, 0] },
];

const DAMAGE_KINDS = [...DAMAGES, 'disk.backup'] as const;

/** One or two kinds a seed, seldom: the first damage that is named may be the end. */
function havoc(random: SeededRandom): FaultKind[] {
  const kinds = [random.pick(DAMAGE_KINDS), random.pick(DAMAGE_KINDS)].slice(random.whole(0, 1));
  return kinds.map((kind) => ({ kind, share: 1, steps: [500, 2_000], ms: [1, 3_000] }));
}

const STEPS_PLANNED = 4_000;

function schedule(random: SeededRandom, kinds: readonly FaultKind[]): Fault[] {
  const faults: Fault[] = [];
  for (const { kind, share, steps, ms } of kinds) {
    const own = random.fork(kind);
    if (!own.chance(share)) continue;
    const mean = own.whole(...steps);
    for (let step = 0; ; ) {
      step += Math.ceil(mean * (0.2 + 1.6 * own.next()));
      if (step > STEPS_PLANNED) break;
      faults.push({ step, kind, target: own.whole(0, 1_000), ms: own.whole(...ms) });
    }
  }
  return faults.sort((a, b) => a.step - b.step);
}

const clamp = (value: number, from: number, to: number) => Math.min(to, Math.max(from, value));

/** What a long run must have come to. */
export const FAULT_NAMES: readonly string[] = KINDS.map(({ kind }) => kind);

export function swarm(random: SeededRandom, profile: Profile): SwarmOptions {
  const sometimes = (make: () => number) => (random.chance(0.5) ? make() : 0);
  const produceMs = random.pick([200, 1_000, 4_000, 10_000, 15_000]);
  return {
    profile,
    bes: random.whole(1, 3),
    partitions: random.whole(1, 4),
    buckets: random.whole(1, 4),
    aggregate: random.chance(0.3),
    desired: random.whole(1, 3),
    batches: random.whole(26, 54),
    produceMs,
    heartbeatMs: clamp(produceMs, 500, 8_000),
    pollMs: clamp(produceMs, 200, 5_000),
    timeoutS: random.pick([5, 10, 60]),
    consumeS: random.pick([1, 3]),
    checkpointEntries: random.pick([8, 40, 200, 5_000]),
    fileBytesMin: random.pick([0, 300, 2_000]),
    rowsetsMax: random.pick([2, 5, 0]),
    coveredMs: random.pick([500, 5_000, 30_000]),
    drop: sometimes(() => random.next() * 0.05),
    duplicate: sometimes(() => random.next() * 0.1),
    reorder: sometimes(() => random.next() * 0.1),
    stale: sometimes(() => random.next() * 0.05),
    delayMsMax: random.pick([2, 10, 100, 1_000]),
    syncMsMax: random.pick([1, 5, 50, 300]),
    writeError: sometimes(() => random.next() * 0.01),
    silence: sometimes(() => random.next() * 0.05),
    abortShare: sometimes(() => random.next() * 0.3),
    openShare: sometimes(() => random.next() * 0.2),
    nullShare: sometimes(() => random.next() * 0.1),
    badShare: sometimes(() => random.next() * 0.1),
    selects: 0.15,
    inserts: sometimes(() => random.next() * 0.3),
    faults: schedule(
      random.fork('faults'),
      profile === 'havoc' ? [...KINDS, ...havoc(random.fork('havoc'))] : KINDS,
    ),
  };
}

/** No faults and no rates: scenarios and crash points add their own. */
export const CALM: Partial<SwarmOptions> = {
  ...Object.fromEntries(RATES.map((rate) => [rate, 0])),
  delayMsMax: 10,
  syncMsMax: 5,
  faults: [],
  produceMs: 300,
  heartbeatMs: 500,
  pollMs: 300,
  timeoutS: 10,
  consumeS: 3,
  batches: 40,
  checkpointEntries: 20,
  fileBytesMin: 300,
  rowsetsMax: 3,
  coveredMs: 3_000,
  aggregate: false,
};
