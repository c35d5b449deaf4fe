/** A small text by HTTP: bounded in time and bytes, no redirect to another scheme, nothing but http and https. */
import { LoadError } from '../../base/errors.ts';

export interface DownloadLimits {
  readonly bytesMax: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export type Download = (url: string, limits: DownloadLimits) => Promise<string>;

function failed(url: string, why: string, cause?: unknown): LoadError {
  return new LoadError('DOWNLOAD', `could not download ${url}: ${why}`, {
    hint: 'the URL must be reachable from the FE by http or https',
    details: { url },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The URL without user, password and query, which may hold secrets. */
function shown(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

export const download: Download = async (text, limits) => {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new LoadError('DOWNLOAD', 'url must begin with http:// or https://');
  }
  if (url.username !== '' || url.password !== '') {
    throw new LoadError('DOWNLOAD', `the URL ${shown(url)} must not hold a user or a password`);
  }
  const { bytesMax, timeoutMs, signal } = limits;
  const name = shown(url);
  try {
    const response = await fetch(url, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    if (!response.ok) throw failed(name, `the server answered ${response.status}`);
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of response.body ?? []) {
      bytes += piece.length;
      if (bytes > bytesMax) throw failed(name, `it has more than ${bytesMax} bytes`);
      pieces.push(piece);
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(pieces));
  } catch (error) {
    if (error instanceof LoadError) throw error;
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw failed(name, cause instanceof Error ? cause.message : String(cause), error);
  }
};
