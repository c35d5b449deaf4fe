/**
 * SQL text to tokens, one at a time, so that a statement of the longest allowed size costs no more memory
 * than its tree (L1). Every character is looked at a bounded number of times (L2).
 */
import { LoadError } from '../base/errors.ts';
import { syntaxError } from './syntax-error.ts';

/** Characters of one COM_QUERY; the statement stays in memory while it is parsed. */
export const STATEMENT_LENGTH_MAX = 16 * 1024 * 1024;

export type TokenKind = 'word' | 'quoted' | 'string' | 'number' | 'operator' | 'parameter' | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** word, quoted: the name; string: what it stands for; number, operator: as written. */
  readonly value: string;
  /** Upper case for words, the operator itself for operators, else empty: what keywords are compared with. */
  readonly upper: string;
  readonly start: number;
  readonly end: number;
  readonly line: number;
  readonly column: number;
}

const OPERATORS_3 = new Set(['<=>', '->>', '...']);
const OPERATORS_2 = new Set(['<>', '!=', '<=', '>=', '&&', '||', '->', '@@', ':=']);
const OPERATORS_1 = new Set('=<>+-*/%&|^~!.,;()@[]{}:'.split(''));

const isDigit = (c: number): boolean => c >= 48 && c <= 57;
/** Letters, `_`, `$` and everything from U+0080 on but the blanks. */
const isNameStart = (c: number): boolean =>
  (c >= 97 && c <= 122) ||
  (c >= 65 && c <= 90) ||
  c === 95 ||
  c === 36 ||
  (c >= 128 && c !== 0x3000 && c !== 0xfeff);
const isName = (c: number): boolean => isNameStart(c) || isDigit(c);
const isHex = (c: number): boolean => isDigit(c) || (c >= 97 && c <= 102) || (c >= 65 && c <= 70);

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  b: '\b',
  '0': '\0',
  Z: '\x1a',
  // Kept for LIKE, which resolves them itself.
  '%': '\\%',
  _: '\\_',
};

export class Lexer {
  readonly sql: string;
  #at = 0;
  #line = 1;
  #lineStart = 0;
  /** Where the last word or quoted name ended: a dot there qualifies, it is no number. */
  #nameEnd = -1;

  constructor(sql: string) {
    if (sql.length > STATEMENT_LENGTH_MAX) {
      throw new LoadError('SQL_TOO_LONG', 'the statement is too long', {
        details: { length: sql.length, lengthMax: STATEMENT_LENGTH_MAX },
        hint: 'split it into several statements',
      });
    }
    this.sql = sql;
  }

  next(): Token {
    this.#skipBlanks();
    const { sql } = this;
    const start = this.#at;
    if (start >= sql.length) return this.#token('end', start, '', '');
    const c = sql.charCodeAt(start);
    if (c === 39 || c === 34) return this.#string(start, c);
    if (c === 96) return this.#quotedName(start);
    if ((c === 120 || c === 88) && sql.charCodeAt(start + 1) === 39) return this.#binary(start);
    if ((c === 120 || c === 88) && sql.charCodeAt(start + 1) === 34) return this.#binary(start);
    if (isNameStart(c)) return this.#word(start);
    if (isDigit(c)) return this.#number(start);
    if (c === 46 && isDigit(sql.charCodeAt(start + 1)) && this.#nameEnd !== start) {
      return this.#number(start);
    }
    return this.#operator(start);
  }

  #token(kind: TokenKind, start: number, value: string, upper: string): Token {
    const { line, column } = this.#place(start);
    if (kind === 'word' || kind === 'quoted') this.#nameEnd = this.#at;
    return { kind, value, upper, start, end: this.#at, line, column };
  }

  #place(at: number): { line: number; column: number } {
    return { line: this.#line, column: at - this.#lineStart + 1 };
  }

