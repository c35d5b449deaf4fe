/** The invariants of section 4 that apply to what is built, as one listener. */
import type { FeEntry } from '../../src/actors/fe/fe-facts.ts';
import type { BeEntry } from '../../src/storage/be-facts.ts';
import type { SimKafka } from '../world/kafka.ts';
import type { Trace } from '../world/trace.ts';
import type { BeFacts, Checker, Facts, InsertAnswer, Snapshot } from './checker.ts';
import { countConserve } from './count-conserve.ts';
import { damageNone } from './damage-none.ts';
import { decisionSingle } from './decision-single.ts';
import { decisionVotes } from './decision-votes.ts';
import { epochSingle } from './epoch-single.ts';
import { FollowedFacts } from './facts.ts';
import { gcSafe } from './gc-safe.ts';
import { insertSettles } from './insert-settles.ts';
import { labelOnce } from './label-once.ts';
import { lagSane } from './lag-sane.ts';
import { progressAtomic } from './progress-atomic.ts';
import { progressMonotone } from './progress-monotone.ts';
import { rangeTiling } from './range-tiling.ts';
import { readAtomic } from './read-atomic.ts';
import { readForward } from './read-forward.ts';
import { rejectCount } from './reject-count.ts';
import { rowAll } from './row-all.ts';
import { rowOnce } from './row-once.ts';
import { rowReal } from './row-real.ts';
import { rowsBalance } from './rows-balance.ts';
import { stateEdges } from './state-edges.ts';
import { versionChain } from './version-chain.ts';
import { visibleAcknowledged } from './visible-acknowledged.ts';
import { voteKeeps } from './vote-keeps.ts';

/** Hold whatever happens to a disk: an error may be given, a wrong row never. */
const ALWAYS: readonly ((facts: Facts, trace: Trace) => Checker)[] = [rowOnce, rowReal];

/** Hold while disks keep what they synced. */
const HEALTHY: readonly ((facts: Facts, trace: Trace) => Checker)[] = [
  decisionSingle,
  decisionVotes,
  voteKeeps,
  versionChain,
  visibleAcknowledged,
  rangeTiling,
  progressMonotone,
  progressAtomic,
  rowsBalance,
  readAtomic,
  readForward,
  insertSettles,
  labelOnce,
  epochSingle,
  countConserve,
  rejectCount,
  stateEdges,
  damageNone,
  gcSafe,
  lagSane,
  rowAll,
];

export class AllCheckers {
  readonly facts: FollowedFacts;
  readonly #always: readonly Checker[];
  #healthy: readonly Checker[];
  /** The first invariant that broke; whoever steps the clock looks at it. */
  broken: unknown = null;
  commits = 0;

  constructor(kafka: SimKafka, trace: Trace) {
    this.facts = new FollowedFacts(kafka);
    this.#always = ALWAYS.map((make) => make(this.facts, trace));
    this.#healthy = HEALTHY.map((make) => make(this.facts, trace));
  }

  /** A disk was damaged: from here on only what always holds is asked for. */
  diskDamaged(): void {
    this.#healthy = [];
  }

  get isHealthy(): boolean {
    return this.#healthy.length > 0;
  }

  feEntry(entry: FeEntry, seq: number): void {
    if (entry.type === 'txn.committed') this.commits += 1;
    this.#tell((checker) => checker.feEntry?.(entry, seq));
  }

  beEntry(be: BeFacts, entry: BeEntry): void {
    this.#tell((checker) => checker.beEntry?.(be, entry));
  }

  broke(error: unknown): void {
    if (this.isHealthy) this.broken ??= error;
  }

  snapshot(snapshot: Snapshot): void {
    this.#tell((checker) => checker.snapshot?.(snapshot));
  }

  answer(answer: InsertAnswer): void {
    this.#tell((checker) => checker.answer?.(answer));
  }

  shown(job: Readonly<Record<string, string | null>>): void {
    this.#tell((checker) => checker.shown?.(job));
  }

  end(): void {
    this.#tell((checker) => checker.end?.());
  }

  /** What breaks inside a port must not be taken for a fault of the port: it is kept, and the run ends with it. */
  #tell(tell: (checker: Checker) => void): void {
    try {
      for (const checker of [...this.#always, ...this.#healthy]) tell(checker);
    } catch (error) {
      this.broken ??= error;
    }
  }
}
