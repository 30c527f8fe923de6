/**
 * What a session keeps of a target that it knows by a file: the file's names, moved to where the
 * image is, and stacks by the file's unwind tables and frame pointers. There are no tasks: who hits
 * is the stub's thread, a processor of a machine or a thread of a process.
 */

import { type Address, addOffset, toAddress } from "../../base/address.ts";
import type { Inspection, Target } from "../../engine/target.ts";
import type { GdbMachine } from "../../machine/gdb/machine.ts";
import type { GdbThread } from "../../machine/gdb/thread.ts";
import type { Mapping, Thread } from "../../machine/machine.ts";
import type { Btf } from "../../symbols/btf.ts";
import type { CPrototype } from "../../symbols/c-prototype.ts";
import { findPrototype } from "../../symbols/debug-prototype.ts";
import { findPrototype as findLibcPrototype } from "../../symbols/libc-prototypes.ts";
import { moduleMatches } from "../../symbols/where.ts";
import type { GuestInfo, HitThread, ModuleInfo } from "../api.ts";
import { type Location, Locator } from "../locate.ts";
import { findFunctionBounds, type Module, type ModuleFunctions } from "../modules.ts";
import { walkStack } from "../stack-walk.ts";
import { findInstructions, wordReader } from "../target-view.ts";
import type { FoundImage } from "./find-image.ts";
import type { ImageFile } from "./image-file.ts";
import type { StubView } from "./stub-view.ts";

const KERNEL_ALIAS = "kernel";
/** One short of the last byte, as there is no address behind that. */
const LAST = toAddress(-1n);

class ImageModule implements Module {
  readonly name: string;
  readonly path: string;
  readonly start: Address;
  readonly end: Address;
  readonly symbols: ModuleFunctions;
  private readonly file: ImageFile;
  private readonly base: Address;

  constructor(file: ImageFile, slide: bigint) {
    this.file = file;
    this.name = file.name;
    this.path = file.path;
    this.symbols = file.functions;
    this.base = toAddress(file.base + slide);
    const ends = file.parts.map(({ offset, sizeBytes }) => offset + sizeBytes);
    this.start = addOffset(this.base, Math.min(...file.parts.map(({ offset }) => offset)));
    this.end = addOffset(this.base, Math.max(...ends));
  }

  toAddress(offset: number): Address {
    return addOffset(this.base, offset);
  }

  toOffset(address: bigint): number {
    return Number(address - this.base);
  }

  holds(address: bigint): boolean {
    return address >= this.start && address < this.end;
  }

  matches(pattern: string): boolean {
    if (moduleMatches(pattern, this.path, this.name)) return true;
    return !this.file.isProgram && moduleMatches(pattern, KERNEL_ALIAS, undefined);
  }

  info(): ModuleInfo {
    return {
      name: this.name,
      path: this.path,
      base: this.start,
      sizeBytes: Number(this.end - this.start),
      buildId: this.file.buildId,
    };
  }
}

export class ImageView implements StubView {
  readonly id = 0;
  readonly target: Target;
  readonly modules: { readonly all: readonly ImageModule[]; find(at: bigint): Module | undefined };
  readonly locator: Locator;
  readonly types: Btf | undefined;
  readonly info: StubView["info"];
  private readonly machine: GdbMachine;
  private readonly isProcess: boolean;

  constructor(target: Target, found: FoundImage, warn: (message: string) => void) {
    const { machine, file } = found;
    this.target = target;
    this.machine = machine;
    this.isProcess = !machine.space.runsTasks;
    const module = new ImageModule(file, found.slide);
    this.modules = {
      all: [module],
      find: (address) => (module.holds(address) ? module : undefined),
    };
    const types = readTypes(file, warn);
    this.types = types;
    this.info = describe(found, module, types?.count ?? 0);
    const mappings = listMappings(file, module);
    machine.space.provide({ mappings: () => mappings, room: [] });
    target.mappingsChanged();
    target.findFunction = (address) => findFunctionBounds(this.modules, address);
    this.locator = new Locator(
      this.modules,
      wordReader(target),
      () => undefined,
      (start, end) => findInstructions(target, start, end),
    );
  }

  lookAtModules(): readonly Module[] {
    return [];
  }

  inspect(location: Location): Inspection {
    return this.target.inspect(location.address, location.functionStart);
  }

  /** A stack ends where it leaves the file: of code beyond it nothing is known. */
  readStack(thread: Thread, depthMax: number): readonly Address[] {
    const { target, modules } = this;
    const isCode = (address: bigint): boolean => modules.find(address) !== undefined;
    return walkStack({ thread, target, modules, isCode }, depthMax);
  }

  findPrototype(name: string): CPrototype | undefined {
    const found = this.types === undefined ? undefined : findPrototype(this.types, name);
    return found ?? (this.isProcess ? findLibcPrototype(name) : undefined);
  }

  describeThread(thread: Thread): HitThread {
    const { machine, isProcess } = this;
    const { wireId, id } = thread as GdbThread;
    const isQemu = machine.client.abilities.isQemuSystem;
    return {
      id,
      processId: isProcess ? (wireId?.processId ?? 0) : 0,
      get name() {
        const text = machine.whileStopped((client) =>
          wireId === undefined ? "" : client.threadText(wireId),
        );
        return text ?? "";
      },
      // QEMU numbers its processors from 1.
      cpu: isQemu ? id - 1 : undefined,
    };
  }
}

function readTypes(
  file: ImageFile,
  warn: (message: string) => void,
): ReturnType<ImageFile["readTypes"]> {
  try {
    return file.readTypes();
  } catch (error) {
    warn(`no types from ${file.path}: ${(error as Error).message}`);
    return undefined;
  }
}

function describe(found: FoundImage, module: ImageModule, typeCount: number): ImageView["info"] {
  const { file, slide, machine } = found;
  const code = file.parts.filter(({ isExecutable }) => isExecutable);
  return {
    banner: found.banner ?? `${file.name} (${machine.space.runsTasks ? "machine" : "process"})`,
    buildId: file.buildId,
    memory: "packets",
    symbolCount: file.symbolCount,
    typeCount,
    codeStart: module.toAddress(code[0]?.offset ?? 0),
    codeSizeBytes: code.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    isKnown: false,
    file: file.path,
    slide,
  } satisfies Partial<GuestInfo>;
}

/** The file's parts, and all between them: what that is nobody says, and it may be code. */
function listMappings(file: ImageFile, module: ImageModule): readonly Mapping[] {
  const mappings: Mapping[] = [];
  const unknown = (start: Address, end: Address): void => {
    if (start >= end) return;
    const access = { readable: true, writable: true, executable: true, shared: false };
    mappings.push({ start, end, fileOffset: 0, ...access, path: "[target]" });
  };
  let last = toAddress(0);
  for (const { offset, sizeBytes, isExecutable, isWritable } of file.parts) {
    const start = module.toAddress(offset);
    const end = addOffset(start, sizeBytes);
    unknown(last, start);
    mappings.push({
      start,
      end,
      fileOffset: 0,
      readable: true,
      writable: isWritable,
      executable: isExecutable,
      shared: false,
      path: `[${file.name}]`,
    });
    if (end > last) last = end;
  }
  unknown(last, LAST);
  return mappings;
}
