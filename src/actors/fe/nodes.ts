/**
 * The FE's view of its BEs: registration, heart-beats, slots. One be-node actor per BE.
 *
 *   I4. Registration: D4 check, promise (the BE's), answers to in-doubt questions, reconciliation of tablets.
 *   D4. A BE behind our facts has its tablets marked damaged; while we are behind a BE we decide nothing.
 */
import { type Actor, createActor } from 'xstate';
import { LoadError } from '../../base/errors.ts';
import { beNodeMachine } from '../../machines/be-node.ts';
import type { Bus, Subscription } from '../../protocol/bus.types.ts';
import { askAgain } from '../ask-again.ts';
import type {
  AskReply,
  AskRequest,
  BeatReply,
  BeatRequest,
  ClaimReply,
  ClaimRequest,
  HelloReply,
  HelloRequest,
  Outcome,
  RegisterReply,
  RegisterRequest,
} from '../messages.ts';
import { beSubject, feSubject } from '../messages.ts';
import type { BackendView } from './fe.types.ts';
import type { FeCore } from './fe-core.ts';
import type { FeEntry } from './fe-facts.ts';

/** A BE is never lost before so many heart-beats that did not come. */
const BEATS_LOST_MIN = 2;
const BOOTS_KEPT = 100;
const PROBE_MS = 60_000;
const CLAIM_MS = 5_000;
export const BEHIND_HINT =
  'this FE decides nothing: stop it, and go on with the newest directory alone; where there is no newer one, start with --accept-loss gives up what is missing';

/** `backends`: one came, went, or is another process; `slot`: one has a free slot again. */
export type NodesChange = 'backends' | 'slot';

interface Node {
  readonly actor: Actor<typeof beNodeMachine>;
  lastBeatMs: number | null;
  registeredMs: number;
  name: string;
}

/** What the disk gave, before this FE's own first entry (D4). */
export interface Replayed {
  readonly feSeq: number;
  readonly beSeq: ReadonlyMap<string, number>;
}

export class Nodes {
  readonly #core: FeCore;
  readonly #bus: Bus;
  readonly #nodes = new Map<string, Node>();
  readonly #subscriptions: Subscription[] = [];
  readonly #listeners = new Set<(what: NodesChange) => void>();
  /** Boots of each BE that said hello, and those that a later one has followed. */
  readonly #boots = new Map<string, { readonly seen: Set<string>; readonly over: Set<string> }>();
  readonly #replayed: Replayed;
  readonly #acceptLoss: boolean;
  /** Transactions that are prepared or queued now: `undecided` to whoever asks (C2). */
  readonly live = new Set<number>();
  /** Why this FE may not decide (D4), or null. */
  behind: string | null = null;

