/**
 * Registration with the FE (PROTOCOL.md I2, I4): hello, check, promise, register, answers, reconciliation; then
 * heart-beats. Whatever is refused is asked again with a growing wait.
 */
import { sleep } from '../../base/clock.ts';
import { LoadError, toErrorData } from '../../base/errors.ts';
import type {
  AskReply,
  AskRequest,
  BeatReply,
  BeatRequest,
  ClaimReply,
  ClaimRequest,
  FeStamp,
  HelloReply,
  HelloRequest,
  Outcome,
  RegisterReply,
  RegisterRequest,
} from '../messages.ts';
import { feSubject } from '../messages.ts';
import type { BeOptions } from './be.ts';

const TIMEOUT_MS = 5_000;
const BACKOFF_MS = 100;
const BACKOFF_MS_MAX = 2_000;
const ASK_MS = 2_000;
const BEATS_LOST_MAX = 6;

export class Registration {
  readonly #options: BeOptions;
  readonly #stop = new AbortController();
  registered = false;
  /** The FE that claimed this BE, until it was asked. */
  #claimant: string | null = null;
  #wake = new AbortController();

  constructor(options: BeOptions) {
    this.#options = options;
  }

  /** Resolves at the first registration; goes on in the background. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      void this.#run(resolve);
    });
  }

  /** I2: a later FE of the same journal is followed; one that lacks what this BE has seen is told so. */
  claim({ claimant }: ClaimRequest): ClaimReply {
    const { promise } = this.#options.store;
    const { epoch, incarnation, seq } = claimant;
    if (promise !== null && incarnation !== promise.incarnation) {
      const name = `BE "${this.#options.name}"`;
      if (epoch <= promise.epoch) {
        return {
          refused: `${name} follows the FE of epoch ${promise.epoch} (${promise.incarnation}), not the one of epoch ${epoch} (${incarnation}): another FE runs on a copy of this directory`,
        };
      }
      if (seq < promise.feSeq) {
        return {
          refused: `${name} has seen entry ${promise.feSeq} of the FE's journal, which ended at ${seq}: it lost a tail, or is an older copy`,
        };
      }
    }
    if (!this.registered || incarnation !== promise?.incarnation) {
      this.#claimant = incarnation;
      this.#wake.abort();
    }
    return { refused: null };
  }

  stop(): void {
    this.registered = false;
    this.#stop.abort();
    this.#wake.abort();
  }

  async #run(first: () => void): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#stop;
    let waitMs = BACKOFF_MS;
    let lastReason = '';
    while (!signal.aborted) {
      try {
        const beatMs = await this.#register();
        this.registered = true;
        waitMs = BACKOFF_MS;
        lastReason = '';
        log.write('info', 'registered', { epoch: this.#options.store.promise?.epoch });
        first();
        await this.#beats(beatMs);
      } catch (error) {
        const reason = toErrorData(error).message;
        if (reason !== lastReason) log.write('warn', 'not registered', { reason });
        if (error instanceof LoadError && error.code === 'REFUSED') {
          this.#options.onRefused?.(reason);
        }
        lastReason = reason;
      }
      this.registered = false;
      if (this.#claimant === null) await sleep(clock, waitMs, this.#waking());
      waitMs = Math.min(waitMs * 2, BACKOFF_MS_MAX);
    }
  }

  /** Ends a wait when this BE stops or is claimed. */
  #waking(): AbortSignal {
    if (this.#wake.signal.aborted && !this.#stop.signal.aborted) this.#wake = new AbortController();
    return this.#wake.signal;
  }

  #hello(): HelloRequest {
    const { store, name } = this.#options;
    const { beId, incarnation, durableSeq: beSeq, promise } = store;
    return { beId, incarnation, name, beSeq, promise };
  }

  async #register(): Promise<number> {
    const { store, bus } = this.#options;
    const timeout = { timeoutMs: TIMEOUT_MS, signal: this.#stop.signal };
    // The sequence that D4 compares is the one before the promise is written.
    const hello = this.#hello();
    const claimant = this.#claimant;
    this.#claimant = null;
    const subject = claimant === null ? 'fe.hello' : feSubject(claimant, 'hello');
    const reply = await bus.request<HelloReply>(subject, hello, timeout);
    if (reply.refused !== undefined)
      throw new LoadError('REFUSED', `the FE refuses: ${reply.refused}`);
    const { promise } = store;
    const { fe } = reply;
    if (!reply.knowsPromise && reply.lossAccepted !== true) {
      throw new LoadError(
        'REFUSED',
        `this BE promised itself to epoch ${promise?.epoch} (${promise?.incarnation}), which the FE of epoch ${fe.epoch} (${fe.incarnation}) never had: two FEs run on copies of one directory`,
      );
    }
    if (promise !== null && fe.seq < promise.feSeq && reply.lossAccepted !== true) {
      throw new LoadError(
        'REFUSED',
        `the FE's journal ends at ${fe.seq}, this BE has seen ${promise.feSeq}`,
      );
    }
    if (promise?.epoch !== fe.epoch || promise.incarnation !== fe.incarnation) {
      await store.promiseTo(fe, fe.seq);
    }
    const request: RegisterRequest = {
      ...hello,
      promise: store.promise,
      inDoubt: store.inDoubt(),
      tablets: store.tablets().map(({ tabletId, version }) => ({ tabletId, version })),
    };
    const to = feSubject(fe.incarnation, 'register');
    const answer = await bus.request<RegisterReply>(to, request, timeout);
    this.#promised(answer.fe);
    for (const { txnId, outcome } of answer.outcomes) await this.#settle(txnId, outcome);
    await store.dropTablets(answer.drop);
    for (const { tabletId, reason } of answer.damaged) {
      await store.markDamaged([tabletId], {
        code: 'TABLET_DAMAGED',
        message: reason,
        damage: true,
      });
    }
    await store.dropUnvoted();
    return answer.beatMs;
  }

  #promisedTo(verb: string): string {
    return feSubject(this.#options.store.promise?.incarnation ?? 'none', verb);
  }

  /** I5: an FE that was replaced since the question may not decide for this BE. */
  #promised(fe: FeStamp): void {
    const { promise } = this.#options.store;
    if (fe.epoch === promise?.epoch && fe.incarnation === promise.incarnation) return;
    throw new LoadError(
      'EPOCH_STALE',
      `an answer of epoch ${fe.epoch} (${fe.incarnation}) came to a BE of ${promise?.epoch} (${promise?.incarnation})`,
      { transient: true, details: { epoch: fe.epoch, promised: promise?.epoch ?? null } },
    );
  }

