/** Bytes that all fetches of a BE may have in flight or undecoded. First come, first served. */

export interface BytesGrant {
  /** Gives it back; twice changes nothing. */
  readonly free: () => void;
}

interface Waiter {
  readonly bytes: number;
  readonly go: (grant: BytesGrant) => void;
}

export class BytesBudget {
  readonly max: number;
  #used = 0;
  #waiting: Waiter[] = [];

  constructor(max: number) {
    this.max = max;
  }

  get used(): number {
    return this.#used;
  }

  /** Who wants more than there is at all waits until nothing else is used. */
  async take(bytes: number, signal: AbortSignal): Promise<BytesGrant> {
    signal.throwIfAborted();
    const wanted = Math.min(bytes, this.max);
    if (this.#waiting.length === 0 && this.#used + wanted <= this.max) return this.#grant(wanted);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        bytes: wanted,
        go: (grant) => {
          signal.removeEventListener('abort', leave);
          resolve(grant);
        },
      };
      const leave = () => {
        this.#waiting = this.#waiting.filter((one) => one !== waiter);
        this.#serve();
        reject(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(waiter);
    });
  }

  #grant(bytes: number): BytesGrant {
    this.#used += bytes;
    let isHeld = true;
    return {
      free: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#used -= bytes;
        this.#serve();
      },
    };
  }

  #serve(): void {
    for (;;) {
      const [next] = this.#waiting;
      if (next === undefined || this.#used + next.bytes > this.max) return;
      this.#waiting.shift();
      next.go(this.#grant(next.bytes));
    }
  }
}
