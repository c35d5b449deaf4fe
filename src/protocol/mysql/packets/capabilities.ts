/** Capability and status flags of the protocol, as far as millrace knows them. */
export const CLIENT = {
  LONG_PASSWORD: 0x1,
  FOUND_ROWS: 0x2,
  LONG_FLAG: 0x4,
  CONNECT_WITH_DB: 0x8,
  COMPRESS: 0x20,
  LOCAL_FILES: 0x80,
  PROTOCOL_41: 0x200,
  SSL: 0x800,
  SECURE_CONNECTION: 0x8000,
  MULTI_STATEMENTS: 0x1_0000,
  MULTI_RESULTS: 0x2_0000,
  PS_MULTI_RESULTS: 0x4_0000,
  PLUGIN_AUTH: 0x8_0000,
  CONNECT_ATTRS: 0x10_0000,
  PLUGIN_AUTH_LENENC_DATA: 0x20_0000,
  SESSION_TRACK: 0x80_0000,
  DEPRECATE_EOF: 0x100_0000,
} as const;

/**
 * What the server offers. LONG_PASSWORD tells MariaDB's clients that the reserved bytes hold no flags of theirs.
 * SESSION_TRACK changes nothing but the form of OK's info, which clients without it read in two different ways.
 * LOCAL_FILES and SSL are never among them.
 */
export const SERVER_CAPABILITIES =
  CLIENT.LONG_PASSWORD |
  CLIENT.FOUND_ROWS |
  CLIENT.LONG_FLAG |
  CLIENT.CONNECT_WITH_DB |
  CLIENT.PROTOCOL_41 |
  CLIENT.SECURE_CONNECTION |
  CLIENT.MULTI_STATEMENTS |
  CLIENT.MULTI_RESULTS |
  CLIENT.PS_MULTI_RESULTS |
  CLIENT.PLUGIN_AUTH |
  CLIENT.CONNECT_ATTRS |
  CLIENT.PLUGIN_AUTH_LENENC_DATA |
  CLIENT.SESSION_TRACK |
  CLIENT.DEPRECATE_EOF;

export const STATUS = { AUTOCOMMIT: 0x2, MORE_RESULTS: 0x8 } as const;

export const NATIVE_PASSWORD = 'mysql_native_password';
export const CACHING_SHA2 = 'caching_sha2_password';

/** utf8_general_ci, utf8mb4_general_ci and binary. */
export const CHARSET_UTF8 = 33;
export const CHARSET_UTF8MB4 = 45;
export const CHARSET_BINARY = 63;

export const COM = {
  QUIT: 0x01,
  INIT_DB: 0x02,
  QUERY: 0x03,
  FIELD_LIST: 0x04,
  STATISTICS: 0x09,
  PROCESS_KILL: 0x0c,
  PING: 0x0e,
  CHANGE_USER: 0x11,
  STMT_PREPARE: 0x16,
  STMT_EXECUTE: 0x17,
  STMT_SEND_LONG_DATA: 0x18,
  STMT_CLOSE: 0x19,
  STMT_RESET: 0x1a,
  SET_OPTION: 0x1b,
  RESET_CONNECTION: 0x1f,
} as const;

/**
 * The charset that text columns are announced in. StarRocks always says utf8, which some clients (mysql2) take at its
 * word and destroy every character of four bytes; a client that logged in with utf8mb4 is told utf8mb4.
 */
export function textCharset(clientCharset: number): number {
  const isMb4 =
    clientCharset === 45 ||
    clientCharset === 46 ||
    (clientCharset >= 224 && clientCharset <= 247) ||
    clientCharset >= 255;
  return isMb4 ? CHARSET_UTF8MB4 : CHARSET_UTF8;
}
