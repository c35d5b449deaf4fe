/** Bytes beside a message: inside it up to 64 KiB, else by the part store (PROTOCOL.md T2). */
import type { PartStore } from '../protocol/bus.types.ts';
import type { BytesRef } from './messages.ts';

export const INLINE_BYTES_MAX = 64 * 1024;

export function bytesRef(bytes: Uint8Array, parts: PartStore): BytesRef {
  if (bytes.length > INLINE_BYTES_MAX) return { kind: 'part', ref: parts.offer(bytes) };
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return { kind: 'inline', base64: view.toString('base64') };
}

/** The result owns its buffer, so that typed arrays may lie on it. */
export async function readBytesRef(
  ref: BytesRef,
  parts: PartStore,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  if (ref.kind === 'part') return parts.take(ref.ref, signal === undefined ? {} : { signal });
  return new Uint8Array(Buffer.from(ref.base64, 'base64'));
}
