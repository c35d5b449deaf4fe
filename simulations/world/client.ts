/**
 * A MySQL client's session with the FE: statements one after the other; its connection breaks with the FE, and it may hang
 * up in the middle of a statement. (The bytes of the wire have tests of their own.)
 */
import { LoadError } from '../../src/base/errors.ts';
import type { Owner, VirtualClock } from './clock.ts';
import type { FeProcess } from './cluster.ts';

export interface Rows {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
  readonly info: string;
}

const CLIENT: Owner = { alive: true, pausedUntilMs: 0, skewMs: 0 };

export class SimClient {
  readonly #clock: VirtualClock;
  readonly #fe: FeProcess;
  /** Statements that have no answer yet. */
  open = 0;

  constructor(clock: VirtualClock, fe: FeProcess) {
    this.#clock = clock;
    this.#fe = fe;
  }

  /**
   * Settles always: by the answer, by CONNECTION_LOST when the FE dies, or by HUNG_UP after `patienceMs`, when the server is
   * told as a broken connection tells it.
   */
  async run(sql: string, patienceMs: number): Promise<Rows> {
    const hangUp = new AbortController();
    this.open += 1;
    try {
      return await new Promise<Rows>((resolve, reject) => {
        const leave = this.#fe.onDeath(() => {
          reject(new LoadError('CONNECTION_LOST', 'the connection broke', { transient: true }));
        });
        const timer = this.#clock.at(
          patienceMs,
          () => {
            leave();
            hangUp.abort(new LoadError('HUNG_UP', 'the client hung up'));
            reject(new LoadError('HUNG_UP', `no answer within ${patienceMs} ms: ${sql}`));
          },
          CLIENT,
        );
        const done = (settle: () => void) => {
          leave();
          this.#clock.cancel(timer);
          settle();
        };
        this.#fe.run(sql, hangUp.signal).then(
          (rows) => done(() => resolve(rows)),
          (error: unknown) => done(() => reject(error)),
        );
      });
    } finally {
      this.open -= 1;
    }
  }
}