  constructor(core: FeCore, bus: Bus, replayed: Replayed, acceptLoss: boolean) {
    this.#core = core;
    this.#acceptLoss = acceptLoss;
    this.#bus = bus;
    this.#replayed = replayed;
    const mine = (verb: string) => feSubject(core.stamp().incarnation, verb);
    this.#subscriptions.push(
      bus.respond('fe.hello', (body) => this.#hello(body as HelloRequest)),
      bus.respond(mine('hello'), (body) => this.#hello(body as HelloRequest)),
      bus.respond(mine('register'), (body) => this.#register(body as RegisterRequest)),
      bus.respond(mine('beat'), (body) => this.#beat(body as BeatRequest)),
      bus.respond(mine('ask'), (body) => this.#ask(body as AskRequest)),
    );
  }

  /** Tells the BEs of the journal that this FE is there; one that follows another FE, or knows more, refuses it (I2). */
  async claim(): Promise<void> {
    const known = [...this.#core.journal.durable.bes.values()].filter((be) => !be.dropped);
    await Promise.all(known.map((be) => this.#claimOne(be.beId)));
  }

  async #claimOne(beId: string): Promise<void> {
    const { journal, stamp } = this.#core;
    const incarnation = journal.durable.bes.get(beId)?.incarnation;
    if (incarnation === undefined) return;
    const request: ClaimRequest = { claimant: { ...stamp(), seq: this.#replayed.feSeq } };
    const subject = beSubject(beId, incarnation, 'claim');
    const reply = await this.#bus
      .request<ClaimReply>(subject, request, { timeoutMs: CLAIM_MS })
      .catch(() => null); // Gone, or restarted: it says hello by itself.
    if (reply !== null && reply.refused !== null) this.#refuse(beId, reply.refused);
  }

  onChange(listener: (what: NodesChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  backends(): BackendView[] {
    return [...this.#core.journal.durable.bes.values()]
      .filter((be) => !be.dropped)
      .map((be) => {
        const node = this.#nodes.get(be.beId);
        const snapshot = node?.actor.getSnapshot();
        return {
          beId: be.beId,
          name: be.name,
          incarnation: be.incarnation,
          alive: snapshot?.value === 'alive',
          slotsUsed: snapshot?.context.slotsUsed ?? 0,
          lastBeatMs: node?.lastBeatMs ?? null,
          registeredMs: be.registeredMs,
        };
      });
  }

  alive(): BackendView[] {
    return this.backends().filter((be) => be.alive);
  }

  isAlive(beId: string, incarnation?: string): boolean {
    return this.alive().some(
      (be) => be.beId === beId && (incarnation === undefined || be.incarnation === incarnation),
    );
  }

  /** The alive BE with the fewest tasks; the preferred one first among equals (N1). */
  takeSlot(slotsMax: number, preferred: string | null): { beId: string; incarnation: string } {
    const free = this.alive()
      .filter((be) => be.slotsUsed < slotsMax)
      .sort(
        (a, b) =>
          a.slotsUsed - b.slotsUsed ||
          Number(b.beId === preferred) - Number(a.beId === preferred) ||
          a.name.localeCompare(b.name),
      );
    const chosen = free[0];
    if (chosen === undefined) {
      throw new LoadError(
        'NO_SLOT',
        `failed to allocate be slot, wait for 1 second to schedule again, you can set max_routine_load_task_num_per_be bigger in fe.conf, current value is ${slotsMax}`,
        { transient: true },
      );
    }
    this.#nodes.get(chosen.beId)?.actor.send({ type: 'slot.taken' });
    return { beId: chosen.beId, incarnation: chosen.incarnation };
  }

  freeSlot(slot: { beId: string; incarnation: string }): void {
    const node = this.#nodes.get(slot.beId);
    if (node?.actor.getSnapshot().context.incarnation !== slot.incarnation) return;
    node.actor.send({ type: 'slot.freed' });
    this.#changed('slot');
  }

  /** A request that failed because nobody answers: the BE is gone without waiting for its silence. */
  suspect(beId: string, incarnation: string): void {
    this.#nodes.get(beId)?.actor.send({ type: 'be.gone', incarnation });
  }

  close(): void {
    for (const subscription of this.#subscriptions) subscription.close();
    for (const { actor } of this.#nodes.values()) actor.stop();
  }

  #changed(what: NodesChange): void {
    for (const listener of this.#listeners) listener(what);
  }

  async #hello(request: HelloRequest): Promise<HelloReply> {
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
      this.#refuse(request.beId, reason);
      return { ...reply, knowsPromise: true, refused: reason };
    }
    // I2. A BE that was ours follows another FE now: of the two, that one decides. An FE that knows no BE at all, and meets one
    // with a past, lost its journal.
    if (!knowsPromise && (be !== undefined || journal.durable.bes.size === 0)) {
      const reason = `BE "${request.name}" promised itself to epoch ${promise?.epoch} (${promise?.incarnation}), which this FE of epoch ${journal.durable.epoch} (${journal.durable.incarnation}) never had: another FE runs on a copy of this directory`;
      this.#refuse(request.beId, reason);
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

  #refuse(beId: string, reason: string): void {
    if (this.behind === null) {
      this.#core.log.write('error', 'this FE decides nothing any more', { beId, reason });
    }
    this.behind = reason;
  }

  /** A directory of a BE that was copied: the process that has the identity already keeps it. */
  async #twinOf({ beId, incarnation, name }: HelloRequest): Promise<string | null> {
    const snapshot = this.#nodes.get(beId)?.actor.getSnapshot();
    if (snapshot?.value !== 'alive' || snapshot.context.incarnation === incarnation) return null;
    const other = { beId, incarnation: snapshot.context.incarnation ?? '' };
    const isThere = await this.request(other, 'ping', {}, { timeoutMs: PROBE_MS }).then(
      () => true,
      () => false,
    );
    if (!isThere) return null;
    return `another process with the identity of BE "${name}" (${beId}) is alive: two run on copies of one directory`;
  }

  async #register(request: RegisterRequest): Promise<RegisterReply> {
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
    const node = this.#node(request.beId);
    node.name = request.name;
    node.registeredMs = atMs;
    node.lastBeatMs = atMs;
    const beatMs = core.configNumber('heartbeat_interval_ms');
    const lostMs = Math.max(core.configNumber('heartbeat_timeout_ms'), BEATS_LOST_MIN * beatMs);
    node.actor.send({ type: 'be.registered', incarnation: request.incarnation, lostMs });
    this.#changed('backends');
    return {
      fe: core.stamp(),
      outcomes: request.inDoubt.map(({ txnId }) => ({ txnId, outcome: this.outcome(txnId) })),
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

  #beat(request: BeatRequest): BeatReply {
    const { journal, stamp, clock } = this.#core;
    const node = this.#nodes.get(request.beId);
    const known =
      node !== undefined &&
      node.actor.getSnapshot().value === 'alive' &&
      node.actor.getSnapshot().context.incarnation === request.incarnation &&
      request.epoch === journal.durable.epoch;
    if (known) {
      node.lastBeatMs = clock.now();
      node.actor.send({ type: 'be.beat', incarnation: request.incarnation });
    }
    return { fe: stamp(), register: !known, drop: [] };
  }

  #ask(request: AskRequest): AskReply {
    if (!this.isAlive(request.beId, request.incarnation)) {
      throw new LoadError('NOT_REGISTERED', 'only a registered BE is answered', {
        transient: true,
      });
    }
    return {
      fe: this.#core.stamp(),
      outcomes: request.txnIds.map((txnId) => ({ txnId, outcome: this.outcome(txnId) })),
    };
  }

  /** C2: presumed abort, once replay is complete. */
  outcome(txnId: number): Outcome {
    const { durable, head } = this.#core.journal;
    const txn = durable.txns.get(txnId);
    if (txn !== undefined) {
      const { attempt, versions } = txn.commit;
      return { kind: 'committed', attempt, versions };
    }
    if (this.live.has(txnId) || head.txns.has(txnId)) return { kind: 'undecided' };
    // A visible one has every participant's acknowledgement: whoever asks about it lost its own (C2).
    if (durable.labels.has(txnId)) {
      return { kind: 'committed', attempt: 1, versions: [] };
    }
    return { kind: 'aborted' };
  }

  #node(beId: string): Node {
    const known = this.#nodes.get(beId);
    if (known !== undefined) return known;
    const actor = createActor(beNodeMachine, {
      id: `be-node.${beId}`,
      input: { beId },
      clock: this.#core.clock,
    });
    let before = '';
    actor.subscribe((snapshot) => {
      const value = String(snapshot.value);
      if (value === before) return;
      before = value;
      this.#core.log.write('info', 'BE changed', { beId, state: value });
      // Silent for us, but perhaps there for another FE.
      if (value === 'lost') void this.#claimOne(beId);
      this.#changed('backends');
    });
    actor.start();
    const node: Node = { actor, lastBeatMs: null, registeredMs: 0, name: beId };
    this.#nodes.set(beId, node);
    return node;
  }

  /** Of what a BE does once however often it is asked, and then answers alike. */
  requestOnce<T>(
    to: { beId: string; incarnation: string },
    verb: string,
    body: unknown,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<T> {
    return askAgain(options.timeoutMs, this.#core.clock, (timeoutMs) =>
      this.request<T>(to, verb, body, { ...options, timeoutMs }),
    );
  }

  /**
   * A request that is given up as soon as the BE is lost: nobody waits a whole task timeout for the dead.
   * `abandon` also ends it (a dropped task).
   */
  async request<T>(
    to: { beId: string; incarnation: string },
    verb: string,
    body: unknown,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<T> {
    const gone = new AbortController();
    const stop = this.onChange((what) => {
      if (what === 'backends' && !this.isAlive(to.beId, to.incarnation)) gone.abort();
    });
    // Not AbortSignal.any: a signal of its kind is held for ever when its request never ends.
    const abandon = () => gone.abort(options.signal?.reason);
    if (options.signal?.aborted === true) abandon();
    options.signal?.addEventListener('abort', abandon, { once: true });
    try {
      return await this.#bus.request<T>(beSubject(to.beId, to.incarnation, verb), body, {
        timeoutMs: options.timeoutMs ?? PROBE_MS,
        signal: gone.signal,
      });
    } catch (error) {
      if (error instanceof LoadError && error.code === 'EPOCH_STALE') void this.#claimOne(to.beId);
      if (gone.signal.aborted && options.signal?.aborted !== true) {
        throw new LoadError('BE_LOST', `BE "${to.beId}" was lost during ${verb}`, {
          transient: true,
          details: { beId: to.beId },
        });
      }
      throw error;
    } finally {
      stop();
      options.signal?.removeEventListener('abort', abandon);
    }
  }
}
