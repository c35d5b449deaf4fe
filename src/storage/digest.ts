/** CRC32C, as journal records, parts and rejects carry it. Synchronous, so that simulations may use it (E2). */
import { crc32c } from '@node-rs/crc32';

export const digestOf = (bytes: Uint8Array, seed = 0): number => crc32c(bytes, seed);

/** Eight lower-case hex digits. */
export const digestHex = (crc: number): string => (crc >>> 0).toString(16).padStart(8, '0');
