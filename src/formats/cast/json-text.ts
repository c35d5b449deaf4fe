/** JSON text as a JSON column shows it (semantics.md 1.1): a blank behind `:` and `,`, keys sorted, numbers as written. */
import { JsonReader, type JsonValue } from '../json-reader.ts';

export function displayed(value: JsonValue): string {
  switch (value.kind) {
    case 'null':
      return 'null';
    case 'boolean':
      return String(value.value);
    case 'number':
      return value.text;
    case 'string':
      return JSON.stringify(value.text);
    case 'array':
      return `[${value.items.map(displayed).join(', ')}]`;
    case 'object': {
      const sorted = [...value.members].sort(([a], [b]) => (a < b ? -1 : 1));
      const members = sorted.map(([key, one]) => `${JSON.stringify(key)}: ${displayed(one)}`);
      return `{${members.join(', ')}}`;
    }
  }
}

/** `undefined`: no JSON. */
export function normalJson(text: string): string | undefined {
  const reader = new JsonReader(text);
  const value = reader.value();
  return value !== undefined && reader.atEnd() ? displayed(value) : undefined;
}