  async #settle(txnId: number, outcome: Outcome): Promise<void> {
    const { store } = this.#options;
    const doubts = store.inDoubt().filter((one) => one.txnId === txnId);
    for (const { attempt } of doubts) {
      if (outcome.kind === 'committed') {
        if (attempt === outcome.attempt)
          await store.publish({ txnId, attempt, versions: outcome.versions });
        else await store.abort(txnId, attempt);
      } else if (outcome.kind === 'aborted') {
        await store.abort(txnId, attempt);
      }
    }
  }

  /** Returns when the FE wants a new registration or was silent for too long. */
  async #beats(beatMs: number): Promise<void> {
    const { store, bus, clock } = this.#options;
    const { signal } = this.#stop;
    let lost = 0;
    // Counted, not read from the clock, which may be set.
    let unaskedMs = 0;
    while (!signal.aborted) {
      await sleep(clock, beatMs, this.#waking());
      if (signal.aborted || this.#claimant !== null) return;
      const body: BeatRequest = {
        beId: store.beId,
        incarnation: store.incarnation,
        epoch: store.promise?.epoch ?? 0,
        beSeq: store.durableSeq,
      };
      try {
        const reply = await bus.request<BeatReply>(this.#promisedTo('beat'), body, {
          timeoutMs: TIMEOUT_MS,
          signal,
        });
        lost = 0;
        if (reply.register || reply.fe.incarnation !== store.promise?.incarnation) return;
        store.sawFeSeq(reply.fe.seq);
      } catch (error) {
        lost += 1;
        // That nobody answers is no silence: another FE may be there.
        const isGone = error instanceof LoadError && error.code === 'BUS_NO_RESPONDER';
        if (isGone || lost >= BEATS_LOST_MAX) throw error;
      }
      unaskedMs += beatMs;
      if (unaskedMs >= ASK_MS) {
        await this.#ask();
        unaskedMs = 0;
      }
    }
  }

  /** C2: a transaction that stays in doubt is asked about. */
  async #ask(): Promise<void> {
    const { store, bus } = this.#options;
    const txnIds = store.inDoubt().map(({ txnId }) => txnId);
    if (txnIds.length === 0) return;
    const body: AskRequest = { beId: store.beId, incarnation: store.incarnation, txnIds };
    try {
      const reply = await bus.request<AskReply>(this.#promisedTo('ask'), body, {
        timeoutMs: TIMEOUT_MS,
      });
      this.#promised(reply.fe);
      for (const { txnId, outcome } of reply.outcomes) await this.#settle(txnId, outcome);
    } catch (error) {
      this.#options.log.write('debug', 'in-doubt question was not answered', {
        error: String(error),
      });
    }
  }
}
