/** The FE's view of its BEs: heart-beats, slots, requests (registrations.ts: who is let in). One be-node actor per BE. */
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
  HelloRequest,
  Outcome,
  RegisterRequest,
} from '../messages.ts';
import { beSubject, feSubject } from '../messages.ts';
import type { BackendView } from './fe.types.ts';
import type { FeCore } from './fe-core.ts';
import { type PresentNodes, Registrations, type Replayed } from './registrations.ts';

/** A BE is never lost before so many heart-beats that did not come. */
const BEATS_LOST_MIN = 2;
const PROBE_MS = 60_000;
const CLAIM_MS = 5_000;

/** `backends`: one came, went, or is another process; `slot`: one has a free slot again. */
export type NodesChange = 'backends' | 'slot';

interface Node {
  readonly actor: Actor<typeof beNodeMachine>;
  lastBeatMs: number | null;
}

export class Nodes implements PresentNodes {
  readonly #core: FeCore;
  readonly #bus: Bus;
  readonly #nodes = new Map<string, Node>();
  readonly #subscriptions: Subscription[] = [];
  readonly #listeners = new Set<(what: NodesChange) => void>();
  readonly #replayed: Replayed;
  readonly #registrations: Registrations;
  /** Transactions that are prepared or queued now: `undecided` to whoever asks (C2). */
  readonly live = new Set<number>();

  constructor(core: FeCore, bus: Bus, replayed: Replayed, acceptLoss: boolean) {
    this.#core = core;
    this.#bus = bus;
    this.#replayed = replayed;
    this.#registrations = new Registrations(core, this, replayed, acceptLoss);
    const registrations = this.#registrations;
    const mine = (verb: string) => feSubject(core.stamp().incarnation, verb);
    this.#subscriptions.push(
      bus.respond('fe.hello', (body) => registrations.hello(body as HelloRequest)),
      bus.respond(mine('hello'), (body) => registrations.hello(body as HelloRequest)),
      bus.respond(mine('register'), (body) => registrations.register(body as RegisterRequest)),
      bus.respond(mine('beat'), (body) => this.#beat(body as BeatRequest)),
      bus.respond(mine('ask'), (body) => this.#ask(body as AskRequest)),
    );
  }

  /** Why this FE may not decide (D4), or null. */
  get behind(): string | null {
    return this.#registrations.behind;
  }

  /** Throws FE_BEHIND once this FE is known to be a copy, or to have lost a tail. */
  assertDecides(): void {
    this.#registrations.assertDecides();
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
    if (reply !== null && reply.refused !== null) this.#registrations.refuse(beId, reply.refused);
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

  aliveAs(beId: string): string | null {
    const snapshot = this.#nodes.get(beId)?.actor.getSnapshot();
    return snapshot?.value === 'alive' ? snapshot.context.incarnation : null;
  }

  answers(to: { beId: string; incarnation: string }): Promise<boolean> {
    return this.request(to, 'ping', {}, { timeoutMs: PROBE_MS }).then(
      () => true,
      () => false,
    );
  }

  registered({ beId, incarnation }: RegisterRequest, atMs: number): number {
    const beatMs = this.#core.configNumber('heartbeat_interval_ms');
    const timeoutMs = this.#core.configNumber('heartbeat_timeout_ms');
    const node = this.#node(beId);
    node.lastBeatMs = atMs;
    const lostMs = Math.max(timeoutMs, BEATS_LOST_MIN * beatMs);
    node.actor.send({ type: 'be.registered', incarnation, lostMs });
    this.#changed('backends');
    return beatMs;
  }

  #beat(request: BeatRequest): BeatReply {
    const { journal, stamp, clock } = this.#core;
    const node = this.#nodes.get(request.beId);
    const known =
      node !== undefined &&
      this.aliveAs(request.beId) === request.incarnation &&
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
    const node: Node = { actor, lastBeatMs: null };
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
