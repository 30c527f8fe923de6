/**
 * Forms from programs and libraries of the machine: what compilers and people who write assembly
 * use. Executable sections are found by Trapline's own ELF reader and decoded in chunks, spread
 * over the section where it is larger than the limit; a chunk that starts inside an instruction
 * falls into step after a few.
 */

import { readdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { Code, Decoder, DecoderOptions } from "iced-x86";
import { FileSource } from "../../src/session/symbol-files/file-source.ts";
import { readElf } from "../../src/symbols/elf.ts";
import { SHF_EXECINSTR, SHT_NOBITS } from "../../src/symbols/elf-file.ts";
import { type FormSet, keyOf, scratchInstruction } from "./forms.ts";

const CHUNK_BYTES = 1 << 18;

const LIBRARIES = "/usr/lib/x86_64-linux-gnu";
const COMPILERS = "/usr/lib/gcc/x86_64-linux-gnu";

/** What is looked for; what the machine does not have is left out. */
const NAMES: readonly string[] = [
  ...["node", "gdb", "python3", "perl", "bash", "git", "ld", "as", "objdump", "cmake", "vim"],
  ...["sqlite3", "openssl", "curl", "ssh", "strace", "ffmpeg", "qemu-system-x86_64", "emacs"],
].map((name) => `/usr/bin/${name}`);

const LIBRARY_NAMES =
  /^(libc|libm|libstdc\+\+|libcrypto|libssl|libgmp|libsqlite3|libz|libz3|liblzma|libzstd|libx264|libx265|libaom|libSvtAv1Enc|libdav1d|libavcodec|libjpeg|libpng16|libgcrypt|libnettle|libgfortran|libopenblas|libblas|libLLVM-\d+|libisl|libmpfr|libicui18n|libpython3|libperl|libgnutls|libpixman-1|libfftw3|libvpx|libopus|libquadmath|libasan)[-\d.]*\.so[.\d]*$/;

/** The files to harvest, without those that are the same file under another name. */
export function findBinaries(): readonly string[] {
  const found = new Map<string, string>();
  const add = (path: string): void => {
    try {
      const real = realpathSync(path);
      if (!found.has(real)) found.set(real, path);
    } catch {
      // Not on this machine.
    }
  };
  for (const name of ["/lib64/ld-linux-x86-64.so.2", ...NAMES]) add(name);
  for (const name of list(LIBRARIES)) if (LIBRARY_NAMES.test(name)) add(join(LIBRARIES, name));
  for (const version of list(COMPILERS)) {
    for (const name of ["cc1", "cc1plus", "lto1"]) add(join(COMPILERS, version, name));
  }
  return [...found.values()];
}

/** What one file gave. */
export interface Harvest {
  readonly path: string;
  readonly instructionCount: number;
  /** Forms that no file before it had. */
  readonly formCount: number;
}

/** Decode up to `limitBytes` of a file's code into the set; undefined when it is no ELF of ours. */
export function harvest(path: string, into: FormSet, limitBytes: number): Harvest | undefined {
  try {
    using source = new FileSource(path);
    const elf = readElf(source, path);
    let instructionCount = 0;
    const before = into.size;
    const sections = elf.sections.filter(
      (section) => (section.flags & SHF_EXECINSTR) !== 0 && section.type !== SHT_NOBITS,
    );
    const codeBytes = sections.reduce((sum, section) => sum + section.sizeBytes, 0);
    const stride = Math.max(1, codeBytes / limitBytes) * CHUNK_BYTES;
    for (const section of sections) {
      for (let at = 0; at < section.sizeBytes; at += stride) {
        const sizeBytes = Math.min(CHUNK_BYTES, section.sizeBytes - Math.floor(at));
        const bytes = source.read(section.fileOffset + Math.floor(at), sizeBytes);
        instructionCount += harvestChunk(bytes, path, into);
      }
    }
    return { path, instructionCount, formCount: into.size - before };
  } catch {
    return undefined;
  }
}

function harvestChunk(bytes: Uint8Array, source: string, into: FormSet): number {
  const insn = scratchInstruction;
  const decoder = new Decoder(64, bytes, DecoderOptions.None);
  let count = 0;
  try {
    // The last instruction may be cut.
    while (decoder.position < bytes.length - 16) {
      const start = decoder.position;
      decoder.decodeOut(insn);
      const { code } = insn;
      if (code === Code.INVALID) continue;
      count++;
      const key = keyOf(insn, bytes, start);
      if (!into.has(key)) into.add(code, key, bytes.subarray(start, start + insn.length), source);
    }
  } finally {
    decoder.free();
  }
  return count;
}

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
