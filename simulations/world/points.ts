/**
 * Named moments of a run, told by the ports as they come: `stage written`, `task-run delivered`, `txn.committed durable`.
 * A crash point (section 6 of the list) is the n-th time that one of them comes.
 */
export interface Moment {
  readonly name: string;
  /** The process in which it came, or that sends. */
  readonly who: string;
}

export class Points {
  readonly #listeners = new Set<(moment: Moment) => void>();

  hit(name: string, who: string): void {
    for (const listener of [...this.#listeners]) listener({ name, who });
  }

  onHit(listener: (moment: Moment) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
