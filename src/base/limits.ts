/**
 * Bounds on everything fed from outside, in one place. Reaching one is a ToolError that gives the
 * limit's name, so a hostile or corrupt file costs bounded time and memory. The figures are far
 * above what real files have.
 */

export const limits = {
  /** Program headers of an ELF file. */
  segmentCountMax: 4096,
  /** Section headers of an ELF file. */
  sectionCountMax: 131_072,
  /** The table of section names. */
  sectionNamesSizeBytesMax: 0x100_0000,
  /** One name, path or other short string inside an ELF file (not a symbol name). */
  elfStringSizeBytesMax: 4096,
  /** One note section or segment. */
  noteSizeBytesMax: 0x10_0000,
  /** The notes of a file's USDT probes, how many there are, and one text of one. */
  usdtNotesSizeBytesMax: 0x100_0000,
  usdtNoteCountMax: 200_000,
  usdtTextSizeBytesMax: 4096,
  /** Arguments of one USDT probe (<sys/sdt.h> has twelve). */
  usdtArgumentCountMax: 64,
  /** Entries of the dynamic section. */
  dynamicEntryCountMax: 16_384,
  /** Rows of one symbol table (large browsers have about two million). */
  symbolCountMax: 16_000_000,
  /** One table of symbol names. */
  stringTableSizeBytesMax: 0x2000_0000,
  /** Version definitions of a library. */
  versionCountMax: 32_768,
  /** Rows of all dynamic relocations of one file. */
  relocationCountMax: 8_000_000,
  /** The .eh_frame section. */
  ehFrameSizeBytesMax: 0x2000_0000,
  /** Function ranges taken out of .eh_frame. */
  ehFrameEntryCountMax: 8_000_000,
  /** Instructions of one entry of .eh_frame, with those of its CIE. */
  unwindOperationCountMax: 100_000,
  /** Steps of one expression in .eh_frame. */
  unwindExpressionStepsMax: 1000,
  /** Frames of one walk up a stack. */
  stackDepthMax: 65_536,
  /** Bytes one compressed section, or the symbols in .gnu_debugdata, may unfold to. */
  decompressedSizeBytesMax: 0x2000_0000,
  /** Control groups that are looked through for the one of an id. */
  cgroupCountMax: 100_000,
  /** A longer symbol name is never demangled. */
  mangledNameSizeBytesMax: 16_384,
  /** A longer demangled name is cut off: the mangled one is shown. */
  demangledNameCharsMax: 65_536,
  /** Memory of the demangler, in pages of 64 KiB. */
  demanglerPagesMax: 256,
  /** Names the demangler remembers before it forgets all. */
  demangledNameCountMax: 200_000,
  /** Times the demangler is started anew after a name made it fail. */
  demanglerRestartCountMax: 32,
  /** Overlapping symbols looked at when an address is named. */
  overlappingSymbolCountMax: 4096,
  /** Text of one location of a probe. */
  whereCharsMax: 16_384,
  /** One function, when every instruction of it is meant. */
  functionSizeBytesMax: 0x100_0000,
  /** Instructions that one location with `+*` stands for. */
  instructionCountMax: 500_000,
  /** Text of one C prototype. */
  prototypeCharsMax: 4096,
  /** Parameters of one C prototype. */
  parameterCountMax: 127,
  /** Pointers to pointers, and function types in function types, of one C prototype. */
  typeDepthMax: 32,
  /** A struct or union that a C prototype passes by value, and arrays in it. */
  aggregateSizeBytesMax: 0x1_0000,
  /** A separate debug file, when its checksum has to be computed. */
  debugFileSizeBytesMax: 0x1_0000_0000,
  /** The image of a vDSO in memory. */
  vdsoSizeBytesMax: 0x10_0000,
  /** Page tables of a guest that one listing of what is mapped looks at. */
  pageTableCountMax: 16_384,
  /** Translations of a guest's addresses that are remembered before all are forgotten. */
  translationCountMax: 1_000_000,
  /** The image of a guest's kernel, with all that is mapped beside it. */
  kernelImageSizeBytesMax: 0x2000_0000,
  /** The compressed names of a kernel's symbols, with what lies between them and their tokens. */
  kallsymsNamesSizeBytesMax: 0x800_0000,
  /** Places that look like the tokens of those names. */
  kallsymsCandidateCountMax: 256,
  /** The name of one symbol of a kernel (512 as of Linux 6.1). */
  kernelSymbolCharsMax: 4096,
  /** Types of one BTF section with those it builds on (a kernel has about 100,000). */
  btfTypeCountMax: 4_000_000,
  /** One BTF section. */
  btfSizeBytesMax: 0x1000_0000,
  /** Typedefs, qualifiers and tags on the way to a type. */
  typeChainMax: 64,
  /** Processes of a guest. */
  processCountMax: 100_000,
  /** Processes that were made by one another, on the way up to the first. */
  processDepthMax: 4096,
  /** Modules that a kernel has loaded. */
  kernelModuleCountMax: 4096,
  /** The symbols of one module of a kernel. */
  kernelModuleSymbolCountMax: 1_000_000,
  /** Trace events that a kernel lists. */
  traceEventCountMax: 100_000,
  /** The fields of one. */
  traceEventFieldCountMax: 256,
  /** The table of places that a kernel patches jumps into. */
  jumpTableSizeBytesMax: 0x100_0000,
  /** Looks at each running thread in a second. */
  sampleHzMax: 10_000,
  /** A function of the target that a handler calls. */
  calledFunctionTimeMsMax: 5000,
  /** The entry of a native jprobe, from when its probe is unregistered. */
  entryTimeMsMax: 5000,
  /** The same, from when the session detaches. */
  entryTimeAtDetachMsMax: 2000,
  /** How long a thread whose entry's time is over may take to stop. */
  entryStopTimeMsMax: 2000,
  /** One packet of a GDB stub, run-lengths unfolded. */
  stubPacketSizeBytesMax: 0x10_0000,
  /** What a stub sends outside of packets, between one packet and the next. */
  stubNoiseSizeBytesMax: 0x1_0000,
  /** What is taken for a request, or a packet of a stub, when it says that it takes more. */
  stubRequestSizeBytesMax: 0x1_0000,
  /** Requests that are sent before the first is answered. */
  stubPipelineDepthMax: 128,
  /** Times that one packet is sent again, by either side. */
  stubResendCountMax: 3,
  /** Packets that nobody asked for, between one answer and the next. */
  stubUnaskedPacketCountMax: 1024,
  /** A connection to a stub, until it stands. */
  stubConnectTimeMsMax: 5000,
  /** One answer of a stub whose target is stopped. */
  stubReplyTimeMsMax: 5000,
  /** A target that was asked to stop. */
  stubStopTimeMsMax: 5000,
  /** A new connection to a stub that has failed us, and then again what is asked of it. */
  stubRescueTimeMsMax: 3000,
  /** A connection, until it is closed. */
  stubCloseTimeMsMax: 500,
  /** One document that a stub gives in pieces: a target description, or one that it includes. */
  stubDocumentSizeBytesMax: 0x40_0000,
  /** Documents that one target description includes, and how deep they lie in one another. */
  stubIncludeCountMax: 64,
  stubIncludeDepthMax: 8,
  /** Registers of one target description. */
  stubRegisterCountMax: 4096,
  /** Threads, or processors, of one target. */
  stubThreadCountMax: 16_384,
  /** Text that the monitor of a stub prints to one command. */
  stubMonitorTextCharsMax: 0x100_0000,
  /** Values of the copies that one unroll of a script makes; beyond, it is a loop. */
  scriptUnrolledValueCountMax: 4000,
  /** Rounds of all loops of a script's action, at one hit. */
  scriptLoopRoundsMax: 0x80_0000,
  /** What one read of a script takes out of the target. */
  scriptReadSizeBytesMax: 0x10_0000,
  /** Text of one script or of one file that it imports. */
  scriptCharsMax: 0x40_0000,
  /** Expressions, blocks, types and conditions of a script in one another. */
  scriptDepthMax: 200,
  /** Nodes on the way from a program down to a leaf: also long sums are deep. */
  scriptTreeDepthMax: 1500,
  /** Errors in the text of one script before it is given up. */
  scriptErrorCountMax: 50,
  /** Tokens that all uses of #define in a script expand to. */
  scriptExpandedTokenCountMax: 1_000_000,
  /** Macros that use one another. */
  scriptMacroDepthMax: 64,
  /** Nodes of all trees that the macros of a script expand to. */
  scriptMacroNodeCountMax: 1_000_000,
  /** Files that a script imports, with those that they import. */
  scriptImportCountMax: 256,
  /** Names with a value that one #if looks at. */
  scriptDefineUsesMax: 10_000,
  /** Walks over a script until the types of its variables and maps no longer change. */
  scriptTypeRoundsMax: 64,
} as const;
