/**
 * Writes record batches to one broker as fast as it takes them: made in one buffer, sent as Produce requests of version 7 over
 * a plain socket, a few under way. A client's producer would be the slowest part of a bench.
 *
 *   request   int32 size, int16 0, int16 7, int32 correlation id, string client id,
 *             nullable string transactional id, int16 acks, int32 timeout, [string topic, [int32 partition, bytes records]]
 *   response  int32 size, int32 correlation id, [string topic, [int32 partition, int16 error, int64 base offset, …]], …
 */
import { connect, type Socket } from 'node:net';
import { zstdCompressSync } from 'node:zlib';
import { compressFrameSync } from 'lz4-napi';
import { sealBatch } from '../src/sources/kafka/record-batch-writer.ts';

export type BenchCodec = 'none' | 'lz4' | 'zstd';

const codecs: Readonly<
  Record<BenchCodec, { id: number; compress: (bytes: Buffer) => Uint8Array }>
> = {
  none: { id: 0, compress: (bytes) => bytes },
  lz4: { id: 3, compress: (bytes) => compressFrameSync(bytes) },
  zstd: { id: 4, compress: (bytes) => zstdCompressSync(bytes) },
};

const IN_FLIGHT_MAX = 8;
const HEAD_BYTES = 61;

/** Values of ASCII alone. */
export function batchOf(values: readonly string[], timestampMs: number, codec: BenchCodec): Buffer {
  const room = values.reduce((sum, value) => sum + value.length + 24, 0);
  const body = Buffer.allocUnsafe(room);
  let at = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const size = 1 + 1 + varintBytes(i) + 1 + varintBytes(value.length) + value.length + 1;
    at = varint(body, at, size);
    body[at++] = 0; // attributes
    body[at++] = 0; // time as the batch's
    at = varint(body, at, i);
    body[at++] = 1; // no key: −1
    at = varint(body, at, value.length);
    at += body.write(value, at, 'latin1');
    body[at++] = 0; // no headers
  }
  const { id, compress } = codecs[codec];
  const records = compress(body.subarray(0, at));
  const batch = Buffer.alloc(HEAD_BYTES + records.length);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt32BE(-1, 12);
  batch.writeInt8(2, 16);
  batch.writeInt16BE(id, 21);
  batch.writeInt32BE(values.length - 1, 23);
  batch.writeBigInt64BE(BigInt(timestampMs), 27);
  batch.writeBigInt64BE(BigInt(timestampMs), 35);
  batch.writeBigInt64BE(-1n, 43);
  batch.writeInt16BE(-1, 51);
  batch.writeInt32BE(-1, 53);
  batch.writeInt32BE(values.length, 57);
  batch.set(records, HEAD_BYTES);
  sealBatch(batch);
  return batch;
}

/** Zigzag of a number that is not negative, as all here are. */
function varint(bytes: Buffer, at: number, value: number): number {
  let left = value * 2;
  let to = at;
  while (left > 127) {
    bytes[to++] = (left & 127) | 128;
    left = Math.floor(left / 128);
  }
  bytes[to++] = left;
  return to;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let left = value * 2; left > 127; left = Math.floor(left / 128)) bytes += 1;
  return bytes;
}

export class RawProducer {
  readonly #socket: Socket;
  readonly #waiting: PromiseWithResolvers<void>[] = [];
  #input: Buffer = Buffer.alloc(0);
  #correlation = 0;
  #error: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (data) => this.#read(data));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the broker closed the connection')));
  }

  static async open(bootstrap: string): Promise<RawProducer> {
    const [host = '', port = ''] = bootstrap.split(',')[0]?.split(':') ?? [];
    const socket = connect({ host, port: Number(port) });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RawProducer(socket);
  }

  /** Resolves when there is room for another; `flush` waits for all answers. */
  async send(topic: string, partition: number, batch: Buffer): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    const name = Buffer.from(topic);
    const head = Buffer.alloc(4 + 2 + 2 + 4 + 7 + 2 + 2 + 4 + 4 + 2 + name.length + 4 + 4 + 4);
    head.writeInt32BE(head.length - 4 + batch.length, 0);
    let at = head.writeInt16BE(7, head.writeInt16BE(0, 4));
    at = head.writeInt32BE(this.#correlation++, at);
    at = head.writeInt16BE(5, at);
    at += head.write('bench', at);
    at = head.writeInt16BE(-1, at);
    at = head.writeInt16BE(1, at);
    at = head.writeInt32BE(30_000, at);
    at = head.writeInt32BE(1, at);
    at = head.writeInt16BE(name.length, at);
    at += name.copy(head, at);
    at = head.writeInt32BE(1, at);
    at = head.writeInt32BE(partition, at);
    head.writeInt32BE(batch.length, at);
    this.#socket.write(head);
    this.#socket.write(batch);
    const answered = Promise.withResolvers<void>();
    answered.promise.catch(() => {});
    this.#waiting.push(answered);
    if (this.#waiting.length >= IN_FLIGHT_MAX) await this.#waiting[0]?.promise;
  }

  async flush(): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    await Promise.all(this.#waiting.map(({ promise }) => promise));
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      this.#socket.removeAllListeners('close');
      this.#socket.end();
    }
  }

  #read(data: Buffer): void {
    this.#input = this.#input.length === 0 ? data : Buffer.concat([this.#input, data]);
    while (this.#input.length >= 4 && this.#input.length >= 4 + this.#input.readInt32BE(0)) {
      const size = this.#input.readInt32BE(0);
      const topicLength = this.#input.readInt16BE(12);
      const error = this.#input.readInt16BE(14 + topicLength + 4 + 4);
      this.#input = this.#input.subarray(4 + size);
      if (error === 0) this.#waiting.shift()?.resolve();
      else this.#fail(new Error(`the broker refused a batch: error ${error}`));
    }
  }

  #fail(error: Error): void {
    this.#error ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#error);
  }
}
