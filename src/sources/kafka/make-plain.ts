/**
 * Compressed batches made plain by libuv's threads, while the thread of the BE decodes what came before. It only saves time: what
 * fails here is left out, and the decoder, which checks each batch first, finds the error and names it.
 */
import { decompressElsewhere } from './codecs.ts';
import type { MakePlain } from './kafka-client.ts';
import {
  type DecodeLimits,
  type PackedBatch,
  type PlainRecords,
  packedBatches,
} from './record-batch.ts';

/** Compressed; what is smaller is decompressed in less time than it takes to ask for it. */
const BYTES_MIN = 8 * 1024;

export const makePlainElsewhere: MakePlain = (records, limits) => {
  const packed = packedBatches(records).filter(({ data }) => data.length >= BYTES_MIN);
  return packed.length === 0 ? undefined : makePlain(packed, limits);
};

/** One after the other: partitions have their own, and others write files by the same threads. */
async function makePlain(
  packed: readonly PackedBatch[],
  { batchBytesMax, plainBytesMax }: DecodeLimits,
): Promise<PlainRecords> {
  const plain = new Map<number, Uint8Array>();
  let bytes = 0;
  for (const { start, codec, data } of packed) {
    const made = await decompressElsewhere(codec, data, batchBytesMax).catch(() => null);
    if (made === null) break;
    plain.set(start, made);
    bytes += made.length;
    // The decoder stops there as well.
    if (bytes >= plainBytesMax) break;
  }
  return plain;
}
