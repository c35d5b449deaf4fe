/**
 * Envelopes as bytes: UTF-8 JSON of at most 256 KiB (B1, T2). What arrives is hostile until decoded (B6).
 *
 *   { "v": 1, "from": "fe", "body": … }
 *   body of an answer: { "ok": … } or { "error": ErrorData }
 */
import { type ErrorData, fromErrorData, LoadError, toErrorData } from '../base/errors.ts';
import type { BusEnvelope } from './bus.types.ts';

export const messageBytesMax = 256 * 1024;

const fromLengthMax = 256;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

export function encodeEnvelope(from: string, body: unknown): Uint8Array {
  const envelope: BusEnvelope = { v: 1, from, body: body === undefined ? null : body };
  const bytes = encoder.encode(JSON.stringify(envelope));
  if (bytes.length > messageBytesMax) {
    throw new LoadError('BUS_MESSAGE_TOO_LARGE', 'message is too large for the bus', {
      details: { bytes: bytes.length, bytesMax: messageBytesMax },
      hint: 'send large bytes through the part store',
    });
  }
  return bytes;
}

/** Throws `BUS_BAD_MESSAGE`. */
export function decodeEnvelope(bytes: Uint8Array): BusEnvelope {
  if (bytes.length > messageBytesMax) throw badMessage('too large', bytes);
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytes));
  } catch {
    throw badMessage('no JSON', bytes);
  }
  if (!isRecord(value) || !Object.hasOwn(value, 'body')) throw badMessage('no envelope', bytes);
  if (value.v !== 1) throw badMessage('unknown version', bytes);
  const { from, body } = value;
  if (typeof from !== 'string' || from.length === 0 || from.length > fromLengthMax) {
    throw badMessage('no sender', bytes);
  }
  return { v: 1, from, body };
}

function badMessage(reason: string, bytes: Uint8Array): LoadError {
  return new LoadError('BUS_BAD_MESSAGE', 'bytes from the bus are no message of ours', {
    details: { reason, bytes: bytes.length },
  });
}

export function encodeAnswer(from: string, value: unknown): Uint8Array {
  return encodeEnvelope(from, { ok: value });
}

/** Always fits: what is too large or no JSON in an error's details is left out. */
export function encodeFailure(from: string, error: unknown): Uint8Array {
  const data = errorData(error);
  try {
    // Offsets are bigints in details; they become text rather than hide the error.
    const plain = JSON.stringify(data, (_, v) => (typeof v === 'bigint' ? String(v) : v));
    return encodeEnvelope(from, { error: JSON.parse(plain) });
  } catch {
    const { details: _, hint: __, ...rest } = data;
    return encodeEnvelope(from, { error: { ...rest, message: data.message.slice(0, 4096) } });
  }
}

function errorData(error: unknown): ErrorData {
  try {
    return toErrorData(error);
  } catch {
    // Something thrown that is no error and cannot even be made text.
    return { code: 'INTERNAL', message: 'unknown error', errno: 1105, sqlState: 'HY000' };
  }
}

/** The value of an answer; throws the error it carries, or `BUS_BAD_MESSAGE` (transient: the answer is lost). */
export function openAnswer(body: unknown): unknown {
  if (isRecord(body) && Object.hasOwn(body, 'error')) throw fromErrorData(checkedError(body.error));
  if (isRecord(body)) return body.ok;
  throw badAnswer();
}

function badAnswer(): LoadError {
  return new LoadError('BUS_BAD_MESSAGE', 'answer from the bus is malformed', { transient: true });
}

function checkedError(value: unknown): ErrorData {
  if (!isRecord(value)) throw badAnswer();
  const { code, message, errno, sqlState, hint, details, transient, damage } = value;
  if (typeof code !== 'string' || !/^[A-Z][A-Z0-9_]{0,63}$/.test(code)) throw badAnswer();
  if (typeof message !== 'string') throw badAnswer();
  return {
    code,
    message,
    ...(Number.isInteger(errno) ? { errno: errno as number } : {}),
    ...(typeof sqlState === 'string' && /^[0-9A-Z]{5}$/.test(sqlState) ? { sqlState } : {}),
    ...(typeof hint === 'string' ? { hint } : {}),
    ...(isRecord(details) ? { details } : {}),
    transient: transient === true,
    ...(damage === true ? { damage: true } : {}),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
