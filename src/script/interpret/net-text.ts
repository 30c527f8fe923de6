/** Addresses of networks as text (RFC 5952 for IPv6), and back. */

const AF_INET6 = 10n;

/** 4 bytes as IPv4 and 16 as IPv6; where a family is given it decides. */
export function formatIp(bytes: Uint8Array, family: bigint | undefined): string {
  const isV6 = family === undefined ? bytes.length === 16 : family === AF_INET6;
  if (!isV6) return Array.from({ length: 4 }, (_, index) => bytes[index] ?? 0).join(".");
  const groups = Array.from(
    { length: 8 },
    (_, index) => ((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0),
  );
  if (hasV4Tail(groups)) {
    const prefix = groups[5] === 0xffff ? "::ffff:" : "::";
    return prefix + Array.from(bytes.subarray(12, 16)).join(".");
  }
  const { start, count } = longestZeros(groups);
  const hex = groups.map((group) => group.toString(16));
  if (count < 2) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + count).join(":")}`;
}

/** As inet_ntop shows addresses that have an IPv4 one inside. */
function hasV4Tail(groups: readonly number[]): boolean {
  if (groups.slice(0, 5).some((group) => group !== 0)) return false;
  if (groups[5] === 0xffff) return true;
  return groups[5] === 0 && groups[6] !== 0;
}

function longestZeros(groups: readonly number[]): { start: number; count: number } {
  let best = { start: 0, count: 0 };
  let start = 0;
  groups.forEach((group, index) => {
    if (group !== 0) start = index + 1;
    else if (index + 1 - start > best.count) best = { start, count: index + 1 - start };
  });
  return best;
}

export function formatMac(bytes: Uint8Array): string {
  return Array.from({ length: 6 }, (_, index) =>
    (bytes[index] ?? 0).toString(16).toUpperCase().padStart(2, "0"),
  ).join(":");
}

/** undefined for what is no address. */
export function parseIp(text: string): Uint8Array | undefined {
  return text.includes(":") ? parseV6(text) : parseV4(text);
}

function parseV4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  const isGood = parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part));
  const numbers = parts.map(Number);
  return isGood && numbers.every((one) => one < 256) ? Uint8Array.from(numbers) : undefined;
}

function parseV6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map(parseGroups);
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const missing = 16 - head.length - (tail?.length ?? 0);
  const isGood = halves.length === 1 ? missing === 0 : missing >= 2;
  if (!isGood) return undefined;
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...(tail ?? [])]);
}

/** Bytes of groups between colons, the last of them perhaps an IPv4 address. */
function parseGroups(text: string): number[] | undefined {
  if (text === "") return [];
  const bytes: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    const v4 = index === parts.length - 1 && part.includes(".") ? parseV4(part) : undefined;
    if (v4 !== undefined) bytes.push(...v4);
    else if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
    else bytes.push(Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 0xff);
  }
  return bytes;
}
