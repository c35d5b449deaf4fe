/**
 * What the FE says to a BE that comes: hello, then its registration (PROTOCOL.md I4). Which of the two lacks a part of its past is
 * found here, before anything is decided with it.
 *
 *   I4. Registration: D4 check, promise (the BE's), answers to in-doubt questions, reconciliation of tablets.
 *   D4. A BE behind our facts has its tablets marked damaged; while we are behind a BE we decide nothing.
 */
import { LoadError } from '../../base/errors.ts';
import type {
  HelloReply,
  HelloRequest,
  Outcome,
  RegisterReply,
  RegisterRequest,
} from '../messages.ts';
import type { FeCore } from './fe-core.ts';
import type { FeEntry } from './fe-facts.ts';

const BOOTS_KEPT = 100;
export const BEHIND_HINT =
  'this FE decides nothing: stop it, and go on with the newest directory alone; where there is no newer one, start with --accept-loss gives up what is missing';

/** What the disk gave, before this FE's own first entry (D4). */
export interface Replayed {
  readonly feSeq: number;
  readonly beSeq: ReadonlyMap<string, number>;
}

/** What a registration needs of the BEs that are there. */
export interface PresentNodes {
  /** The incarnation that is alive now. */
  aliveAs(beId: string): string | null;
  answers(to: { beId: string; incarnation: string }): Promise<boolean>;
  /** It is alive from here on; gives the time between its heart-beats. */
  registered(request: RegisterRequest, atMs: number): number;
  outcome(txnId: number): Outcome;
}

export class Registrations {
  readonly #core: FeCore;
  readonly #nodes: PresentNodes;
  readonly #replayed: Replayed;
  readonly #acceptLoss: boolean;
  /** Boots of each BE that said hello, and those that a later one has followed. */
  readonly #boots = new Map<string, { readonly seen: Set<string>; readonly over: Set<string> }>();
  /** Why this FE may not decide (D4), or null. */
  behind: string | null = null;

  constructor(core: FeCore, nodes: PresentNodes, replayed: Replayed, acceptLoss: boolean) {
    this.#core = core;
    this.#nodes = nodes;
    this.#replayed = replayed;
    this.#acceptLoss = acceptLoss;
  }

  async hello(request: HelloRequest): Promise<HelloReply> {
    const { journal, stamp, clusterId } = this.#core;
    const twin = await this.#twinOf(request);
    if (twin !== null) return { fe: stamp(), clusterId, knowsPromise: true, refused: twin };
    const { promise } = request;
    const be = journal.durable.bes.get(request.beId);
    this.#boots.get(request.beId)?.seen.add(request.incarnation);
    const reply = { fe: stamp(), clusterId };
    if (be?.dropped) return { ...reply, knowsPromise: true, refused: 'this BE was dropped' };
    const knowsPromise =
      promise === null || journal.durable.epochs[promise.epoch] === promise.incarnation;
    // What was seen of an earlier FE is compared with what the disk gave: this FE's own entries stand in for none of it.
    const isOwn = promise?.incarnation === journal.durable.incarnation;
    const endSeq = isOwn ? journal.durableSeq : this.#replayed.feSeq;
    const isBehind = knowsPromise && promise !== null && promise.feSeq > endSeq;
    if (promise !== null && this.#acceptLoss && (isBehind || !knowsPromise)) {
      await this.#takeLoss(request.name, promise);
      return { fe: stamp(), clusterId, knowsPromise, lossAccepted: true };
    }
    if (isBehind) {
      const reason = `BE "${request.name}" has seen entry ${promise.feSeq} of this FE, whose journal ended at ${endSeq}: it lost a tail, or is an older copy`;
      this.refuse(request.beId, reason);
      return { ...reply, knowsPromise: true, refused: reason };
    }
    // I2. A BE that was ours follows another FE now: of the two, that one decides. An FE that knows no BE at all, and meets one
    // with a past, lost its journal.
    if (!knowsPromise && (be !== undefined || journal.durable.bes.size === 0)) {
      const reason = `BE "${request.name}" promised itself to epoch ${promise?.epoch} (${promise?.incarnation}), which this FE of epoch ${journal.durable.epoch} (${journal.durable.incarnation}) never had: another FE runs on a copy of this directory`;
      this.refuse(request.beId, reason);
    }
    return { ...reply, knowsPromise };
  }

