/** A strict JSON reader that keeps the text of numbers. The first of two equal keys wins. Depth is bounded. */
export type JsonValue =
  | { readonly kind: 'null' }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'array'; readonly items: readonly JsonValue[] }
  | { readonly kind: 'object'; readonly members: ReadonlyMap<string, JsonValue> };

const DEPTH_MAX = 128;
const QUOTE = 34;
const BACKSLASH = 92;

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
      default:
        return this.#number();
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

  /** By hand, not by a pattern: patterns run out of stack on texts of some megabytes. */
  #number(): JsonValue | undefined {
    const text = this.#text;
    const start = this.#at;
    let at = text[start] === '-' ? start + 1 : start;
    const digits = (): boolean => {
      const from = at;
      while (isDigit(text.charCodeAt(at))) at += 1;
      return at > from;
    };
    if (text[at] === '0') at += 1;
    else if (!digits()) return this.#fail('a value is expected');
    if (text[at] === '.') {
      at += 1;
      if (!digits()) return this.#fail('a digit is expected behind the point');
    }
    if (text[at] === 'e' || text[at] === 'E') {
      at += text[at + 1] === '+' || text[at + 1] === '-' ? 2 : 1;
      if (!digits()) return this.#fail('a digit is expected in the exponent');
    }
    this.#at = at;
    return { kind: 'number', text: text.slice(start, at) };
  }

  #word(word: string, value: JsonValue): JsonValue | undefined {
    if (!this.#text.startsWith(word, this.#at)) return this.#fail('a value is expected');
    this.#at += word.length;
    return value;
  }

  #string(): string | undefined {
    const text = this.#text;
    const start = this.#at;
    let at = start + 1;
    let escaped = false;
    for (;;) {
      const c = text.charCodeAt(at);
      if (c === QUOTE) break;
      if (Number.isNaN(c)) return this.#fail('a string is never closed');
      if (c < 32) return this.#fail('a control character stands in a string');
      if (c === BACKSLASH) escaped = true;
      at += c === BACKSLASH ? 2 : 1;
    }
    const value = escaped ? unescaped(text.slice(start, at + 1)) : text.slice(start + 1, at);
    if (value === undefined) return this.#fail('a string holds a bad escape');
    this.#at = at + 1;
    return value;
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

const isDigit = (c: number) => c >= 48 && c <= 57;

/** A lone half of a surrogate pair is no text that UTF-8 could hold. */
function unescaped(quoted: string): string | undefined {
  try {
    const text = JSON.parse(quoted) as string;
    return text.isWellFormed() ? text : undefined;
  } catch {
    return undefined;
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