  #fail(at: number, found: string, expected: readonly string[], hint?: string): never {
    throw syntaxError({ ...this.#place(at), found, expected }, hint);
  }

  #skipBlanks(): void {
    const { sql } = this;
    for (;;) {
      const c = sql.charCodeAt(this.#at);
      if (c === 10) {
        this.#at++;
        this.#line++;
        this.#lineStart = this.#at;
      } else if (c === 32 || c === 9 || c === 13 || c === 0x3000 || c === 0xfeff) {
        this.#at++;
      } else if (c === 45 && sql.charCodeAt(this.#at + 1) === 45) {
        const end = sql.indexOf('\n', this.#at);
        this.#at = end === -1 ? sql.length : end;
      } else if (c === 47 && sql.charCodeAt(this.#at + 1) === 42) {
        const end = sql.indexOf('*/', this.#at + 2);
        if (end === -1) this.#fail(this.#at, '/*', ["'*/'"], 'the comment is never closed');
        this.#advance(end + 2);
      } else return;
    }
  }

  /** Moves over text that may hold line ends. */
  #advance(end: number): void {
    for (;;) {
      const newline = this.sql.indexOf('\n', this.#at);
      if (newline === -1 || newline >= end) break;
      this.#at = newline + 1;
      this.#line++;
      this.#lineStart = this.#at;
    }
    this.#at = end;
  }

  #string(start: number, quote: number): Token {
    const { sql } = this;
    const parts: string[] = [];
    let from = start + 1;
    let at = from;
    for (;;) {
      if (at >= sql.length) {
        const found = quote === 39 ? "'" : '"';
        this.#fail(start, found, [`a closing ${found}`], 'the string is never closed');
      }
      const c = sql.charCodeAt(at);
      if (c === 92 && at + 1 < sql.length) {
        const escaped = sql[at + 1] ?? '';
        parts.push(sql.slice(from, at), ESCAPES[escaped] ?? escaped);
        at += 2;
        from = at;
      } else if (c === quote) {
        if (sql.charCodeAt(at + 1) !== quote) break;
        parts.push(sql.slice(from, at + 1));
        at += 2;
        from = at;
      } else at++;
    }
    parts.push(sql.slice(from, at));
    return this.#spanning('string', start, at + 1, parts.length === 1 ? parts[0]! : parts.join(''));
  }

  #quotedName(start: number): Token {
    const { sql } = this;
    let at = start + 1;
    for (;;) {
      at = sql.indexOf('`', at);
      if (at === -1) this.#fail(start, '`', ['a closing `'], 'the name is never closed');
      if (sql.charCodeAt(at + 1) !== 96) break;
      at += 2;
    }
    const name = sql.slice(start + 1, at).replaceAll('``', '`');
    if (name === '') this.#fail(start, '``', ['a legal identifier']);
    return this.#spanning('quoted', start, at + 1, name);
  }

  /** A token that may hold line ends: its place is that of its first character. */
  #spanning(kind: TokenKind, start: number, end: number, value: string): Token {
    const { line, column } = this.#place(start);
    this.#advance(end);
    if (kind === 'quoted') this.#nameEnd = end;
    return { kind, value, upper: '', start, end, line, column };
  }

  /** x'4D': the text that the bytes stand for. */
  #binary(start: number): Token {
    const { sql } = this;
    const quote = sql.charCodeAt(start + 1);
    let at = start + 2;
    while (isHex(sql.charCodeAt(at))) at++;
    const digits = at - start - 2;
    if (sql.charCodeAt(at) !== quote || digits % 2 !== 0) {
      const found = sql.slice(start, Math.min(at + 1, start + 64));
      this.#fail(start, found, ['an even number of hex digits in quotes']);
    }
    const bytes = Buffer.from(sql.slice(start + 2, at), 'hex');
    const text = bytes.toString('utf8');
    if (!Buffer.from(text, 'utf8').equals(bytes)) {
      this.#fail(start, sql.slice(start, Math.min(at + 1, start + 64)), ['bytes of UTF-8']);
    }
    this.#at = at + 1;
    return this.#token('string', start, text, '');
  }

  #word(start: number): Token {
    const { sql } = this;
    let at = start + 1;
    while (isName(sql.charCodeAt(at))) at++;
    this.#at = at;
    const text = sql.slice(start, at);
    return this.#token('word', start, text, text.toUpperCase());
  }

  #number(start: number): Token {
    const { sql } = this;
    let at = start;
    while (isDigit(sql.charCodeAt(at))) at++;
    const whole = at;
    if (sql.charCodeAt(at) === 46) {
      at++;
      while (isDigit(sql.charCodeAt(at))) at++;
    }
    const e = sql.charCodeAt(at);
    if (e === 101 || e === 69) {
      const sign = sql.charCodeAt(at + 1);
      let digits = sign === 43 || sign === 45 ? at + 2 : at + 1;
      if (isDigit(sql.charCodeAt(digits))) {
        while (isDigit(sql.charCodeAt(digits))) digits++;
        // `1e3x` is a name, `1e3` a number.
        if (!isNameStart(sql.charCodeAt(digits))) at = digits;
      }
    }
    // Names may start with digits: `1abc`.
    if (at === whole && isNameStart(sql.charCodeAt(at))) return this.#word(start);
    this.#at = at;
    return this.#token('number', start, sql.slice(start, at), '');
  }

  #operator(start: number): Token {
    const { sql } = this;
    const three = sql.slice(start, start + 3);
    const two = three.slice(0, 2);
    const one = three.slice(0, 1);
    if (one === '?') {
      this.#at = start + 1;
      return this.#token('parameter', start, '?', '?');
    }
    const operator = OPERATORS_3.has(three)
      ? three
      : OPERATORS_2.has(two)
        ? two
        : OPERATORS_1.has(one)
          ? one
          : undefined;
    if (operator === undefined) {
      const hint =
        one === '#'
          ? 'comments start with -- or /*'
          : one === '\\'
            ? '\\G and \\g belong to the mysql client; end the statement with ;'
            : undefined;
      this.#fail(start, one, ['a statement', 'an expression'], hint);
    }
    this.#at = start + operator.length;
    return this.#token('operator', start, operator, operator);
  }
}
