/**
 * Finds a file's code in the memory of a stub's target: how far it was moved, and whether it is the
 * right file at all. Asked are, in this order: the user, a process's auxiliary vector and its
 * offsets, the address that it was linked for, and what the processors execute just now.
 */

import type { Arch } from "../../arch/arch.ts";
import { type Address, formatAddress, toAddress } from "../../base/address.ts";
import { ToolError } from "../../base/errors.ts";
import {
  type Agreement,
  compareCode,
  findSlideByBanner,
  findSlideByCode,
  isBannerAt,
  type ReadMemory,
} from "../../guest/image-slide.ts";
import { findBanner, findBuildId } from "../../guest/kernel-identity.ts";
import type { GdbMachine } from "../../machine/gdb/machine.ts";
import type { GdbThread } from "../../machine/gdb/thread.ts";
import { findKernelSymbol } from "../../symbols/kernel-symbols.ts";
import type { ImageFile } from "./image-file.ts";
import { letRun } from "./let-run.ts";

export interface FoundImage {
  readonly machine: GdbMachine;
  readonly file: ImageFile;
  /** What is added to the file's addresses to get those in memory. */
  readonly slide: bigint;
  /** Of Linux, as the kernel says it. */
  readonly banner: string | undefined;
  /** What could not be made sure of; undefined when all was. */
  readonly doubt: string | undefined;
}

export interface ImageOptions {
  readonly slide: bigint | undefined;
  readonly timeoutMs: number;
}

/** Looks that are taken at a whole machine at least, as it may be stopped in a user's program. */
const LOOKS_MIN = 40;
const LOOK_MS = 25;
const AT_NULL = 0n;
const AT_PHDR = 3n;
const AT_ENTRY = 9n;
const BANNER_BYTES = 512;
const BUILD_ID_BYTES_MAX = 64n;
/** Of a kernel: what its own tables, or its loader, need. */
const ALIGNMENTS: Readonly<Record<Arch["name"], bigint>> = {
  x86_64: 0x20_0000n,
  arm64: 0x1_0000n,
};

/** @throws ToolError elf.unsupported, file.mismatch, gdb.* */
export function findImage(machine: GdbMachine, file: ImageFile, options: ImageOptions): FoundImage {
  const { arch } = machine;
  if (file.arch !== undefined && file.arch !== arch.name) {
    throw new ToolError(
      "elf.unsupported",
      `${file.path} is for ${file.arch}, and the stub's target is ${arch.name}`,
    );
  }
  requireMemory(machine);
  const deadline = performance.now() + options.timeoutMs;
  const isMachine = machine.space.runsTasks;
  for (let looks = 1; ; looks++) {
    const finder = new ImageFinder(machine, file, options.slide);
    const found = finder.look();
    if (found !== undefined) return found;
    const isEarly = finder.seen === "absent" || looks < LOOKS_MIN;
    const isOver = looks >= LOOKS_MIN && performance.now() >= deadline;
    if (!isMachine || !isEarly || isOver) throw finder.mismatch();
    letRun(machine, LOOK_MS);
  }
}

/** A stub without the packet answers nothing to it, for any address. */
function requireMemory(machine: GdbMachine): void {
  const [thread] = machine.threads;
  const at = (thread?.pc ?? 0n).toString(16);
  const answer = machine.whileStopped((client) => client.connection.ask(`m${at},1`));
  if (answer !== "") return;
  throw new ToolError("gdb.unsupported", "the stub does not give its target's memory (packet m)");
}

class ImageFinder {
  /** What is in memory where the file's code should be. */
  seen: Agreement = "absent";
  private readonly machine: GdbMachine;
  private readonly file: ImageFile;
  private readonly wanted: bigint | undefined;
  private foundBuildId: string | undefined;
  private readonly read: ReadMemory;

  constructor(machine: GdbMachine, file: ImageFile, wanted: bigint | undefined) {
    this.machine = machine;
    this.file = file;
    this.wanted = wanted;
    this.read = (address, target) => machine.space.read(address, target);
  }

