import { expect, it } from 'vitest';
import { defaultProperties, readJobProperties, readKafkaSource } from './job-properties.ts';

const property = (key: string, value = '1') => ({ key, value, place: { line: 1, column: 1 } });
const defaults = defaultProperties({ timezone: 'UTC', consumeSecond: 15, timeoutSecond: 60 });

it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty', 'color'])(
  'property "%s" is no property of a job',
  (key) => {
    const read = () => readJobProperties(defaults, [property(key)], false);
    expect(read).toThrow(`${key.toLowerCase()} is invalid property`);
  },
);

it('a property of Kafka may have any name', () => {
  const { source } = readKafkaSource(
    [
      property('kafka_broker_list', 'a:1'),
      property('kafka_topic', 't'),
      property('property.__proto__', 'x'),
      property('property.constructor', 'y'),
    ],
    'j',
  );
  expect(Object.entries(source.custom)).toEqual([
    ['__proto__', 'x'],
    ['constructor', 'y'],
    ['group.id', 'j'],
  ]);
});
