import { expect, it } from 'vitest';
import { natsAddress } from './nats-address.ts';

it.each([
  { url: 'nats://h:4222', address: { servers: ['nats://h:4222'] } },
  { url: 'h:4222', address: { servers: ['nats://h:4222'] } },
  { url: 'h1, tls://h2:1/', address: { servers: ['nats://h1', 'tls://h2:1'] } },
  { url: 'nats://[::1]:4222', address: { servers: ['nats://[::1]:4222'] } },
  { url: 'nats://tok@h', address: { servers: ['nats://h'], token: 'tok' } },
  { url: 'nats://u:p:q%40@h', address: { servers: ['nats://h'], user: 'u', pass: 'p:q@' } },
  { url: 'nats://u:a@b@h', address: { servers: ['nats://h'], user: 'u', pass: 'a@b' } },
  { url: 'h1,u:p@h2', address: { servers: ['nats://h1', 'nats://h2'], user: 'u', pass: 'p' } },
])('$url', ({ url, address }) => {
  expect(natsAddress(url)).toEqual(address);
});

it.each([{ url: '' }, { url: 'h1,,h2' }, { url: 'nats://u:%zz@h' }, { url: 'http://h/x' }])(
  'refuses "$url"',
  ({ url }) => {
    expect(() => natsAddress(url)).toThrow(expect.objectContaining({ code: 'NATS_BAD_URL' }));
  },
);