  /** As every processor sees memory, in turn: one that runs a user's program sees no kernel. */
  look(): FoundImage | undefined {
    const { client } = this.machine;
    const threads = [...this.machine.threads] as GdbThread[];
    const seers = this.machine.space.runsTasks ? threads : threads.slice(0, 1);
    for (const thread of seers) {
      client.focus = thread.wireId;
      client.prefetched = undefined;
      const found = this.file.code.length > 0 ? this.byCode(thread) : this.bySymbols(thread);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  private byCode(thread: GdbThread): FoundImage | undefined {
    const { file, wanted } = this;
    const told = wanted === undefined ? [...this.askProcess(), 0n] : [wanted];
    for (const slide of told) {
      const seen = compareCode(file.code, slide, this.read);
      if (seen === "same" && this.hasSameBuildId(slide)) return this.found(slide);
      if (seen !== "absent") this.seen = "different";
    }
    if (wanted !== undefined) return undefined;
    const slide = findSlideByCode(file.code, thread.pc, this.read);
    return slide !== undefined && this.hasSameBuildId(slide) ? this.found(slide) : undefined;
  }

  /** The same code may be in two builds, with other data. */
  private hasSameBuildId(slide: bigint): boolean {
    const { notes, buildId } = this.file;
    if (notes === undefined) return true;
    // That in memory may be longer, and so begin a little before or behind.
    const inPage = notes.address % 4096n;
    const before = inPage < BUILD_ID_BYTES_MAX ? inPage : BUILD_ID_BYTES_MAX;
    const bytes = new Uint8Array(notes.sizeBytes + 2 * Number(BUILD_ID_BYTES_MAX));
    if (!this.read(toAddress(notes.address + slide - before), bytes)) return true;
    const found = findBuildId(bytes);
    if (found === undefined || found === buildId) return true;
    this.seen = "different";
    this.foundBuildId = found;
    return false;
  }

  private bySymbols(thread: GdbThread): FoundImage | undefined {
    const { file, wanted } = this;
    const banner = this.findLinked("linux_banner");
    if (banner === undefined) return this.unproved(wanted ?? 0n);
    for (const slide of wanted === undefined ? [0n] : [wanted]) {
      if (isBannerAt(toAddress(banner + slide), this.read)) return this.found(slide);
    }
    if (wanted !== undefined || thread.pc >> 63n !== 1n) return undefined;
    const [code] = file.parts;
    if (code === undefined) return undefined;
    const start = toAddress(file.base + BigInt(code.offset));
    const range = {
      start,
      end: toAddress(start + BigInt(code.sizeBytes)),
      alignmentBytes: ALIGNMENTS[this.machine.arch.name],
    };
    const slide = findSlideByBanner(banner, range, thread.pc, this.read);
    return slide === undefined ? undefined : this.found(slide);
  }

  /** A list of symbols without anything that could be held against memory. */
  private unproved(slide: bigint): FoundImage | undefined {
    const [code] = this.file.parts;
    const start = toAddress(this.file.base + slide + BigInt(code?.offset ?? 0));
    if (!this.read(start, new Uint8Array(1))) return undefined;
    const doubt = `nothing in ${this.file.path} shows whether it belongs to what runs at ${formatAddress(start)}`;
    return { ...this.found(slide), doubt };
  }

  private found(slide: bigint): FoundImage {
    return {
      machine: this.machine,
      file: this.file,
      slide,
      banner: this.readBanner(slide),
      doubt: undefined,
    };
  }

  private readBanner(slide: bigint): string | undefined {
    const at = this.findLinked("linux_banner");
    if (at === undefined) return undefined;
    const bytes = new Uint8Array(BANNER_BYTES);
    return this.read(toAddress(at + slide), bytes) ? findBanner(bytes) : undefined;
  }

  private findLinked(name: string): Address | undefined {
    const { symbols } = this.file;
    return symbols === undefined ? undefined : findKernelSymbol(symbols, name)?.address;
  }

  /** What a process's stub says of where the program was put. */
  private askProcess(): readonly bigint[] {
    const { client } = this.machine;
    const { elf } = this.file;
    if (elf === undefined || !client.abilities.servesProcess) return [];
    const slides: bigint[] = [];
    if (client.abilities.hasAuxiliaryVector) {
      const vector = parseAuxiliaryVector(client.readDocument("auxv", ""));
      const entry = vector.get(AT_ENTRY);
      const headers = vector.get(AT_PHDR);
      if (entry !== undefined) slides.push(BigInt.asIntN(64, entry - BigInt(elf.entry)));
      if (headers !== undefined && headers % 4096n === 64n) {
        // The headers follow the file's, which is at the start of the image.
        slides.push(BigInt.asIntN(64, headers - 64n - BigInt(this.file.parts[0]?.offset ?? 0)));
      }
    }
    const offsets = /^Text=([0-9a-f]+)/.exec(client.connection.ask("qOffsets"))?.[1];
    if (offsets !== undefined) slides.push(BigInt(`0x${offsets}`));
    return [...new Set(slides)];
  }

  mismatch(): ToolError {
    const { file, foundBuildId, wanted } = this;
    const slide = wanted ?? 0n;
    const [piece] = file.code;
    const at = toAddress((piece?.address ?? file.base) + slide);
    if (foundBuildId !== undefined) return otherBuild(file, foundBuildId);
    const builds = file.buildId === undefined ? "" : ` (build-id of the file: ${file.buildId})`;
    if (this.seen === "different") {
      return new ToolError(
        "file.mismatch",
        `${file.path} is not the file of what runs behind the stub${builds}`,
        { details: { path: file.path, buildId: file.buildId } },
      );
    }
    return new ToolError(
      "file.mismatch",
      `the code of ${file.path} is not in memory at ${formatAddress(at)}, nor where the target was stopped${builds}`,
      {
        details: { path: file.path, buildId: file.buildId },
        hint: "it may not be loaded yet; if it is known how far it was moved, say so (slide)",
      },
    );
  }
}

/** A file of another build than that which runs. */
export function otherBuild({ path, buildId }: ImageFile, foundBuildId: string): ToolError {
  return new ToolError(
    "file.mismatch",
    `${path} is not the file of what runs behind the stub: its build-id is ${buildId}, and that in memory ${foundBuildId}`,
    { details: { path, buildId, foundBuildId } },
  );
}

/** Pairs of words, tag and value. */
function parseAuxiliaryVector(text: string): ReadonlyMap<bigint, bigint> {
  const bytes = Buffer.from(text, "latin1");
  const values = new Map<bigint, bigint>();
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    const tag = bytes.readBigUInt64LE(at);
    if (tag === AT_NULL) break;
    values.set(tag, bytes.readBigUInt64LE(at + 8));
  }
  return values;
}
