/**
 * Writes record batches of version 2 as a broker would send them: for tests and for the simulated broker.
 * The layout stands in record-batch.ts and record-columns.ts.
 */
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { crc32c } from '@node-rs/crc32';
import { compressFrameSync } from 'lz4-napi';
import { compressSync } from 'snappy';
import { type CodecName, codecNames } from './codecs.ts';

export interface WrittenMessage {
  /** Default: one behind the message before. */
  readonly offset?: bigint;
  readonly value: Uint8Array | string | null;
  readonly key?: Uint8Array | string | null;
  readonly headers?: readonly (readonly [string, string | null])[];
  /** Milliseconds; default: the batch's. */
  readonly timestampMs?: number;
}

export interface WrittenBatch {
  readonly baseOffset: bigint;
  readonly messages: readonly WrittenMessage[];
  readonly codec?: CodecName;
  /** Default: the last message's offset. Larger where compaction took the last ones. */
  readonly lastOffset?: bigint;
  readonly timestampMs?: number;
  /** The broker's own time for all messages (`LogAppendTime`). */
  readonly appendTimeMs?: number;
  readonly producerId?: bigint;
  readonly transactional?: boolean;
  readonly control?: boolean;
  /** Snappy in xerial's frame, as Java writes it (default), or one raw block. */
  readonly snappyRaw?: boolean;
}

export function writeBatch(batch: WrittenBatch): Uint8Array {
  const time = batch.timestampMs ?? 0;
  let offset = batch.baseOffset - 1n;
  let timeMax = time;
  const records: Buffer[] = [];
  for (const message of batch.messages) {
    offset = message.offset ?? offset + 1n;
    const at = message.timestampMs ?? time;
    timeMax = Math.max(timeMax, at);
    records.push(record(message, at - time, Number(offset - batch.baseOffset)));
  }
  const codec = batch.codec ?? 'none';
  const body = compressed(codec, Buffer.concat(records), batch.snappyRaw === true);
  const last = batch.lastOffset ?? (batch.messages.length === 0 ? batch.baseOffset : offset);

  const bytes = Buffer.alloc(61 + body.length);
  bytes.writeBigInt64BE(batch.baseOffset, 0);
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes.writeInt8(2, 16);
  bytes.writeInt16BE(
    codecNames.indexOf(codec) |
      (batch.appendTimeMs === undefined ? 0 : 0x08) |
      (batch.transactional === true ? 0x10 : 0) |
      (batch.control === true ? 0x20 : 0),
    21,
  );
  bytes.writeInt32BE(Number(last - batch.baseOffset), 23);
  bytes.writeBigInt64BE(BigInt(time), 27);
  bytes.writeBigInt64BE(BigInt(batch.appendTimeMs ?? timeMax), 35);
  bytes.writeBigInt64BE(batch.producerId ?? -1n, 43);
  bytes.writeInt16BE(batch.producerId === undefined ? -1 : 0, 51);
  bytes.writeInt32BE(-1, 53);
  bytes.writeInt32BE(batch.messages.length, 57);
  bytes.set(body, 61);
  return sealBatch(bytes);
}

/** Writes the checksum anew, for bytes that were changed on purpose. Returns the same bytes. */
export function sealBatch(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint32(17, crc32c(bytes.subarray(21)));
  return bytes;
}

/** The marker that ends a transaction: one offset, no message. */
export function writeMarker(
  kind: 'abort' | 'commit',
  baseOffset: bigint,
  producerId: bigint,
): Uint8Array {
  const key = Uint8Array.of(0, 0, 0, kind === 'abort' ? 0 : 1);
  const value = Uint8Array.of(0, 0, 0, 0, 0, 0);
  const messages = [{ key, value }];
  return writeBatch({ baseOffset, producerId, transactional: true, control: true, messages });
}

function record(message: WrittenMessage, timeDelta: number, offsetDelta: number): Buffer {
  const headers = message.headers ?? [];
  const body = Buffer.concat([
    Buffer.of(0),
    varint(timeDelta),
    varint(offsetDelta),
    sized(message.key ?? null),
    sized(message.value),
    varint(headers.length),
    ...headers.flatMap(([key, value]) => [sized(key), sized(value)]),
  ]);
  return Buffer.concat([varint(body.length), body]);
}

function sized(value: Uint8Array | string | null): Buffer {
  if (value === null) return varint(-1);
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const out: number[] = [];
  let rest = value < 0 ? BigInt(value) * -2n - 1n : BigInt(value) * 2n;
  while (rest >= 0x80n) {
    out.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return Buffer.from([...out, Number(rest)]);
}

function compressed(codec: CodecName, plain: Buffer, snappyRaw: boolean): Uint8Array {
  switch (codec) {
    case 'none':
      return plain;
    case 'gzip':
      return gzipSync(plain);
    case 'zstd':
      return zstdCompressSync(plain);
    case 'lz4':
      return compressFrameSync(plain);
    case 'snappy':
      return snappyRaw ? compressSync(plain) : xerial(plain, 32 * 1024);
  }
}

function xerial(plain: Buffer, blockBytes: number): Buffer {
  const header = Buffer.from([0x82, ...Buffer.from('SNAPPY'), 0, 0, 0, 0, 1, 0, 0, 0, 1]);
  const blocks: Buffer[] = [header];
  for (let at = 0; at < plain.length; at += blockBytes) {
    const block = compressSync(plain.subarray(at, at + blockBytes));
    const length = Buffer.alloc(4);
    length.writeInt32BE(block.length);
    blocks.push(length, block);
  }
  return Buffer.concat(blocks);
}
