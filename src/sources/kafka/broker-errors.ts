/** What goes wrong on the way to a broker, as LoadErrors that say which broker and what to look at. */
import { LoadError } from '../../base/errors.ts';
import type { KafkaConfig } from './kafka.types.ts';

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

export function addressText({ host, port }: BrokerAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The last colon separates the port; without one, Kafka's usual port. */
export function parseAddress(text: string): BrokerAddress {
  const match = /^(?:\[([^\]]+)\]|(.*?))(?::(\d+))?$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? text;
  return { host, port: match?.[3] === undefined ? 9092 : Number(match[3]) };
}

const tlsCodes = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'EPROTO',
  'INVALID_CA',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

const authTypes = new Set([
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
  'ILLEGAL_SASL_STATE',
]);

/** Of kafkajs, of node:tls and of our own reading of an answer: what it means for the user. */
export function brokerError(
  error: unknown,
  address: BrokerAddress,
  config: KafkaConfig,
): LoadError {
  if (error instanceof LoadError) return error;
  const broker = addressText(address);
  const { name, message, code, type } = fieldsOf(error);
  const details = { broker };
  const options = { details, cause: error };

  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return new LoadError(
      'KAFKA_TLS',
      `the certificate of broker ${broker} is for another name: ${message}`,
      {
        ...options,
        hint: 'connect by a name that the certificate holds, or set "property.ssl.endpoint.identification.algorithm" = "none"',
      },
    );
  }
  if (tlsCodes.has(code) || code.startsWith('ERR_SSL_') || code.startsWith('ERR_OSSL_')) {
    return new LoadError('KAFKA_TLS', `TLS with broker ${broker} failed: ${message}`, {
      ...options,
      hint: 'check property.security.protocol, property.ssl.ca.location and, where the broker asks for one, the client certificate',
    });
  }
  const lost = /closed connection|connection error|not connected|connection closed|timed? ?out/i;
  const refused = name === 'KafkaJSSASLAuthenticationError' && !lost.test(message);
  if (refused || authTypes.has(type)) {
    return new LoadError('KAFKA_AUTH', `broker ${broker} refused the login: ${message}`, {
      ...options,
      hint: 'check property.sasl.mechanism, property.sasl.username and property.sasl.password',
    });
  }
  if (name === 'KafkaJSRequestTimeoutError') {
    return new LoadError('KAFKA_TIMEOUT', `broker ${broker} did not answer in time`, {
      ...options,
      transient: true,
    });
  }
  return new LoadError('KAFKA_UNREACHABLE', `could not talk to broker ${broker}: ${message}`, {
    ...options,
    transient: true,
    hint: lost.test(message)
      ? `is the broker running, and is property.security.protocol (here ${config.security}) what this port expects?`
      : 'is the broker running, and are kafka_broker_list and its advertised.listeners right?',
  });
}

function fieldsOf(error: unknown) {
  const { name, message, code, type } = error as Record<string, unknown>;
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  return {
    name: text(name),
    message: text(message) || String(error),
    code: text(code),
    type: text(type),
  };
}
