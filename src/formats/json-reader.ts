/** A strict JSON reader that keeps the text of numbers. The first of two equal keys wins. Depth is bounded. */
export type JsonValue =
  | { readonly kind: 'null' }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'array'; readonly items: readonly JsonValue[] }
  | { readonly kind: 'object'; readonly members: ReadonlyMap<string, JsonValue> };

const DEPTH_MAX = 128;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const STRING = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;

export class JsonReader {
  readonly #text: string;
  #at = 0;
  /** Why the last `value` was none. */
  fault = '';

  constructor(text: string) {
    this.#text = text;
  }

  get position(): number {
    return this.#at;
  }

  atEnd(): boolean {
    this.#blanks();
    return this.#at >= this.#text.length;
  }

  /** Commas between the documents of one message are tolerated. */
  skipComma(): void {
    this.#blanks();
    if (this.#text[this.#at] === ',') this.#at += 1;
  }

  value(depth = 0): JsonValue | undefined {
    if (depth > DEPTH_MAX) return this.#fail(`nested more than ${DEPTH_MAX} deep`);
    this.#blanks();
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"': {
        const text = this.#string();
        return text === undefined ? undefined : { kind: 'string', text };
      }
      case 't':
        return this.#word('true', { kind: 'boolean', value: true });
      case 'f':
        return this.#word('false', { kind: 'boolean', value: false });
      case 'n':
        return this.#word('null', { kind: 'null' });
      default: {
        const text = this.#match(NUMBER);
        if (text === undefined) return this.#fail('a value is expected');
        return { kind: 'number', text };
      }
    }
  }

  #fail(fault: string): undefined {
    this.fault = fault;
    return undefined;
  }

  #blanks(): void {
    for (;;) {
      const c = this.#text.charCodeAt(this.#at);
      if (c !== 32 && c !== 10 && c !== 13 && c !== 9) return;
      this.#at += 1;
    }
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #word(word: string, value: JsonValue): JsonValue | undefined {
    if (!this.#text.startsWith(word, this.#at)) return this.#fail('a value is expected');
    this.#at += word.length;
    return value;
  }

  #string(): string | undefined {
    const raw = this.#match(STRING);
    if (raw === undefined) return this.#fail('a string is damaged or never closed');
    return raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
  }

  #array(depth: number): JsonValue | undefined {
    this.#at += 1;
    const items: JsonValue[] = [];
    this.#blanks();
    if (this.#text[this.#at] === ']') {
      this.#at += 1;
      return { kind: 'array', items };
    }
    for (;;) {
      const item = this.value(depth + 1);
      if (item === undefined) return undefined;
      items.push(item);
      this.#blanks();
      const next = this.#text[this.#at];
      if (next !== ',' && next !== ']') return this.#fail("',' or ']' is expected");
      this.#at += 1;
      if (next === ']') return { kind: 'array', items };
    }
  }

  #object(depth: number): JsonValue | undefined {
    this.#at += 1;
    const members = new Map<string, JsonValue>();
    this.#blanks();
    if (this.#text[this.#at] === '}') {
      this.#at += 1;
      return { kind: 'object', members };
    }
    for (;;) {
      this.#blanks();
      if (this.#text[this.#at] !== '"') return this.#fail('a key in quotes is expected');
      const key = this.#string();
      if (key === undefined) return undefined;
      this.#blanks();
      if (this.#text[this.#at] !== ':') return this.#fail("':' is expected");
      this.#at += 1;
      const value = this.value(depth + 1);
      if (value === undefined) return undefined;
      if (!members.has(key)) members.set(key, value);
      this.#blanks();
      const next = this.#text[this.#at];
      if (next !== ',' && next !== '}') return this.#fail("',' or '}' is expected");
      this.#at += 1;
      if (next === '}') return { kind: 'object', members };
    }
  }
}

/** Without blanks, numbers as written. */
export function minified(value: JsonValue): string {
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
      return `[${value.items.map(minified).join(',')}]`;
    case 'object':
      return `{${[...value.members].map(([key, one]) => `${JSON.stringify(key)}:${minified(one)}`).join(',')}}`;
  }
}
