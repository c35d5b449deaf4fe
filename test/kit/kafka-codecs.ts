/**
 * The codecs kafkajs lacks, as Kafka's Java clients write them: snappy in xerial's blocks, lz4 as a
 * frame, zstd. They are for producing and for checking; the product has a decoder of its own.
 */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import kafkajs from 'kafkajs';
import { compressFrameSync, decompressFrameSync } from 'lz4-napi';
import snappy from 'snappy';

export type Codec = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

const { CompressionTypes, CompressionCodecs } = kafkajs;

export const compressionTypes: Readonly<Record<Codec, number>> = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
};

/** As kafkajs hands it over: the encoder of the records. */
interface Encoded {
  readonly buffer: Buffer;
}

const codec = (compress: (raw: Buffer) => Buffer, decompress: (raw: Buffer) => Buffer) => () => ({
  compress: async (encoder: Encoded) => compress(encoder.buffer),
  decompress: async (buffer: Buffer) => decompress(buffer),
});

CompressionCodecs[CompressionTypes.Snappy] = codec(compressXerial, decompressXerial);
CompressionCodecs[CompressionTypes.LZ4] = codec(compressFrameSync, decompressFrameSync);
CompressionCodecs[CompressionTypes.ZSTD] = codec(zstdCompressSync, zstdDecompressSync);

/*
  xerial's snappy-java
    bytes<8>   magic       0x82 "SNAPPY" 0x00
    int32      version     1
    int32      compatible  1
    repeated:  int32 length, bytes<length> one snappy block of at most 32 KiB plain
*/
const xerialHeader = Buffer.from([0x82, ...Buffer.from('SNAPPY'), 0, 0, 0, 0, 1, 0, 0, 0, 1]);
const xerialBlockBytes = 32 * 1024;

function compressXerial(raw: Buffer): Buffer {
  const parts: Buffer[] = [xerialHeader];
  for (let at = 0; at < raw.length; at += xerialBlockBytes) {
    const block = snappy.compressSync(raw.subarray(at, at + xerialBlockBytes));
    const length = Buffer.alloc(4);
    length.writeInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}

function decompressXerial(framed: Buffer): Buffer {
  const uncompress = (block: Buffer) => snappy.uncompressSync(block, { asBuffer: true }) as Buffer;
  if (!framed.subarray(0, 8).equals(xerialHeader.subarray(0, 8))) return uncompress(framed);
  const parts: Buffer[] = [];
  for (let at = xerialHeader.length; at < framed.length; ) {
    const length = framed.readInt32BE(at);
    parts.push(uncompress(framed.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  return Buffer.concat(parts);
}