  /** D4: what was lost becomes a fact, and the epoch rises above the promise; versions are compared when the BE registers. */
  async #takeLoss(
    name: string,
    promise: { readonly epoch: number; readonly incarnation: string; readonly feSeq: number },
  ): Promise<void> {
    const { journal, clock, log } = this.#core;
    const { epoch, incarnation } = journal.durable;
    const atMs = clock.now();
    log.write('error', 'a loss is accepted', {
      be: name,
      epoch: promise.epoch,
      seq: promise.feSeq,
    });
    const entries: FeEntry[] = [
      { type: 'loss.accepted', epoch: promise.epoch, upToSeq: promise.feSeq, atMs },
    ];
    if (promise.epoch > epoch || (promise.epoch === epoch && promise.incarnation !== incarnation)) {
      entries.push({ type: 'epoch.opened', epoch: promise.epoch + 1, incarnation, atMs });
    }
    await this.#core.append(...entries);
  }

  /** Throws FE_BEHIND once this FE is known to be a copy, or to have lost a tail. */
  assertDecides(): void {
    if (this.behind === null) return;
    throw new LoadError('FE_BEHIND', this.behind, {
      hint: BEHIND_HINT,
    });
  }

  refuse(beId: string, reason: string): void {
    if (this.behind === null) {
      this.#core.log.write('error', 'this FE decides nothing any more', { beId, reason });
    }
    this.behind = reason;
  }

  /** A directory of a BE that was copied: the process that has the identity already keeps it. */
  async #twinOf({ beId, incarnation, name }: HelloRequest): Promise<string | null> {
    const other = this.#nodes.aliveAs(beId);
    if (other === null || other === incarnation) return null;
    if (!(await this.#nodes.answers({ beId, incarnation: other }))) return null;
    return `another process with the identity of BE "${name}" (${beId}) is alive: two run on copies of one directory`;
  }

  async register(request: RegisterRequest): Promise<RegisterReply> {
    const core = this.#core;
    const { journal, clock } = core;
    if (request.promise?.incarnation !== journal.durable.incarnation) {
      throw new LoadError('EPOCH_STALE', 'the promise is for another FE: say hello again', {
        transient: true,
      });
    }
    const atMs = clock.now();
    if (journal.durable.bes.get(request.beId)?.dropped) {
      throw new LoadError('REFUSED', 'this BE was dropped');
    }
    this.#checkLate(request);
    const damaged = this.#behindFacts(request);
    if (damaged.length > 0) {
      const [first] = damaged;
      await core.append({
        type: 'tablets.damaged',
        beId: request.beId,
        tabletIds: damaged.map(({ tabletId }) => tabletId),
        reason: first?.reason ?? '',
        atMs,
      });
    }
    await core.append({
      type: 'be.registered',
      beId: request.beId,
      name: request.name,
      incarnation: request.incarnation,
      seq: request.beSeq,
      atMs,
    });
    const beatMs = this.#nodes.registered(request, atMs);
    return {
      fe: core.stamp(),
      outcomes: request.inDoubt.map(({ txnId }) => ({
        txnId,
        outcome: this.#nodes.outcome(txnId),
      })),
      drop: request.tablets
        .map(({ tabletId }) => tabletId)
        .filter((tabletId) => !journal.durable.tablets.has(tabletId)),
      damaged,
      beatMs,
    };
  }

  /** D4: an older copy of a BE's directory, or a lost tail. */
  #behindFacts(request: RegisterRequest): { tabletId: number; reason: string }[] {
    const { durable } = this.#core.journal;
    const expected =
      this.#replayed.beSeq.get(request.beId) ?? durable.bes.get(request.beId)?.seq ?? 0;
    const held = new Map(request.tablets.map((tablet) => [tablet.tabletId, tablet.version]));
    const damaged: { tabletId: number; reason: string }[] = [];
    for (const tablet of durable.tablets.values()) {
      if (tablet.beId !== request.beId || tablet.damaged !== null) continue;
      const found = held.get(tablet.tabletId) ?? 1;
      if (found > tablet.committed) {
        const reason = `BE "${request.name}" holds version ${found} of tablet ${tablet.tabletId}, the FE's journal ends at version ${tablet.committed}`;
        damaged.push({ tabletId: tablet.tabletId, reason });
      } else if (tablet.visible > found) {
        const reason = `BE "${request.name}" holds version ${found} of tablet ${tablet.tabletId}, version ${tablet.visible} was visible (its journal ends at ${request.beSeq}, ${expected} was seen)`;
        damaged.push({ tabletId: tablet.tabletId, reason });
      }
    }
    return damaged;
  }

  /**
   * A registration may come late, or a second time, with what the BE held long ago: taken for the present, it would damage
   * healthy tablets. Within a boot the BE's sequence only grows; and a boot that another has followed is over.
   */
  #checkLate({ beId, incarnation, beSeq }: RegisterRequest): void {
    const known = this.#core.journal.head.bes.get(beId);
    const boots = this.#boots.get(beId) ?? { seen: new Set<string>(), over: new Set<string>() };
    this.#boots.set(beId, boots);
    const isPresent = known?.incarnation === incarnation;
    if (boots.over.has(incarnation) || (isPresent && beSeq < known.seq)) {
      throw new LoadError('REGISTER_LATE', 'this registration is older than what is known', {
        transient: true,
        details: { beId, incarnation, beSeq },
      });
    }
    if (isPresent) return;
    for (const boot of boots.seen) if (boot !== incarnation) boots.over.add(boot);
    if (known !== undefined) boots.over.add(known.incarnation);
    boots.seen.clear();
    boots.seen.add(incarnation);
    for (const oldest of boots.over) {
      if (boots.over.size <= BOOTS_KEPT) break;
      boots.over.delete(oldest);
    }
  }
}
