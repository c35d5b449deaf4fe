/** A certificate authority for one test cluster, and a certificate of localhost signed by it. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LoadError } from '../../src/base/errors.ts';
import { run } from './install.ts';

export interface TlsFiles {
  readonly caFile: string;
  readonly caPem: string;
  /** PKCS12 with the host's key and certificates. */
  readonly keystore: { readonly file: string; readonly password: string };
}

const keystorePassword = 'millrace-test';

export async function makeTlsFiles(dir: string): Promise<TlsFiles> {
  await mkdir(dir, { recursive: true });
  const file = (name: string) => join(dir, name);
  await writeFile(
    file('host.ext'),
    'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n',
  );
  const newKey = ['-newkey', 'rsa:2048', '-nodes', '-sha256'];
  await openssl([
    ...['req', '-x509', ...newKey, '-days', '30', '-subj', '/CN=millrace test CA'],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
    ...['-keyout', file('ca.key'), '-out', file('ca.pem')],
  ]);
  await openssl([
    ...['req', ...newKey, '-subj', '/CN=localhost'],
    ...['-keyout', file('host.key'), '-out', file('host.csr')],
  ]);
  await openssl([
    ...['x509', '-req', '-sha256', '-days', '30', '-in', file('host.csr')],
    ...['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial'],
    ...['-extfile', file('host.ext'), '-out', file('host.pem')],
  ]);
  await openssl([
    ...['pkcs12', '-export', '-name', 'host', '-in', file('host.pem'), '-inkey', file('host.key')],
    ...['-certfile', file('ca.pem'), '-passout', `pass:${keystorePassword}`],
    ...['-out', file('host.p12')],
  ]);
  return {
    caFile: file('ca.pem'),
    caPem: await readFile(file('ca.pem'), 'utf8'),
    keystore: { file: file('host.p12'), password: keystorePassword },
  };
}

async function openssl(args: readonly string[]): Promise<void> {
  const result = await run('openssl', args);
  if (result === undefined) {
    throw new LoadError(
      'OPENSSL_MISSING',
      'the test cluster\'s certificates are made with openssl, and there is no "openssl" on PATH',
      {
        hint: 'install it (Debian: apt-get install openssl), or start Kafka without "all" listeners',
      },
    );
  }
  if (result.status !== 0) throw new Error(`openssl ${args[0]} failed: ${result.output}`);
}
