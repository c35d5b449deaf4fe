/**
 * What users write behind `FROM KAFKA`: the list of brokers, offsets, and `property.*` with an allow-list.
 *
 *   P1. A key that is not on the list is refused by name: a misspelled security setting must not be ignored.
 *   P2. No property opens a file of this machine: certificates come from CREATE FILE, as `FILE:name`.
 *   P3. What is shown never holds a password.
 */
import { LoadError } from '../../base/errors.ts';
import { parseAddress } from './broker-errors.ts';
import type { KafkaConfig, SecurityProtocol } from './kafka.types.ts';

/** What each key must be; none: it is read elsewhere. */
const protocols = ['plaintext', 'ssl', 'sasl_plaintext', 'sasl_ssl'] as const;
const mechanisms = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;

const effective = [
  'check.crcs',
  'client.id',
  'group.id',
  'isolation.level',
  'kafka_default_offsets',
  'kafka_partition_discovery',
  'sasl.mechanism',
  'sasl.mechanisms',
  'sasl.password',
  'sasl.username',
  'security.protocol',
  'ssl.ca.location',
  'ssl.certificate.location',
  'ssl.endpoint.identification.algorithm',
  'ssl.key.location',
  'ssl.key.password',
] as const;

/** Well known, and without an effect on what is loaded: the runtime decides these by itself. */
const harmless = [
  'api.version.request',
  'broker.address.family',
  'client.rack',
  'enable.auto.commit',
  'enable.auto.offset.store',
  'enable.partition.eof',
  'fetch.error.backoff.ms',
  'fetch.max.bytes',
  'fetch.message.max.bytes',
  'fetch.min.bytes',
  'fetch.wait.max.ms',
  'heartbeat.interval.ms',
  'log.connection.close',
  'max.partition.fetch.bytes',
  'max.poll.interval.ms',
  'metadata.max.age.ms',
  'queued.max.messages.kbytes',
  'queued.min.messages',
  'receive.message.max.bytes',
  'reconnect.backoff.max.ms',
  'reconnect.backoff.ms',
  'session.timeout.ms',
  'socket.keepalive.enable',
  'socket.nagle.disable',
  'socket.receive.buffer.bytes',
  'socket.send.buffer.bytes',
  'socket.timeout.ms',
  'statistics.interval.ms',
  'topic.metadata.refresh.interval.ms',
] as const;

export const kafkaPropertyKeys: readonly string[] = effective;
const known: ReadonlySet<string> = new Set([...effective, ...harmless]);

/**
 * `properties`: keys without `property.`. `resolveFile` gets the name behind `FILE:` and gives the file's text,
 * or throws. Throws LoadErrors that name the key.
 */
export function readKafkaProperties(
  brokerList: string,
  properties: ReadonlyMap<string, string>,
  resolveFile: (name: string) => string,
): KafkaConfig {
  for (const key of properties.keys()) if (!known.has(key)) throw unknownKey(key);
  const brokers = parseBrokerList(brokerList);
  const security = oneOf(properties, 'security.protocol', protocols, 'plaintext');
  const ssl = readSsl(security, properties, resolveFile);
  const sasl = readSasl(security, properties);
  return {
    brokers,
    clientId: properties.get('client.id') ?? 'millrace',
    security,
    readCommitted:
      oneOf(
        properties,
        'isolation.level',
        ['read_committed', 'read_uncommitted'],
        'read_committed',
      ) === 'read_committed',
    checkCrcs: oneOf(properties, 'check.crcs', ['true', 'false'], 'true') === 'true',
    ...(ssl === undefined ? {} : { ssl }),
    ...(sasl === undefined ? {} : { sasl }),
  };
}

const endpointPattern = '[-A-Za-z0-9+&@#/%?=~_|!:,.;]+[-A-Za-z0-9+&@#/%=~_|]';
const endpoint = new RegExp(`^${endpointPattern}$`);

/** Each at least matches the documents' pattern; a port that is none is refused too. */
export function parseBrokerList(text: string): readonly string[] {
  const brokers = text.replaceAll(/\s/g, '').split(',');
  if (brokers.every((broker) => broker === '')) {
    throw invalid('kafka_broker_list', 'kafka_broker_list is a required property');
  }
  for (const broker of brokers) {
    const { host, port } = parseAddress(broker);
    // The pattern does not know brackets, which IPv6 needs.
    const matches = endpoint.test(broker) || /^\[[0-9a-fA-F:.]+\](:\d+)?$/.test(broker);
    if (!matches || host === '' || host.includes('/') || port < 1 || port > 65535) {
      throw invalid(
        'kafka_broker_list',
        `kafka_broker_list:${broker} not match pattern ${endpointPattern}`,
      );
    }
  }
  return brokers;
}

/** Where a partition begins. */
export type OffsetStart = 'beginning' | 'end' | bigint;

export function parseOffset(text: string): OffsetStart {
  const value = text.trim();
  if (/^offset_beginning$/i.test(value)) return 'beginning';
  if (/^offset_end$/i.test(value)) return 'end';
  if (/^-\d+$/.test(value)) {
    throw invalid('kafka_offsets', 'Can not specify offset smaller than 0');
  }
  const offset = /^\d{1,19}$/.test(value) ? BigInt(value) : null;
  if (offset === null || offset >= 2n ** 63n) {
    throw invalid('kafka_offsets', `Invalid kafka offset: ${text} is not an integer`, {
      hint: 'an offset is OFFSET_BEGINNING, OFFSET_END or a number from 0',
    });
  }
  return offset;
}

