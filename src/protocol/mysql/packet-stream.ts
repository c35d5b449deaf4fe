/**
 * A socket as packets in and out.
 *
 *   S1. `send` resolves when the socket has taken the bytes, so a slow reader holds one batch, not a result.
 *   S2. What a client sends while its statement runs is kept up to 64 KiB; then the socket is paused.
 *   S3. Every wait ends when the socket is gone.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { LoadError } from '../../base/errors.ts';
import { PacketFramer } from './packets/packet-framer.ts';
import { PacketWriter } from './packets/packet-writer.ts';

const AHEAD_BYTES_MAX = 64 * 1024;
const FINISH_MS = 2_000;

/** The client is gone: nobody is left to be told. */
export class Disconnected extends Error {
  override name = 'Disconnected';
}

export class PacketStream {
  readonly writer = new PacketWriter();
  readonly framer: PacketFramer;
  /** Aborted when the socket is gone. */
  readonly gone = new AbortController();
  readonly #socket: Socket;
  readonly #clock: Clock;
  #isReading = false;
  #isFinishing = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket, clock: Clock, bytesMax: number) {
    this.#socket = socket;
    this.#clock = clock;
    this.framer = new PacketFramer(bytesMax);
    socket.on('data', (chunk: Buffer) => {
      if (this.#isFinishing) return;
      this.framer.push(chunk);
      if (!this.#isReading && this.framer.buffered > AHEAD_BYTES_MAX) socket.pause();
      this.#wake?.();
    });
    const over = () => {
      this.gone.abort();
      this.#wake?.();
    };
    socket.on('end', over);
    socket.on('close', over);
    socket.on('error', () => socket.destroy());
  }

  /** The next packet, whose id must be `framer.sequence`; throws `Disconnected` also when the time is over. */
  async read(timeoutMs: number): Promise<Buffer> {
    let isLate = false;
    const timer = this.#clock.setTimeout(() => {
      isLate = true;
      this.#wake?.();
    }, timeoutMs);
    this.#isReading = true;
    this.#socket.resume();
    try {
      for (;;) {
        const packet = this.framer.next();
        if (packet !== undefined) return packet;
        if (this.gone.signal.aborted || isLate) throw new Disconnected();
        await this.#sleep();
      }
    } finally {
      this.#isReading = false;
      this.#clock.clearTimeout(timer);
    }
  }

  /** Hands all finished packets to the socket. */
  async send(timeoutMs: number): Promise<void> {
    if (this.gone.signal.aborted) throw new Disconnected();
    const bytes = this.writer.take();
    if (bytes.length === 0 || this.#socket.write(bytes)) return;
    const drained = new AbortController();
    const onDrain = () => {
      drained.abort();
      this.#wake?.();
    };
    this.#socket.once('drain', onDrain);
    const timer = this.#clock.setTimeout(() => this.destroy(), timeoutMs);
    try {
      while (!drained.signal.aborted) {
        if (this.gone.signal.aborted) throw new Disconnected();
        await this.#sleep();
      }
    } finally {
      this.#clock.clearTimeout(timer);
      this.#socket.off('drain', onDrain);
    }
  }

  /**
   * Sends what is there and closes. The client may close first, since a reset, which bytes that were not read
   * would cause, can take the last error from it.
   */
  finish(): void {
    this.#isFinishing = true;
    this.writer.drop();
    if (this.#socket.destroyed) return;
    const timer = this.#clock.setTimeout(() => this.destroy(), FINISH_MS);
    this.#socket.once('close', () => this.#clock.clearTimeout(timer));
    this.#socket.resume();
    this.#socket.end(this.writer.take());
  }

  destroy(): void {
    this.#socket.destroy();
    this.gone.abort();
    this.#wake?.();
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }
}

export function isDisconnected(error: unknown): boolean {
  return error instanceof Disconnected;
}

export function interrupted(): LoadError {
  return new LoadError('QUERY_INTERRUPTED', 'Query execution was interrupted', {
    errno: 1317,
    sqlState: '70100',
  });
}
