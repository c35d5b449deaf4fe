/** The user and password of an `Authorization: Basic` header; both may be empty. `undefined`: none, or not Basic. */
export function parseBasicAuth(
  header: string | readonly string[] | undefined,
): { readonly user: string; readonly password: string } | undefined {
  if (typeof header !== 'string') return undefined;
  const token = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(header)?.[1];
  if (token === undefined) return undefined;
  const text = Buffer.from(token, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  // Without a colon there is no password; a password may hold colons itself.
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