/** `kafka_partitions`: as written, without those repeated. */
export function parsePartitions(text: string): readonly number[] {
  if (text.trim() === '') {
    throw invalid('kafka_partitions', 'kafka_partitions could not be a empty string');
  }
  return text.split(',').map((part) => {
    const value = part.trim();
    if (!/^\d{1,9}$/.test(value)) {
      throw invalid(
        'kafka_partitions',
        'kafka_partitions must be a number string with comma-separated',
      );
    }
    return Number(value);
  });
}

/** `kafka_offsets`: one for each of so many partitions. */
export function parseOffsets(text: string, partitions: number): readonly OffsetStart[] {
  if (text.trim() === '') {
    throw invalid('kafka_offsets', 'kafka_offsets could not be a empty string');
  }
  const offsets = text.split(',').map(parseOffset);
  if (offsets.length !== partitions) {
    throw invalid('kafka_offsets', 'Partitions number should be equals to offsets number');
  }
  return offsets;
}

/** For SHOW (P3). */
export function maskProperty(key: string, value: string): string {
  return /password|secret/i.test(key) ? '******' : value;
}

function readSsl(
  security: SecurityProtocol,
  properties: ReadonlyMap<string, string>,
  resolveFile: (name: string) => string,
): KafkaConfig['ssl'] {
  // Read in any case, so that a wrong one is refused where it is written.
  const ca = fileOf('ssl.ca.location', properties, resolveFile);
  const certificate = fileOf('ssl.certificate.location', properties, resolveFile);
  const key = fileOf('ssl.key.location', properties, resolveFile);
  const keyPassword = properties.get('ssl.key.password');
  const algorithm = oneOf(
    properties,
    'ssl.endpoint.identification.algorithm',
    ['https', 'none', ''],
    'https',
  );
  if (security !== 'ssl' && security !== 'sasl_ssl') return undefined;
  if ((certificate === undefined) !== (key === undefined)) {
    throw invalid(
      certificate === undefined ? 'ssl.certificate.location' : 'ssl.key.location',
      'property.ssl.certificate.location and property.ssl.key.location belong together',
    );
  }
  return {
    checkHostName: algorithm === 'https',
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(key === undefined ? {} : { key }),
    ...(keyPassword === undefined ? {} : { keyPassword }),
  };
}

function readSasl(
  security: SecurityProtocol,
  properties: ReadonlyMap<string, string>,
): KafkaConfig['sasl'] {
  const key = properties.has('sasl.mechanism') ? 'sasl.mechanism' : 'sasl.mechanisms';
  const mechanism = properties.has(key) ? oneOf(properties, key, mechanisms, 'PLAIN') : undefined;
  const username = properties.get('sasl.username');
  const password = properties.get('sasl.password');
  if (security !== 'sasl_plaintext' && security !== 'sasl_ssl') {
    if (username === undefined && password === undefined) return undefined;
    throw invalid(
      'security.protocol',
      `property.sasl.* has no effect with property.security.protocol ${security}`,
      { hint: 'set "property.security.protocol" = "sasl_plaintext" or "sasl_ssl"' },
    );
  }
  // The client library's own default is Kerberos, which is not supported: better said than tried.
  if (mechanism === undefined) throw required('sasl.mechanism', security);
  if (username === undefined) throw required('sasl.username', security);
  if (password === undefined) throw required('sasl.password', security);
  return { mechanism, username, password };
}

function fileOf(
  key: string,
  properties: ReadonlyMap<string, string>,
  resolveFile: (name: string) => string,
): string | undefined {
  const value = properties.get(key);
  if (value === undefined) return undefined;
  const name = /^FILE:(.+)$/i.exec(value.trim())?.[1];
  if (name === undefined) {
    throw invalid(key, `property.${key} must be FILE:<name>, not a path`, {
      hint: 'upload the file with CREATE FILE "<name>" PROPERTIES ("catalog" = "kafka", "url" = …) first',
    });
  }
  return resolveFile(name);
}

/** Case does not matter, as in Kafka's clients. */
function oneOf<const T extends string>(
  properties: ReadonlyMap<string, string>,
  key: string,
  allowed: readonly T[],
  byDefault: NoInfer<T>,
): T {
  const value = properties.get(key);
  if (value === undefined) return byDefault;
  const found = allowed.find((one) => one.toLowerCase() === value.trim().toLowerCase());
  if (found !== undefined) return found;
  const list = allowed.filter((one) => one !== '').join(', ');
  throw invalid(key, `property.${key} must be one of ${list}, not "${maskProperty(key, value)}"`);
}

function unknownKey(key: string): LoadError {
  if (key === '') {
    return invalid('property.', 'kafka property value could not be a empty string');
  }
  if (key === 'auto.offset.reset') {
    return invalid(key, 'property.auto.offset.reset is not supported: an offset is never reset', {
      hint: 'set "property.kafka_default_offsets" for partitions without an offset',
    });
  }
  if (key.startsWith('sasl.kerberos.') || key.startsWith('sasl.oauthbearer.')) {
    return invalid(
      key,
      `property.${key} is not supported: the mechanisms are ${mechanisms.join(', ')}`,
    );
  }
  return invalid(key, `property.${key} is not a known kafka property`, {
    hint: `these have an effect: ${effective.join(', ')}`,
  });
}

function required(key: string, security: string): LoadError {
  return invalid(key, `property.${key} is required with property.security.protocol ${security}`);
}

function invalid(key: string, message: string, options: { hint?: string } = {}): LoadError {
  return new LoadError('KAFKA_PROPERTY', message, { ...options, details: { key } });
}
