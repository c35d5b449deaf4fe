/**
 * Cuts a text into its statements at `;` by StarRocks' lexical rules: strings with doubled quotes and backslashes,
 * backquoted names, comments `-- …` and block comments. Pieces of blanks and comments alone are left out.
 * The parser has the last word on what a statement is; this is for the wire's flags and for the client's shell.
 */
export interface SplitText {
  readonly statements: readonly string[];
  /** What stands behind the last `;`, if the text ends within a statement, string or comment. */
  readonly rest: string;
}

// Each alternative takes what must not be looked into, or one character. No two can match at one place.
const TOKEN =
  /'(?:[^'\\]|\\[^])*(?:'|$)|"(?:[^"\\]|\\[^])*(?:"|$)|`[^`]*(?:`|$)|--[^\n]*|\/\*[^]*?(?:\*\/|$)|;|\s+|[^\s;'"`/-]+|[/-]/gu;

export function splitStatements(sql: string): SplitText {
  const statements: string[] = [];
  let start = 0;
  let hasContent = false;
  for (const match of sql.matchAll(TOKEN)) {
    const token = match[0];
    if (token === ';') {
      if (hasContent) statements.push(sql.slice(start, match.index).trim());
      start = match.index + 1;
      hasContent = false;
    } else if (!hasContent) {
      hasContent = !/^(?:\s|--|\/\*)/u.test(token);
    }
  }
  return { statements, rest: hasContent ? sql.slice(start).trim() : '' };
}
