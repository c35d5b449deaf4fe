/** Where the NATS servers are, apart from the secret, so that the servers can be logged. */
import { LoadError } from '../../base/errors.ts';

export interface NatsAddress {
  readonly servers: string[];
  readonly user?: string;
  readonly pass?: string;
  readonly token?: string;
}

/** One login serves all servers: the last that is given. Throws `NATS_BAD_URL`, which does not repeat the secret. */
export function natsAddress(url: string): NatsAddress {
  const servers: string[] = [];
  let login: Omit<NatsAddress, 'servers'> = {};
  for (const part of url.split(',')) {
    const [, scheme = 'nats://', secret, host = ''] =
      /^((?:nats|tls):\/\/)?(?:(.*)@)?([^@/]+)\/?$/s.exec(part.trim()) ?? [];
    if (host === '') throw badUrl();
    servers.push(scheme + host);
    if (secret === undefined) continue;
    const colon = secret.indexOf(':');
    login =
      colon < 0
        ? { token: decoded(secret) }
        : { user: decoded(secret.slice(0, colon)), pass: decoded(secret.slice(colon + 1)) };
  }
  return { servers, ...login };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw badUrl();
  }
}

function badUrl(): LoadError {
  return new LoadError('NATS_BAD_URL', 'address of NATS is malformed', {
    hint: 'write nats://host:port, several with commas, "%" in a password as "%25"',
  });
}
