/**
 * Writes archives that the Linux kernel unpacks as its initial RAM disk: cpio in the "newc" format.
 * Names, sizes and numbers are 8 hexadecimal digits each; header with name, and contents, are
 * padded to 4 bytes.
 *
 *   070701 ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check   NAME NUL
 *
 * Facts: Linux documentation, "initramfs buffer format".
 */

export type ArchiveEntry =
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "program"; readonly path: string; readonly bytes: Uint8Array }
  | {
      readonly kind: "characterDevice";
      readonly path: string;
      readonly major: number;
      readonly minor: number;
    };

const MODES = { folder: 0o040755, program: 0o100755, characterDevice: 0o020600 } as const;

/** The archive. Paths are relative to the root, a folder comes before what lies in it. */
export function makeCpio(entries: readonly ArchiveEntry[]): Uint8Array {
  const records = entries.map((entry, index) => {
    const bytes = entry.kind === "program" ? entry.bytes : new Uint8Array();
    const device = entry.kind === "characterDevice" ? entry : { major: 0, minor: 0 };
    return makeRecord(entry.path, index + 1, MODES[entry.kind], bytes, device);
  });
  return Buffer.concat([
    ...records,
    makeRecord("TRAILER!!!", 0, 0, new Uint8Array(), { major: 0, minor: 0 }),
  ]);
}

function makeRecord(
  path: string,
  inode: number,
  mode: number,
  bytes: Uint8Array,
  device: { readonly major: number; readonly minor: number },
): Uint8Array {
  const nameSizeBytes = Buffer.byteLength(path) + 1;
  const numbers = [
    inode,
    mode,
    0,
    0,
    1,
    0,
    bytes.length,
    0,
    0,
    device.major,
    device.minor,
    nameSizeBytes,
    0,
  ];
  const digits = numbers.map((value) => value.toString(16).padStart(8, "0")).join("");
  const header = pad(Buffer.from(`070701${digits}${path}\0`));
  return Buffer.concat([header, pad(bytes)]);
}

function pad(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
