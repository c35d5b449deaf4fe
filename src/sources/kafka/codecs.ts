/**
 * The codecs of record batches, all synchronous (PROTOCOL.md E2) and all with a bound on their output:
 * a small batch that claims to be a large one fails before the memory is taken.
 *
 * The native decoders allocate what the data claims, so the claims of snappy and lz4 are read here first.
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { decompressFrameSync } from 'lz4-napi';
import { uncompressSync } from 'snappy';

export const codecNames = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
export type CodecName = (typeof codecNames)[number];

const ZSTD_CHUNK_MIN = 4 * 1024;
/** A frame may claim any size. */
const ZSTD_CHUNK_MAX = 1024 * 1024;

/** What is wrong with compressed bytes; the caller knows where they came from and makes it a LoadError. */
export class CodecError extends Error {
  override name = 'CodecError';
}

/** Throws `CodecError`, for any bytes. */
export function decompress(codec: CodecName, data: Uint8Array, bytesMax: number): Uint8Array {
  try {
    switch (codec) {
      case 'none':
        return data;
      case 'gzip':
        return gunzipSync(data, { maxOutputLength: bytesMax, chunkSize: 64 * 1024 });
      case 'zstd':
        return zstdDecompressSync(data, { maxOutputLength: bytesMax, chunkSize: zstdChunk(data) });
      case 'snappy':
        return uncompressSnappy(data, bytesMax);
      case 'lz4':
        checkLz4Frame(data, bytesMax);
        return decompressFrameSync(asBuffer(data));
    }
  } catch (error) {
    if (error instanceof CodecError) throw error;
    if ((error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(bytesMax);
    throw new CodecError(error instanceof Error ? error.message : String(error));
  }
}

/*
  Snappy as Kafka's Java clients frame it (xerial):
    byte[8]  magic     0x82 "SNAPPY" 0x00
    int32    version
    int32    compatible version
    { int32 length, byte[length] raw snappy block }*
  Other clients write one raw block without a frame.
*/
const xerialMagic = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00];
const xerialHeaderBytes = 16;

function uncompressSnappy(data: Uint8Array, bytesMax: number): Uint8Array {
  if (!xerialMagic.every((byte, i) => data[i] === byte)) return snappyBlock(data, bytesMax);
  if (data.length < xerialHeaderBytes) throw new CodecError('the snappy header is cut off');
  const view = viewOf(data);
  const blocks: Uint8Array[] = [];
  let total = 0;
  for (let at = xerialHeaderBytes; at < data.length; ) {
    if (at + 4 > data.length) throw new CodecError('a snappy block is cut off');
    const length = view.getInt32(at);
    at += 4;
    if (length < 0 || length > data.length - at) throw new CodecError('a snappy block is cut off');
    const block = snappyBlock(data.subarray(at, at + length), bytesMax, total);
    blocks.push(block);
    total += block.length;
    at += length;
  }
  return blocks.length === 1 ? (blocks[0] as Uint8Array) : Buffer.concat(blocks, total);
}

function snappyBlock(data: Uint8Array, bytesMax: number, total = 0): Uint8Array {
  // A block begins with the length of its plain text, a varint of at most five bytes.
  let claimed = 0;
  for (let i = 0; ; i++) {
    const byte = data[i];
    if (byte === undefined || i > 4)
      throw new CodecError('the length of a snappy block is invalid');
    claimed += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) break;
  }
  if (claimed > bytesMax - total) throw tooLarge(bytesMax);
  // Its densest element makes 64 bytes of 3.
  if (claimed > data.length * 22) throw new CodecError('a snappy block claims too much');
  return uncompressSync(data, { asBuffer: true }) as Buffer;
}

/*
  LZ4 frame
    int32le  magic         0x184d2204
    byte     flags         version 2 bits (01), block independence, block checksums, content size,
                           content checksum, reserved, dictionary id
    byte     BD            bits 4–6: largest plain block (4 = 64 KiB, 5 = 256 KiB, 6 = 1 MiB, 7 = 4 MiB)
    int64le  content size  if flagged
    byte     header checksum
    { int32le length (bit 31: stored plain), byte[length], int32 checksum if flagged }*
    int32le  0
    int32    content checksum if flagged
*/
function checkLz4Frame(data: Uint8Array, bytesMax: number): void {
  const cut = () => new CodecError('the lz4 frame is cut off');
  const view = viewOf(data);
  if (data.length < 7) throw cut();
  if (view.getUint32(0, true) !== 0x184d2204) throw new CodecError('this is not an lz4 frame');
  const flags = view.getUint8(4);
  const size = (view.getUint8(5) >> 4) & 7;
  if (flags >> 6 !== 1) throw new CodecError('the version of the lz4 frame is unknown');
  if ((flags & 1) !== 0) throw new CodecError('lz4 frames with a dictionary are not supported');
  if (size < 4) throw new CodecError('the block size of the lz4 frame is invalid');
  const blockMax = 2 ** (8 + 2 * size);
  const blockTail = (flags & 0x10) !== 0 ? 4 : 0;
  const contentTail = (flags & 0x04) !== 0 ? 4 : 0;

  let plainMax = 0;
  for (let at = (flags & 0x08) !== 0 ? 15 : 7; ; ) {
    if (at + 4 > data.length) throw cut();
    const word = view.getUint32(at, true);
    at += 4;
    if (word === 0) {
      if (at + contentTail !== data.length) throw new CodecError('bytes follow the lz4 frame');
      return;
    }
    const length = word & 0x7fff_ffff;
    if (length + blockTail > data.length - at) throw cut();
    at += length + blockTail;
    // No sequence makes more than 255 bytes of one.
    plainMax += word > 0x7fff_ffff ? length : Math.min(blockMax, length * 255);
    if (plainMax > bytesMax) throw tooLarge(bytesMax);
  }
}

/*
  Zstandard frame (RFC 8878, 3.1.1.1)
    int32le  magic       0xfd2fb528
    byte     descriptor  bits 6–7: form of the content size, bit 5: single segment, bits 0–1: form of the dictionary id
    byte     window      unless a single segment
    byte[0, 1, 2, 4]     dictionary id
    content size         by its form: 1 byte in a single segment, else none; uint16le + 256; uint32le; uint64le
*/
/** Bytes of output to make room for at a time: all of it at once, where it is no more than a producer's usual batch. */
function zstdChunk(data: Uint8Array): number {
  const descriptor = data[4] ?? 0;
  const isSingle = (descriptor & 0x20) !== 0;
  const at = 5 + (isSingle ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!;
  const form = descriptor >> 6;
  const width = form === 0 ? (isSingle ? 1 : 0) : 2 ** form;
  // What is not said is guessed: JSON becomes an eighth at best.
  let size = 8 * data.length;
  if (width > 0 && width <= 4 && at + width <= data.length) {
    size = (form === 1 ? 256 : 0) + asBuffer(data).readUIntLE(at, width);
  }
  // With some left, as a full one would be followed by another.
  return Math.min(ZSTD_CHUNK_MAX, Math.max(ZSTD_CHUNK_MIN, size + 64));
}

function tooLarge(bytesMax: number): CodecError {
  return new CodecError(`it decompresses to more than ${bytesMax} bytes`);
}

function viewOf(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}

function asBuffer(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
