/**
 * The bus contract: in-process (threads of one process) and NATS pass the same suite in test/compliance/bus.
 *
 *   B1. A message is plain JSON of at most 256 KiB as encoded; a larger one is refused at the sender (T2).
 *   B2. Delivery is at most once: a message may be lost, late, or arrive twice. Whoever needs more asks again.
 *   B3. A request without anybody to answer fails at once (`BUS_NO_RESPONDER`, transient), one that is not
 *       answered in time with `BUS_TIMEOUT` (transient); an error of the handler arrives as its ErrorData.
 *   B4. Messages from one sender on one subject arrive in the order in which they were sent.
 *   B5. The bus holds nothing: what was sent before somebody subscribed is gone.
 *   B6. Bytes from the bus are hostile: what is no envelope of ours is counted, logged, dropped.
 */
export interface BusEnvelope {
  /** Format version of the envelope. */
  readonly v: 1;
  /** Who sent it: `fe`, `be-<id>.<incarnation>`. */
  readonly from: string;
  readonly body: unknown;
}

export interface Bus {
  /** Subjects are dotted words of [A-Za-z0-9_-]; subscriptions may end in `>` or hold `*` for one word. */
  publish(subject: string, body: unknown): void;
  request<T = unknown>(
    subject: string,
    body: unknown,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<T>;
  subscribe(subject: string, handler: (body: unknown, meta: BusMeta) => void): Subscription;
  /** Answers requests on a subject. Thrown errors go back to the asker. */
  respond(
    subject: string,
    handler: (body: unknown, meta: BusMeta) => Promise<unknown> | unknown,
  ): Subscription;
  /** Resolves when what was subscribed before is known to the transport, so that no message misses it. */
  ready(): Promise<void>;
  /** Connected, or why not: for SHOW and health. */
  status(): { readonly connected: boolean; readonly since: number; readonly reason?: string };
  close(): Promise<void>;
}

export interface BusMeta {
  readonly subject: string;
  readonly from: string;
}

export interface Subscription {
  close(): void;
}

/**
 * The part store: bytes too large for the bus (PROTOCOL.md T2), between threads of one process or machines.
 * Bytes are offered by their owner, taken at most `takes` times (default 1), and checked by length and CRC32C.
 */
export interface PartRef {
  /** Where the bytes are: the owner's address on the part store. */
  readonly owner: string;
  readonly id: string;
  readonly length: number;
  /** CRC32C, eight hex digits. */
  readonly digest: string;
}

export interface PartStore {
  /** Keeps the bytes until taken or for `ttlMs` (default 120,000). Refused with `PART_STORE_FULL` above its limit. */
  offer(bytes: Uint8Array, options?: { takes?: number; ttlMs?: number }): PartRef;
  /** Fails with `PART_GONE`, `PART_DAMAGED` or `PART_TIMEOUT`. */
  take(ref: PartRef, options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<Uint8Array>;
  close(): Promise<void>;
}
