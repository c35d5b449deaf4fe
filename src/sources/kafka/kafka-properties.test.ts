import { describe, expect, it } from 'vitest';
import { LoadError } from '../../base/errors.ts';
import {
  maskProperty,
  parseBrokerList,
  parseOffset,
  parseOffsets,
  parsePartitions,
  readKafkaProperties,
} from './kafka-properties.ts';

const files: Record<string, string> = { 'ca.pem': 'CA', 'c.pem': 'CERT', 'k.pem': 'KEY' };
const resolve = (name: string) => {
  const text = files[name];
  if (text === undefined) throw new LoadError('NO_FILE', `there is no file "${name}"`);
  return text;
};
const read = (properties: Record<string, string>) =>
  readKafkaProperties('a:9092,b:9093', new Map(Object.entries(properties)), resolve);

const plain = {
  brokers: ['a:9092', 'b:9093'],
  clientId: 'millrace',
  security: 'plaintext',
  readCommitted: true,
  checkCrcs: true,
};

describe('readKafkaProperties', () => {
  it.each([
    { name: 'nothing given', properties: {}, config: plain },
    {
      name: 'values without an effect on connections',
      properties: {
        'group.id': 'g',
        kafka_default_offsets: 'OFFSET_BEGINNING',
        kafka_partition_discovery: 'true',
        'enable.auto.commit': 'true',
        'client.id': 'me',
        'isolation.level': 'READ_UNCOMMITTED',
        'check.crcs': 'false',
      },
      config: { ...plain, clientId: 'me', readCommitted: false, checkCrcs: false },
    },
    {
      name: 'TLS with a client certificate',
      properties: {
        'security.protocol': 'SSL',
        'ssl.ca.location': 'FILE:ca.pem',
        'ssl.certificate.location': 'FILE:c.pem',
        'ssl.key.location': 'file:k.pem',
        'ssl.key.password': 'p',
        'ssl.endpoint.identification.algorithm': 'none',
      },
      config: {
        ...plain,
        security: 'ssl',
        ssl: { ca: 'CA', certificate: 'CERT', key: 'KEY', keyPassword: 'p', checkHostName: false },
      },
    },
    {
      name: 'SASL over TLS with the system authorities',
      properties: {
        'security.protocol': 'sasl_ssl',
        'sasl.mechanism': 'scram-sha-512',
        'sasl.username': 'u',
        'sasl.password': 'p',
      },
      config: {
        ...plain,
        security: 'sasl_ssl',
        ssl: { checkHostName: true },
        sasl: { mechanism: 'SCRAM-SHA-512', username: 'u', password: 'p' },
      },
    },
  ])('$name', ({ properties, config }) => {
    expect(read(properties)).toEqual(config);
  });

  it.each([
    { name: 'P1: unknown', properties: { 'ssl.ca.locaton': 'x' }, message: 'ssl.ca.locaton' },
    { name: 'P1: reset', properties: { 'auto.offset.reset': 'latest' }, message: 'never reset' },
    { name: 'nothing behind the dot', properties: { '': 'x' }, message: 'empty string' },
    { name: 'Kerberos', properties: { 'sasl.kerberos.keytab': 'x' }, message: 'PLAIN' },
    {
      name: 'P2: a path',
      properties: { 'ssl.ca.location': '/etc/passwd' },
      message: 'must be FILE:<name>',
    },
    {
      name: 'P2: a path, though TLS is off',
      properties: { 'ssl.key.location': './k.pem' },
      message: 'must be FILE:<name>',
    },
    { name: 'no such file', properties: { 'ssl.ca.location': 'FILE:x' }, message: 'no file "x"' },
    {
      name: 'a key without its certificate',
      properties: { 'security.protocol': 'ssl', 'ssl.key.location': 'FILE:k.pem' },
      message: 'belong together',
    },
    {
      name: 'protocol',
      properties: { 'security.protocol': 'tls' },
      message: 'one of plaintext, ssl, sasl_plaintext, sasl_ssl, not "tls"',
    },
    {
      name: 'mechanism',
      properties: { 'security.protocol': 'sasl_ssl', 'sasl.mechanism': 'GSSAPI' },
      message: 'not "GSSAPI"',
    },
    {
      name: 'no password',
      properties: {
        'security.protocol': 'sasl_ssl',
        'sasl.mechanism': 'PLAIN',
        'sasl.username': 'u',
      },
      message: 'sasl.password is required',
    },
    {
      name: 'SASL forgotten in the protocol',
      properties: { 'security.protocol': 'ssl', 'sasl.username': 'u', 'sasl.password': 'p' },
      message: 'has no effect with property.security.protocol ssl',
    },
  ])('refuses $name', ({ properties, message }) => {
    expect(() => read(properties)).toThrow(message);
  });
});

it.each([
  { text: 'a:9092', brokers: ['a:9092'] },
  { text: ' a:9092, host ', brokers: ['a:9092', 'host'] },
  { text: '[::1]:9092', brokers: ['[::1]:9092'] },
  { text: '', error: 'kafka_broker_list is a required property' },
  { text: 'a:9092,', error: 'kafka_broker_list: not match pattern' },
  { text: 'a:0', error: 'kafka_broker_list:a:0 not match pattern' },
  { text: 'a:99999', error: 'not match pattern' },
  { text: 'http://a:9092', error: 'not match pattern' },
  { text: 'a"b:1', error: 'not match pattern' },
])('brokers "$text"', ({ text, brokers, error }) => {
  if (error === undefined) expect(parseBrokerList(text)).toEqual(brokers);
  else expect(() => parseBrokerList(text)).toThrow(error);
});

it.each([
  { text: 'OFFSET_BEGINNING', offset: 'beginning' },
  { text: ' offset_end ', offset: 'end' },
  { text: '0', offset: 0n },
  { text: '9223372036854775807', offset: 2n ** 63n - 1n },
  { text: '9223372036854775808', error: 'Invalid kafka offset' },
  { text: '-1', error: 'Can not specify offset smaller than 0' },
  { text: '1.5', error: 'Invalid kafka offset' },
  { text: '', error: 'Invalid kafka offset' },
])('offset "$text"', ({ text, offset, error }) => {
  if (error === undefined) expect(parseOffset(text)).toBe(offset);
  else expect(() => parseOffset(text)).toThrow(error);
});

it('lists of partitions and offsets', () => {
  expect(parsePartitions('0, 1,12')).toEqual([0, 1, 12]);
  expect(() => parsePartitions(' ')).toThrow('kafka_partitions could not be a empty string');
  expect(() => parsePartitions('0,x')).toThrow('must be a number string with comma-separated');
  expect(parseOffsets('101,OFFSET_END', 2)).toEqual([101n, 'end']);
  expect(() => parseOffsets('', 1)).toThrow('kafka_offsets could not be a empty string');
  expect(() => parseOffsets('1', 2)).toThrow('Partitions number should be equals to offsets');
});

it('P3: passwords and secrets are masked', () => {
  const shown = ['sasl.password', 'ssl.key.PASSWORD', 'client_secret', 'sasl.username'];
  expect(shown.map((key) => maskProperty(key, 'v'))).toEqual(['******', '******', '******', 'v']);
});
